// The help pages, made from the command tree.
#include <algorithm>

#include "base/text.hpp"
#include "cmd/command_tree.hpp"

namespace offhook::cmd {

namespace {

constexpr std::size_t text_column = 28, widest = 80;

std::string flags_of(const OptionEntry &option) {
    std::string flags = option.short_names.empty() ? "    " : "-" + option.short_names.front() + ", ";
    flags += "--" + option.long_names.front();
    if (option.value_optional) return flags + "[=" + option.value + "]";
    return option.value.empty() ? flags : flags + " " + option.value;
}

// "  flags    text", the text in its column and wrapped where a terminal ends.
std::string row(const std::string &left, const std::string &text) {
    std::string out = "  " + left;
    std::size_t column = display_width(out);
    if (column + 2 > text_column) {
        out += "\n";
        column = 0;
    }
    out.append(text_column - column, ' ');
    column = text_column;
    for (const auto &word : split(text, ' ')) {
        if (column + display_width(word) + 1 > widest) {
            out += "\n" + std::string(text_column, ' ');
            column = text_column;
        }
        out += column == text_column ? word : " " + word;
        column += display_width(word) + 1;
    }
    return out + "\n";
}

std::string rows(const std::vector<OptionEntry> &options) {
    std::string out;
    for (const auto &option : options)
        out += row(flags_of(option), option.text);
    return out;
}

std::string command_rows(const CommandTree &tree) {
    std::string out;
    for (const auto &command : tree.commands)
        out += row(command.name, command.text);
    return out;
}

} // namespace

const CommandEntry *find(const CommandTree &tree, const std::string &command) {
    const auto at = std::find_if(tree.commands.begin(), tree.commands.end(),
                                 [&](const CommandEntry &entry) { return entry.name == command; });
    return at == tree.commands.end() ? nullptr : &*at;
}

std::string short_help(const CommandTree &tree) {
    return "usage: offhook [OPTIONS] COMMAND [ARGUMENTS]\n\n" + command_rows(tree) +
           "\nexamples:\n"
           "  offhook call sip:bob@192.0.2.7\n"
           "  offhook answer --auto --echo\n"
           "\n\"offhook COMMAND --help\" says more.\n";
}

std::string help_text(const CommandTree &tree) {
    std::string later;
    for (const auto &name : tree.later)
        later += (later.empty() ? "" : ", ") + name;
    return "offhook: a SIP softphone for the shell\n\nusage: offhook [OPTIONS] COMMAND "
           "[ARGUMENTS]\n\ncommands:\n" +
           command_rows(tree) + "  not built in yet: " + later +
           "\n\noptions, before or after the command:\n" + rows(tree.global) +
           "\nexamples:\n"
           "  offhook call sip:bob@192.0.2.7\n"
           "  offhook answer --auto --play hello.wav --record '{date}-{peer}.wav'\n"
           "  offhook register --once -a home\n"
           "\nexit status: 0 answered, 10 busy, 11 no answer, 12 declined, 13 unknown,\n"
           "14 authentication, 20 network, 21 TLS, 30 media, 31 audio, 40 an expectation\n"
           "failed, 124 time-out, 2 wrong usage; see offhook(1)\n";
}

std::string help_text(const CommandTree &tree, const CommandEntry &command) {
    std::string out = "offhook " + command.name + ": " + command.text + "\n\nusage: offhook " + command.name +
                      " [OPTIONS]" + (command.arguments.empty() ? "" : " " + command.arguments) + "\n";
    if (!command.options.empty()) out += "\noptions:\n" + rows(command.options);
    return out + "\nglobal options:\n" + rows(tree.global) + "\nexamples:\n" + command.examples;
}

} // namespace offhook::cmd
