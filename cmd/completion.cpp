// Completion scripts for bash, zsh and fish, made from the command tree so that they cannot grow stale.
#include "base/text.hpp"
#include "cmd/command_tree.hpp"

namespace offhook::cmd {

namespace {

std::string quoted(const std::string &text) {
    std::string out = "'";
    for (const char c : text)
        out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

bool takes_file(const OptionEntry &option) {
    return option.value.find("FILE") != std::string::npos;
}

std::string joined(const std::vector<std::string> &words) {
    std::string out;
    for (const auto &word : words)
        out += (out.empty() ? "" : " ") + word;
    return out;
}

std::vector<std::string> flags(const std::vector<OptionEntry> &options) {
    std::vector<std::string> out;
    for (const auto &option : options) {
        for (const auto &name : option.short_names)
            out.push_back("-" + name);
        for (const auto &name : option.long_names)
            out.push_back("--" + name);
    }
    return out;
}

std::vector<std::string> command_names(const CommandTree &tree) {
    std::vector<std::string> out;
    for (const auto &command : tree.commands)
        out.push_back(command.name);
    return out;
}

// case "$previous" in --then) … of all options that take a value.
std::string bash_values(const CommandTree &tree) {
    std::string out;
    const auto add = [&out](const std::vector<OptionEntry> &options) {
        for (const auto &option : options) {
            if (option.value.empty() || option.value_optional) continue;
            std::string pattern = "--" + option.long_names.front();
            for (const auto &name : option.short_names)
                pattern += "|-" + name;
            out += "        " + pattern + ") ";
            if (!option.choices.empty())
                out += "COMPREPLY=($(compgen -W " + quoted(joined(option.choices)) +
                       " -- \"$word\")); return ;;\n";
            else
                out += std::string(takes_file(option) ? "COMPREPLY=($(compgen -f -- \"$word\")); " : "") +
                       "return ;;\n";
        }
    };
    add(tree.global);
    for (const auto &command : tree.commands)
        add(command.options);
    return out;
}

std::string bash(const CommandTree &tree) {
    std::string out =
        "# bash completion for offhook\n_offhook() {\n"
        "    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command= i\n"
        "    COMPREPLY=()\n    for ((i = 1; i < COMP_CWORD; i++)); do\n        case ${COMP_WORDS[i]} in\n"
        "        ";
    std::string pattern;
    for (const auto &name : command_names(tree))
        pattern += (pattern.empty() ? "" : "|") + name;
    out += pattern + ") command=${COMP_WORDS[i]}; break ;;\n        esac\n    done\n    case $previous in\n" +
           bash_values(tree) + "    esac\n    local words=" + quoted(joined(flags(tree.global))) +
           "\n    case $command in\n" + "        '') words+=' '" + quoted(joined(command_names(tree))) +
           " ;;\n";
    for (const auto &command : tree.commands)
        out += "        " + command.name + ") words+=' '" +
               quoted(joined(flags(command.options)) + " " + joined(command.words)) + " ;;\n";
    return out + "    esac\n    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\ncomplete -F _offhook "
                 "offhook\n";
}

std::string zsh_text(const std::string &text) {
    std::string out;
    for (const char c : text)
        if (c == '[' || c == ']' || c == ':' || c == '\\')
            out += std::string("\\") + c;
        else
            out += c;
    return out;
}

std::string zsh_options(const std::vector<OptionEntry> &options, const std::string &indent) {
    std::string out;
    for (const auto &option : options) {
        std::string action;
        if (!option.value.empty() && !option.value_optional)
            action = ":value:" + (!option.choices.empty() ? "(" + joined(option.choices) + ")"
                                  : takes_file(option)    ? "_files"
                                                          : "");
        for (const auto &name : option.short_names)
            out += indent + quoted("*-" + name + "[" + zsh_text(option.text) + "]" + action) + " \\\n";
        for (const auto &name : option.long_names)
            out += indent + quoted("*--" + name + "[" + zsh_text(option.text) + "]" + action) + " \\\n";
    }
    return out;
}

std::string zsh(const CommandTree &tree) {
    std::string out = "#compdef offhook\n_offhook() {\n    local context state line\n    typeset -A "
                      "opt_args\n    _arguments -C \\\n" +
                      zsh_options(tree.global, "        ") +
                      "        '1:command:->command' \\\n        '*::argument:->argument'\n" +
                      "    case $state in\n    command)\n        local -a commands=(\n";
    for (const auto &command : tree.commands)
        out += "            " + quoted(command.name + ":" + zsh_text(command.text)) + "\n";
    out += "        )\n        _describe command commands ;;\n    argument)\n        case $line[1] in\n";
    for (const auto &command : tree.commands)
        out += "        " + command.name + ")\n            _arguments \\\n" +
               zsh_options(command.options, "                ") +
               zsh_options(tree.global, "                ") + "                " +
               quoted("*:argument:" +
                      (command.words.empty() ? std::string() : "(" + joined(command.words) + ")")) +
               " ;;\n";
    return out + "        esac ;;\n    esac\n}\n_offhook \"$@\"\n";
}

std::string fish_options(const std::vector<OptionEntry> &options, const std::string &condition) {
    std::string out;
    for (const auto &option : options) {
        out += "complete -c offhook" + condition;
        for (const auto &name : option.short_names)
            out += " -s " + name;
        for (const auto &name : option.long_names)
            out += " -l " + name;
        if (!option.value.empty() && !option.value_optional)
            out += option.choices.empty() && takes_file(option) ? " -rF" : " -x";
        if (!option.choices.empty()) out += " -a " + quoted(joined(option.choices));
        out += " -d " + quoted(option.text) + "\n";
    }
    return out;
}

std::string fish(const CommandTree &tree) {
    std::string out =
        "# fish completion for offhook\ncomplete -c offhook -f\n" + fish_options(tree.global, "");
    for (const auto &command : tree.commands) {
        out += "complete -c offhook -n __fish_use_subcommand -a " + command.name + " -d " +
               quoted(command.text) + "\n";
        const std::string condition = " -n '__fish_seen_subcommand_from " + command.name + "'";
        out += fish_options(command.options, condition);
        if (!command.words.empty())
            out += "complete -c offhook" + condition + " -a " + quoted(joined(command.words)) + "\n";
    }
    return out;
}

} // namespace

std::string completion_script(const CommandTree &tree, const std::string &shell) {
    if (shell == "bash") return bash(tree);
    if (shell == "zsh") return zsh(tree);
    return fish(tree);
}

} // namespace offhook::cmd
