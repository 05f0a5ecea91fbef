// One run of the phone for one command: loop, signals, time-out, taps, and the one way out.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/loop.hpp"
#include "cmd/options.hpp"
#include "cmd/output.hpp"
#include "cmd/setup.hpp"
#include "cmd/taps.hpp"
#include "phone/phone.hpp"
#include "sip/status.hpp"

namespace offhook::cmd {

class Session {
public:
    // Opens the phone. Errors: those of Phone::open, and of --trace and --pcap files.
    static Result<std::unique_ptr<Session>> open(const GlobalOptions &options, Setup setup, Output &output);
    ~Session();
    Session(const Session &) = delete;
    Session &operator=(const Session &) = delete;

    [[nodiscard]] Loop &loop() noexcept { return loop_; }
    [[nodiscard]] Phone &phone() noexcept { return *phone_; }
    [[nodiscard]] Output &output() noexcept { return output_; }
    [[nodiscard]] const Setup &setup() const noexcept { return setup_; }

    // Registers the account and tells the outcome once: nothing, or the failure and its exit code.
    void register_first(const std::string &account, std::function<void(const event::AccountFailed *)> done);
    // Ends calls and registrations, then run(). The first exit code counts. `error` is shown.
    void finish(int exit, const std::string &error = {});
    void finish(const Error &error, sip::Purpose purpose);
    [[nodiscard]] bool finishing() const noexcept { return exit_.has_value(); }
    // Until finish() has done its work. Returns the exit code.
    int run();
    [[nodiscard]] const std::optional<event::CallEnded> &last_call() const noexcept { return last_call_; }
    [[nodiscard]] const std::string &error() const noexcept { return error_; }
    // SIGHUP calls this instead of ending the command.
    void on_hangup(std::function<void()> hook) { hangup_hook_ = std::move(hook); }
    // Told at the start of finish().
    void on_finish(std::function<void()> hook) { finish_hook_ = std::move(hook); }

private:
    Session(const GlobalOptions &options, Setup setup, Output &output);
    void on_signal(int signo);
    void on_event(const Event &event);

    Output &output_;
    Setup setup_;
    Taps taps_;
    Loop loop_;
    Timer timeout_, last_resort_;
    std::unique_ptr<SignalWatch> signals_;
    std::unique_ptr<Phone> phone_;
    Observers<Event>::Handle watching_, registering_;
    std::optional<int> exit_;
    std::string error_;
    std::optional<event::CallEnded> last_call_;
    std::function<void()> finish_hook_, hangup_hook_;
};

} // namespace offhook::cmd
