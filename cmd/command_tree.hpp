// The commands and their options as data: made from the parser in cli.cpp, read by help and completion.
#pragma once

#include <string>
#include <vector>

namespace offhook::cmd {

struct OptionEntry {
    std::vector<std::string> short_names, long_names; // without dashes
    std::string value;                                // "FILE", empty for a switch
    std::string text, group;
    bool value_optional = false; // --trace[=FILE]
    std::vector<std::string> choices;
};

struct CommandEntry {
    std::string name, text;
    std::string arguments;          // "TARGET [TARGET…]"
    std::vector<std::string> words; // what the argument may be: "check"
    std::vector<OptionEntry> options;
    std::string examples;
};

struct CommandTree {
    std::vector<OptionEntry> global;
    std::vector<CommandEntry> commands;
    std::vector<std::string> later; // commands of the contract that are not built in yet
};

std::string help_text(const CommandTree &tree);                              // offhook --help
std::string short_help(const CommandTree &tree);                             // offhook
std::string help_text(const CommandTree &tree, const CommandEntry &command); // offhook call --help
const CommandEntry *find(const CommandTree &tree, const std::string &command);
std::string completion_script(const CommandTree &tree, const std::string &shell); // "bash", "zsh", "fish"

} // namespace offhook::cmd
