// What `call` and `answer` do in a call: play, say, dial digits, record, run steps and a hook, hang up in
// time, and judge what was expected.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/child.hpp"
#include "cmd/console.hpp"
#include "cmd/session.hpp"
#include "cmd/speech.hpp"
#include "cmd/stdin_lines.hpp"
#include "phone/expectations.hpp"
#include "phone/steps.hpp"

namespace offhook::cmd {

// The options, checked: every file readable, every text spoken, every step parsed.
struct TalkPlan {
    TalkOptions options;
    std::vector<Step> steps;
    bool steps_from_stdin = false, echo = false;
    std::vector<std::string> sounds; // to play in turn
    std::vector<std::string> hook;   // argv
    std::shared_ptr<Speech> speech;

    [[nodiscard]] bool has_steps() const { return steps_from_stdin || !steps.empty(); }
};

// Errors: invalid_argument, not_supported, device.
Result<TalkPlan> plan_talk(const TalkOptions &options, const std::vector<std::string> &tts_command,
                           bool json);

// What becomes of a REFER. Errors: invalid_argument (ask without anybody to ask).
Result<ReferPolicy> refer_policy(const TalkOptions &options, std::optional<ReferPolicy> configured,
                                 bool json);

class Talk {
public:
    struct Outcome {
        event::CallEnded ended;
        int exit = 0;
        std::string error; // of a step, an expectation or a file
    };
    using Done = std::function<void(const Outcome &)>;

    // From the first moment of a call (just dialled, or just ringing); `done` once, after call.ended and the
    // end of the calls that came in beside it.
    Talk(Session &session, const TalkPlan &plan, CallId call, Done done);
    ~Talk();
    // A person can press keys in this call.
    [[nodiscard]] bool has_keys() const { return console_ && console_->has_keys(); }
    // Call waiting, while this call goes on. False: nobody to ask, or no room.
    bool offer(CallId call) { return has_keys() && console_->calls().offer(call); }

    Talk(const Talk &) = delete;
    Talk &operator=(const Talk &) = delete;

private:
    void start_steps();
    void on_event(const Event &event);
    void on_answered(const CallView &call);
    void on_recording(const event::CallRecording &recording);
    void on_ended(const event::CallEnded &ended);
    void run_hook(const CallView &call);
    void start_recording(const CallView &call);
    void play_next();
    void on_stdin_line(const std::string &line);
    void steps_done(const Result<> &result);
    void give_up(int exit, const std::string &error);
    [[nodiscard]] bool work_requested() const;
    [[nodiscard]] bool work_done() const;
    void look();

    Session &session_;
    const TalkPlan &plan_;
    CallId call_;
    Done done_;
    Observers<Event>::Handle watching_;
    std::unique_ptr<Expectations> expectations_, quality_;
    std::unique_ptr<StepRunner> runner_;
    std::unique_ptr<StdinLines> lines_;
    std::unique_ptr<Child> hook_;
    std::unique_ptr<Console> console_;
    Timer hangup_, look_;
    std::size_t next_sound_ = 0;
    bool answered_ = false, playing_ = false, steps_running_ = false;
    int quiet_looks_ = 0, exit_ = 0;
    std::string error_;
};

} // namespace offhook::cmd
