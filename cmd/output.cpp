#include "cmd/output.hpp"

#include <cerrno>

#include <unistd.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "cmd/narrate.hpp"
#include "phone/event_json.hpp"

namespace offhook::cmd {

namespace {

bool write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = write(fd, text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}

std::chrono::system_clock::time_point now() {
    return std::chrono::system_clock::now();
}

} // namespace

Result<> Output::set_up_log(const GlobalOptions &options) {
    if (options.verbose > 1)
        set_log_level(LogLevel::debug);
    else if (options.verbose == 1)
        set_log_level(LogLevel::info);
    else if (options.quiet)
        set_log_level(LogLevel::error);
    capture_libre_log();
    if (options.log_file.empty()) return {};
    auto sink = log_file_sink(options.log_file);
    if (!sink) return fail(Errc::invalid_argument, "--log-file " + sink.error().what);
    if (options.verbose == 0) set_log_level(LogLevel::info);
    set_log_sink(std::move(*sink));
    return {};
}

Output::Output(const GlobalOptions &options)
    : json_(options.json), quiet_(options.quiet), verbose_(options.verbose > 0) {}

void Output::event(const Event &event) {
    if (json_) write_stdout(to_json(event, ++sequence_, now()).dump() + "\n");
    if (const auto line = narrate(event, verbose_); !line.empty() && !json_) progress(line);
}

void Output::event(std::string_view name, const Json &fields, std::string_view text) {
    if (!json_) return progress(sanitise(text));
    Json line = json_head(++sequence_, now(), name);
    if (const auto *members = fields.as_object())
        for (const auto &[key, value] : *members)
            line.add(key, value);
    write_stdout(line.dump() + "\n");
}

void Output::listening(const std::vector<std::string> &addresses) {
    if (json_) {
        Json::Array list(addresses.begin(), addresses.end());
        write_stdout(json_head(++sequence_, now(), "listening").add("addresses", std::move(list)).dump() +
                     "\n");
        return;
    }
    std::string line = "listening on";
    for (const auto &address : addresses)
        line += " " + address;
    progress(line);
}

void Output::line(std::string_view event, const Json &members) {
    if (!json_) return;
    Json line = json_head(++sequence_, now(), event);
    if (const auto *object = members.as_object())
        for (const auto &[key, value] : *object)
            line.add(key, value);
    write_stdout(line.dump() + "\n");
}

void Output::result(int exit, const Json &more) {
    Json members = Json::object().add("exit", exit);
    if (const auto *object = more.as_object())
        for (const auto &[key, value] : *object)
            if (key != "exit") members.add(key, value);
    line("result", members);
}

void Output::text(std::string_view line) {
    write_stdout(std::string(line) + "\n");
}

void Output::bytes(std::string_view result) {
    write_stdout(std::string(result));
}

void Output::progress(std::string_view line) {
    if (!quiet_) write_stderr(std::string(line) + "\n");
}

void Output::error(std::string_view line) {
    write_stderr("offhook: " + std::string(line) + "\n");
}

void Output::trace(std::string text) {
    write_stderr(std::move(text));
}

void Output::set_status_hooks(std::function<void()> before, std::function<void()> after) {
    before_ = std::move(before);
    after_ = std::move(after);
}

void Output::write_stdout(std::string line) {
    if (stdout_taken_) return write_stderr(std::move(line));
    if (!broken_ && !write_all(STDOUT_FILENO, line)) broken_ = true;
}

void Output::write_stderr(std::string line) {
    if (before_) before_();
    (void)write_all(STDERR_FILENO, line);
    if (after_) after_();
}

} // namespace offhook::cmd
