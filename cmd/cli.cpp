#include "cmd/cli.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "cmd/parser.hpp"

namespace offhook::cmd {

namespace {

std::vector<OptionEntry> options_of(const CLI::App &app) {
    std::vector<OptionEntry> out;
    for (const CLI::Option *option : app.get_options()) {
        if (option->get_positional()) continue;
        OptionEntry entry;
        entry.short_names = option->get_snames();
        entry.long_names = option->get_lnames();
        entry.text = option->get_description();
        entry.value_optional = entry.long_names == std::vector<std::string>{"trace"};
        if (entry.value_optional || option->get_items_expected_max() > 0)
            entry.value = option->get_type_name();
        if (entry.value.find('|') != std::string::npos) entry.choices = split(entry.value, '|');
        out.push_back(std::move(entry));
    }
    return out;
}

CommandTree tree_of(Parser &parser) {
    CommandTree tree = parser.tree;
    tree.global = options_of(parser.app);
    for (auto &entry : tree.commands)
        entry.options = options_of(*parser.app.get_subcommand(entry.name));
    return tree;
}

std::vector<std::string> option_names(const CommandTree &tree, const std::string &command) {
    std::vector<std::string> names;
    const auto collect = [&names](const std::vector<OptionEntry> &options) {
        for (const auto &option : options)
            for (const auto &name : option.long_names)
                names.push_back("--" + name);
    };
    collect(tree.global);
    if (const auto *entry = find(tree, command)) collect(entry->options);
    return names;
}

// One line on what CLI11 could not place.
Failure unexpected(const CommandTree &tree, const std::string &command,
                   const std::vector<std::string> &extras) {
    const auto is_option = [](const std::string &word) { return word.size() > 1 && word[0] == '-'; };
    auto word = extras.front();
    const auto option = std::find_if(extras.begin(), extras.end(), is_option);
    if (option != extras.end() && (!command.empty() || is_option(word))) word = *option;
    if (is_option(word)) {
        word = word.substr(0, word.find('='));
        return fail(Errc::invalid_argument,
                    "unknown option " + sanitise(word) + suggestion(word, option_names(tree, command)));
    }
    if (!command.empty())
        return fail(Errc::invalid_argument, command + ": unexpected argument \"" + sanitise(word) + "\"");
    if (starts_with_any(word, {"sip:", "sips:", "tel:"}))
        return fail(Errc::invalid_argument, "\"" + sanitise(word) +
                                                "\" is no command (did you mean: offhook call " +
                                                sanitise(word) + ")");
    std::vector<std::string> names = tree.later;
    for (const auto &entry : tree.commands)
        names.push_back(entry.name);
    return fail(Errc::invalid_argument,
                "unknown command \"" + sanitise(word) + "\"" + suggestion(word, names));
}

using Command = decltype(CommandLine::command);

// What the command that was named was given; short help where none was.
Command command_options(Parser &parser, std::string_view command) {
    using Take = Command (*)(const Parser &);
    static constexpr std::pair<std::string_view, Take> commands[]{
        {"call", [](const Parser &p) -> Command { return p.call; }},
        {"answer", [](const Parser &p) -> Command { return p.answer; }},
        {"register", [](const Parser &p) -> Command { return p.register_; }},
        {"ping", [](const Parser &p) -> Command { return p.ping; }},
        {"send", [](const Parser &p) -> Command { return p.send; }},
        {"message", [](const Parser &p) -> Command { return p.message; }},
        {"trace", [](const Parser &p) -> Command { return p.trace_file; }},
        {"transfer", [](const Parser &p) -> Command { return p.transfer; }},
        {"run", [](const Parser &p) -> Command { return p.run; }},
        {"ctl", [](const Parser &p) -> Command { return p.ctl; }},
        {"watch", [](const Parser &p) -> Command { return p.watch; }},
        {"wss-bridge", [](const Parser &p) -> Command { return p.bridge; }},
        {"config", [](const Parser &p) -> Command { return p.config; }},
        {"accounts", [](const Parser &) -> Command { return AccountsOptions{}; }},
        {"contacts", [](const Parser &) -> Command { return ContactsOptions{}; }},
        {"audio", [](const Parser &p) -> Command { return p.audio; }},
        {"completion", [](const Parser &p) -> Command { return p.completion; }},
    };
    const auto *const found = std::ranges::find(commands, command, &std::pair<std::string_view, Take>::first);
    if (found != std::end(commands)) return found->second(parser);
    return NothingOptions{short_help(tree_of(parser))};
}

Result<CommandLine> chosen(Parser &parser, const std::string &command) {
    CommandLine line{parser.global, NothingOptions{}};
    const auto finish = [&line](auto options) -> Result<CommandLine> {
        line.command = std::move(options);
        return std::move(line);
    };
    if (!parser.trace.empty()) line.global.trace = parser.trace;
    if (parser.version) return finish(VersionOptions{});
    if (parser.help && (command.empty() || command == "help"))
        return finish(HelpOptions{help_text(tree_of(parser))});
    if (std::ranges::find(parser.tree.later, command) != parser.tree.later.end())
        return fail(Errc::not_supported, "not built in yet: " + command);
    if (command == "help" || parser.help) {
        const CommandTree tree = tree_of(parser);
        if (const auto *entry = find(tree, command); entry != nullptr && command != "help")
            return finish(HelpOptions{help_text(tree, *entry)});
        return finish(HelpOptions{help_text(tree)});
    }
    parser.call.talk = parser.answer.talk = parser.talk;
    line.command = command_options(parser, command);
    return line;
}

std::string chosen_name(const CLI::App &app) {
    const auto subs = app.get_subcommands();
    return subs.empty() ? "" : subs.front()->get_name();
}

} // namespace

Result<CommandLine> parse_command_line(const std::vector<std::string> &arguments) {
    Parser parser;
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend()); // as CLI11 wants them
    if (reversed.size() > 1 && reversed.back() == "help") {                  // help COMMAND: COMMAND --help
        reversed.pop_back();
        reversed.insert(reversed.begin(), "--help");
    }
    try {
        parser.app.parse(std::move(reversed));
    } catch (const CLI::ExtrasError &) {
        const std::string command = chosen_name(parser.app);
        if (std::ranges::find(parser.tree.later, command) != parser.tree.later.end())
            return fail(Errc::not_supported, "not built in yet: " + command);
        return unexpected(tree_of(parser), chosen_name(parser.app), parser.app.remaining(true));
    } catch (const CLI::ArgumentMismatch &e) {
        const std::string what = e.what();
        return fail(Errc::invalid_argument, what.substr(0, what.find(':')) + " needs a value");
    } catch (const CLI::ParseError &e) {
        return fail(Errc::invalid_argument, sanitise(e.what()));
    }
    return chosen(parser, chosen_name(parser.app));
}

CommandTree command_tree() {
    Parser parser;
    return tree_of(parser);
}

} // namespace offhook::cmd
