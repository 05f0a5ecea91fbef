// The grammar of the command line: each option once, with its text. CLI11 is used for the grammar only: help,
// messages, completion, environment and configuration are ours (its own differ from release to release, and
// it ranks the file above the environment).
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "cmd/cli.hpp"

namespace offhook::cmd {

struct Parser {
    CLI::App app{"offhook: a SIP softphone for the shell", "offhook"};
    GlobalOptions global;
    TalkOptions talk;
    CallOptions call;
    AnswerOptions answer;
    RegisterOptions register_;
    PingOptions ping;
    SendOptions send;
    MessageOptions message;
    TraceOptions trace_file;
    TransferCommandOptions transfer;
    RunOptions run;
    CtlOptions ctl;
    WatchOptions watch;
    WssBridgeOptions bridge;
    ConfigOptions config;
    AudioOptions audio;
    CompletionOptions completion;
    std::string trace;
    bool help = false, version = false;
    CommandTree tree; // texts that CLI11 has no place for

    Parser();
    CLI::App &command(const std::string &name, const std::string &text, const std::string &arguments,
                      const std::string &examples);
    void globals();
    void account_globals();
    void talks(CLI::App &sub);
    void expectations(CLI::App &sub);
    void call_command();
    void answer_command();
    void register_command();
    void ping_command();
    void send_command();
    void message_command();
    void trace_command();
    void transfer_command();
    void run_commands();
    void watch_command();
    void bridge_command();
    void small_commands();
};

} // namespace offhook::cmd
