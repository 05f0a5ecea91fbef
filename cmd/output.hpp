// Where words go: results and JSON lines to stdout, everything for the eye to stderr.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/json.hpp"
#include "cmd/options.hpp"
#include "phone/event.hpp"

namespace offhook::cmd {

class Output {
public:
    // Sets the log's level and sink. Errors: invalid_argument (the log file cannot be opened).
    static Result<> set_up_log(const GlobalOptions &options);
    explicit Output(const GlobalOptions &options);

    [[nodiscard]] bool json() const noexcept { return json_; }
    void only_the_result() noexcept { quiet_ = true; }     // --nagios
    void stdout_taken() noexcept { stdout_taken_ = true; } // --record -, --audio pipe

    void event(const Event &event); // JSON line, or a line for the eye
    // An event that is not the phone's: bridge.*.
    void event(std::string_view name, const Json &fields, std::string_view text);
    void listening(const std::vector<std::string> &addresses);
    void result(int exit, const Json &more);                // the last line of a one-shot command, JSON only
    void line(std::string_view event, const Json &members); // an event of a command's own, JSON only
    void text(std::string_view line);                       // a result for stdout
    void bytes(std::string_view result);                    // the same as it is, without a line end
    void progress(std::string_view line);                   // for the eye
    void error(std::string_view line);                      // "offhook: …"
    void trace(std::string text);                           // --trace: to stderr whatever --quiet says
    // Called around every line on stderr, so that a status line can step aside.
    void set_status_hooks(std::function<void()> before, std::function<void()> after);
    // stdout cannot be written any more: its reader has gone.
    [[nodiscard]] bool broken() const noexcept { return broken_; }

private:
    void write_stdout(std::string line);
    void write_stderr(std::string line);

    bool json_, quiet_, verbose_, stdout_taken_ = false, broken_ = false;
    std::uint64_t sequence_ = 0;
    std::function<void()> before_, after_;
};

} // namespace offhook::cmd
