// The commands. Each returns the exit code, or an error that main shows and turns into one.
#pragma once

#include "base/result.hpp"
#include "cmd/options.hpp"

namespace offhook::cmd {

Result<int> run(const GlobalOptions &global, const CallOptions &options);
Result<int> run(const GlobalOptions &global, const AnswerOptions &options);
Result<int> run(const GlobalOptions &global, const RegisterOptions &options);
Result<int> run(const GlobalOptions &global, const PingOptions &options);
Result<int> run(const GlobalOptions &global, const SendOptions &options);
Result<int> run(const GlobalOptions &global, const MessageOptions &options);
Result<int> run(const GlobalOptions &global, const TraceOptions &options);
Result<int> run(const GlobalOptions &global, const TransferCommandOptions &options);
Result<int> run(const GlobalOptions &global, const RunOptions &options);
Result<int> run(const GlobalOptions &global, const CtlOptions &options);
Result<int> run(const GlobalOptions &global, const WatchOptions &options);
Result<int> run(const GlobalOptions &global, const WssBridgeOptions &options);
Result<int> run(const GlobalOptions &global, const ConfigOptions &options);
Result<int> import_configuration(const GlobalOptions &global, const ConfigOptions &options);
Result<int> run(const GlobalOptions &global, const AccountsOptions &options);
Result<int> run(const GlobalOptions &global, const ContactsOptions &options);
Result<int> run(const GlobalOptions &global, const AudioOptions &options);
Result<int> run(const GlobalOptions &global, const CompletionOptions &options);
Result<int> run(const GlobalOptions &global, const HelpOptions &options);
Result<int> run(const GlobalOptions &global, const VersionOptions &options);
Result<int> run(const GlobalOptions &global, const NothingOptions &options);

// transfer --call: by the control socket.
Result<int> transfer_of_running_phone(const GlobalOptions &global, const TransferCommandOptions &options);

int main_of(int argc, char **argv);

} // namespace offhook::cmd
