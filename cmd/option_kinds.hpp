// The kinds of options that the commands have, over CLI11.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "base/text.hpp"
#include "cmd/cli_values.hpp"

namespace offhook::cmd {

// "-c,--config" → "--config", the name that messages use.
inline std::string long_name(const std::string &names) {
    return names.substr(names.find("--"));
}

// An option whose text goes through `parse`; its error is told with the option's name.
template <class T, class Parse>
CLI::Option *value(CLI::App &app, const std::string &names, T &into, Parse parse, const std::string &type,
                   const std::string &text) {
    return app
        .add_option_function<std::string>(
            names,
            [&into, parse, names](const std::string &given) {
                auto result = parse(given);
                if (!result) throw CLI::ValidationError(long_name(names), result.error().what);
                into = std::move(*result);
            },
            text)
        ->type_name(type);
}

template <class T>
CLI::Option *duration(CLI::App &app, const std::string &names, T &into, const std::string &text) {
    return value(
        app, names, into, [](const std::string &given) { return parse_duration(given); }, "D", text);
}

inline CLI::Option *text_option(CLI::App &app, const std::string &names, std::string &into,
                                const std::string &type, const std::string &text) {
    return app.add_option(names, into, text)->type_name(type);
}

inline CLI::Option *choice(CLI::App &app, const std::string &names, std::string &into,
                           const std::string &words, const std::string &text) {
    return value(
        app, names, into, [words](const std::string &given) { return parse_choice(given, words); }, words,
        text);
}

template <class Parse, class T>
CLI::Option *repeated(CLI::App &app, const std::string &names, std::vector<T> &into, Parse parse,
                      const std::string &type, const std::string &text) {
    return app
        .add_option_function<std::vector<std::string>>(
            names,
            [&into, parse, names](const std::vector<std::string> &given) {
                for (const auto &one : given) {
                    auto result = parse(one);
                    if (!result) throw CLI::ValidationError(long_name(names), result.error().what);
                    into.push_back(std::move(*result));
                }
            },
            text)
        ->type_name(type)
        ->expected(1)
        ->allow_extra_args(false) // else it would take the arguments that follow, too
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

} // namespace offhook::cmd
