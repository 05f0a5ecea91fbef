// What is there: configuration, accounts, contacts, completion, help and version.
#include <algorithm>

#include <unistd.h>

#include "base/text.hpp"
#include "base/version.hpp"
#include "bridge/settings_reader.hpp"
#include "cmd/cli.hpp"
#include "cmd/column.hpp"
#include "cmd/commands.hpp"
#include "cmd/libraries.hpp"
#include "cmd/output.hpp"
#include "cmd/setup.hpp"

namespace offhook::cmd {

namespace {

Result<> expect_verb(const std::string &command, const std::string &verb, const std::string &known,
                     const std::vector<std::string> &later) {
    const auto known_words = split(known, ' ');
    if (verb != "or" && std::find(known_words.begin(), known_words.end(), verb) != known_words.end())
        return {};
    for (const auto &word : later)
        if (verb == word) return fail(Errc::not_supported, "not built in yet: " + command + " " + word);
    if (verb.empty())
        return fail(Errc::invalid_argument, command + ": what? (expected " + command + " " + known + ")");
    return fail(Errc::invalid_argument, command + ": unknown \"" + sanitise(verb) + "\" (expected " + known +
                                            ")" + suggestion(verb, known_words));
}

Result<FileSettings> configured(const GlobalOptions &global) {
    auto file = load_configuration(global);
    if (!file) return tl::unexpected(file.error());
    if (!*file) return FileSettings{};
    auto report = read_settings(**file);
    if (!report.errors.empty()) return fail(Errc::config, report.errors.front());
    return std::move(report.settings);
}

} // namespace

Result<int> run(const GlobalOptions &global, const ConfigOptions &options) {
    if (options.verb == "import") return import_configuration(global, options);
    if (auto good = expect_verb("config", options.verb, "check or import", {"show"}); !good)
        return tl::unexpected(good.error());
    if (!options.phone.empty())
        return fail(Errc::invalid_argument,
                    "config check: unexpected argument \"" + sanitise(options.phone) + "\"");
    auto file = load_configuration(global);
    if (!file) return tl::unexpected(file.error());
    Output output(global);
    if (!*file) {
        output.progress("no configuration file; that is fine");
        output.result(0, Json::object());
        return 0;
    }
    auto report = read_settings(**file);
    const auto bridge = bridge::read_bridge_settings(**file, {});
    report.errors.insert(report.errors.end(), bridge.errors.begin(), bridge.errors.end());
    report.warnings.insert(report.warnings.end(), bridge.warnings.begin(), bridge.warnings.end());
    for (const auto &error : report.errors)
        output.error(error);
    for (const auto &warning : report.warnings)
        output.error("warning: " + warning);
    const int exit = report.errors.empty() ? 0 : 2;
    Json more = Json::object();
    more.add("file", (*file)->path).add("errors", Json::Array(report.errors.begin(), report.errors.end()));
    more.add("warnings", Json::Array(report.warnings.begin(), report.warnings.end()));
    output.result(exit, more);
    if (exit == 0) output.progress((*file)->path + ": good");
    return exit;
}

Result<int> run(const GlobalOptions &global, const AccountsOptions &) {
    auto file = configured(global);
    if (!file) return tl::unexpected(file.error());
    Output output(global);
    for (const auto &account : file->phone.accounts) {
        const bool is_default = account.name == file->default_account;
        if (global.json)
            output.text(Json::object()
                            .add("account", account.name)
                            .add("aor", account.aor)
                            .add("register", account.registers)
                            .add("registrar", account.registrar)
                            .add("default", is_default)
                            .dump());
        else
            output.text(column(account.name, 16) + column(account.aor, 32) +
                        (account.registers ? "registers" : "") + (is_default ? " (default)" : ""));
    }
    output.result(0, Json::object());
    return 0;
}

Result<int> run(const GlobalOptions &global, const ContactsOptions &) {
    auto file = configured(global);
    if (!file) return tl::unexpected(file.error());
    Output output(global);
    for (const auto &contact : file->phone.contacts)
        if (global.json)
            output.text(Json::object()
                            .add("contact", contact.name)
                            .add("uri", contact.uri)
                            .add("account", contact.account)
                            .dump());
        else
            output.text(column(contact.name, 20) + column(contact.uri, 32) + sanitise(contact.account));
    output.result(0, Json::object());
    return 0;
}

Result<int> run(const GlobalOptions &global, const CompletionOptions &options) {
    if (options.shell != "bash" && options.shell != "zsh" && options.shell != "fish")
        return fail(Errc::invalid_argument, options.shell.empty()
                                                ? "completion: for which shell? (expected bash, zsh or fish)"
                                                : "completion: unknown shell \"" + sanitise(options.shell) +
                                                      "\" (expected bash, zsh or fish)");
    const auto script = completion_script(command_tree(), options.shell);
    Output(global).text(std::string_view(script).substr(0, script.size() - 1));
    return 0;
}

Result<int> run(const GlobalOptions &global, const HelpOptions &options) {
    Output(global).text(std::string_view(options.text).substr(0, options.text.size() - 1));
    return 0;
}

Result<int> run(const GlobalOptions &global, const VersionOptions &) {
    Output output(global);
    if (global.json) {
        output.text(Json::object().add("version", version).dump());
        return 0;
    }
    output.text(std::string("offhook ") + version);
    if (global.verbose > 0)
        for (const auto &[library, text] : libraries())
            output.text("  " + column(library, 12) + text);
    return 0;
}

Result<int> run(const GlobalOptions &global, const NothingOptions &options) {
    const bool terminal = isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0;
    Output output(global);
    if (terminal) output.progress("offhook: the full-screen phone is not built in yet; the commands are:\n");
    output.progress(std::string_view(options.help).substr(0, options.help.size() - 1));
    return 2;
}

} // namespace offhook::cmd
