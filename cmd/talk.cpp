#include "cmd/talk.hpp"

#include "base/log.hpp"
#include "cmd/record_name.hpp"
#include "sip/status.hpp"

namespace offhook::cmd {

namespace {

constexpr int exit_usage = 2, exit_expectation = 40;
constexpr Duration look_interval{100};
constexpr const char *default_record_name = "{date}-{time}-{peer}.wav";

} // namespace

Talk::Talk(Session &session, const TalkPlan &plan, CallId call, Done done)
    : session_(session), plan_(plan), call_(call), done_(std::move(done)), hangup_(session.loop()),
      look_(session.loop()) {
    auto &phone = session_.phone();
    const auto &options = plan_.options;
    ExpectationOptions expected;
    expected.dtmf = options.expect_dtmf;
    expected.tone = options.expect_tone;
    expected.headers = options.expect_headers;
    expected.audio = options.expect_audio;
    if (expected.any())
        if (auto watched = Expectations::watch(phone, call, expected)) expectations_ = std::move(*watched);
    // The quality is judged at the end only, the rest as soon as it is there.
    if (options.min_mos) {
        ExpectationOptions quality;
        quality.min_mos = *options.min_mos;
        if (auto watched = Expectations::watch(phone, call, quality)) quality_ = std::move(*watched);
    }
    // After the expectations: they must have seen the end when we judge them.
    watching_ = phone.events().add([this](const Event &event) { on_event(event); });
    if (plan_.has_steps()) start_steps();
    const bool keys = Terminal::is_interactive() && !session_.output().json() && options.play != "-" &&
                      !plan_.steps_from_stdin;
    if (keys) console_ = std::make_unique<Console>(session_, call_, default_record_name);
}

Talk::~Talk() = default;

void Talk::start_steps() {
    steps_running_ = true;
    auto say = [this](std::string_view text) { return plan_.speech->say(std::string(text)); };
    runner_ =
        std::make_unique<StepRunner>(session_.loop(), session_.phone(), call_, plan_.steps, std::move(say),
                                     [this](const Result<> &result) { steps_done(result); });
    if (!plan_.steps_from_stdin) return runner_->finish_when_idle();
    lines_ = std::make_unique<StdinLines>(
        session_.loop(), [this](const std::string &line) { on_stdin_line(line); },
        [this] { runner_->finish_when_idle(); });
}

void Talk::on_stdin_line(const std::string &line) {
    if (line.find_first_not_of(" \t\r") == std::string::npos || line[0] == '#') return;
    auto steps = parse_steps(line);
    if (!steps) return give_up(exit_usage, steps.error().what);
    runner_->add(std::move(*steps));
}

void Talk::steps_done(const Result<> &result) {
    steps_running_ = false;
    if (!result) give_up(exit_expectation, result.error().what);
}

// The call cannot go on as asked: it ends, and with it the command.
void Talk::give_up(int exit, const std::string &error) {
    if (exit_ == 0) {
        exit_ = exit;
        error_ = error;
    }
    session_.loop().post([&session = session_, call = call_] { (void)session.phone().hang_up(call); });
}

void Talk::on_event(const Event &event) {
    const auto *call = call_of(event);
    if (call == nullptr || call->id != call_) return;
    if (std::holds_alternative<event::CallAnswered>(event)) on_answered(*call);
    if (std::holds_alternative<event::CallPlayback>(event) && playing_) play_next();
    if (const auto *transfer = std::get_if<event::CallTransfer>(&event);
        transfer != nullptr && transfer->asks)
        session_.output().progress("y go there, n stay");
    if (const auto *recording = std::get_if<event::CallRecording>(&event)) on_recording(*recording);
    if (const auto *ended = std::get_if<event::CallEnded>(&event)) on_ended(*ended);
}

// A full disk ends the recording, not the call; the exit status tells.
void Talk::on_recording(const event::CallRecording &recording) {
    if (recording.error.empty() || exit_ != 0) return;
    exit_ = sip::exit_code(Error{Errc::device, {}});
    error_ = recording.error;
}

void Talk::on_answered(const CallView &call) {
    if (std::exchange(answered_, true)) return;
    const auto &options = plan_.options;
    run_hook(call);
    if (plan_.echo) (void)session_.phone().echo(call_, true);
    if (!options.record.empty()) start_recording(call);
    if (options.hangup_after)
        hangup_.start(*options.hangup_after, [this] { (void)session_.phone().hang_up(call_); });
    if (!options.dtmf.empty())
        if (auto sent = session_.phone().send_dtmf(call_, options.dtmf); !sent)
            give_up(exit_usage, sent.error().what);
    play_next();
    look();
}

void Talk::run_hook(const CallView &call) {
    if (plan_.hook.empty()) return;
    const Environment facts{{"OFFHOOK_EVENT", "call.answered"},
                            {"OFFHOOK_CALL", to_string(call.id)},
                            {"OFFHOOK_ACCOUNT", call.account},
                            {"OFFHOOK_DIRECTION", std::string(name(call.direction))},
                            {"OFFHOOK_LOCAL", call.local},
                            {"OFFHOOK_REMOTE", call.remote},
                            {"OFFHOOK_REMOTE_NAME", call.remote_name},
                            {"OFFHOOK_CODEC", call.codec},
                            {"OFFHOOK_SIP_CALL_ID", call.sip_call_id}};
    auto child = Child::start(plan_.hook, facts, [](int status) {
        if (status != 0) log_warning("--on-answer ended with exit status " + std::to_string(status));
    });
    if (child)
        hook_ = std::move(*child);
    else
        log_warning("--on-answer: " + child.error().what);
}

void Talk::start_recording(const CallView &call) {
    const auto &name = plan_.options.record;
    const std::string path =
        name == "-" ? name : expand_record_name(name, call.remote, std::chrono::system_clock::now());
    if (auto recording = session_.phone().record(call_, path); !recording)
        give_up(sip::exit_code(recording.error()), recording.error().what);
}

void Talk::play_next() {
    playing_ = next_sound_ < plan_.sounds.size();
    if (!playing_) return;
    const auto played = session_.phone().play(call_, plan_.sounds[next_sound_++], plan_.options.play_loop);
    if (!played) {
        playing_ = false;
        give_up(sip::exit_code(played.error()), played.error().what);
    }
}

bool Talk::work_requested() const {
    const auto &options = plan_.options;
    return (!plan_.sounds.empty() && !options.play_loop) || !options.dtmf.empty() || plan_.has_steps() ||
           expectations_ || options.then == "hangup";
}

bool Talk::work_done() const {
    return (!playing_ || plan_.options.play_loop) && !steps_running_ && !session_.phone().dtmf_busy(call_) &&
           (!expectations_ || expectations_->outcome().has_value());
}

// Everything asked for is done: hang up. Twice in a row, so that the far end has heard the last of it.
void Talk::look() {
    quiet_looks_ = work_done() ? quiet_looks_ + 1 : 0;
    // --hangup-after alone says how long the call is to last.
    const bool timed = plan_.options.hangup_after && plan_.options.then.empty();
    const bool may_wait = plan_.options.then == "wait" || timed || !work_requested();
    if (!may_wait && quiet_looks_ > 2) {
        (void)session_.phone().hang_up(call_);
        return;
    }
    // Expectations want to be looked at while there is sound.
    if (!may_wait || expectations_) look_.start(look_interval, [this] { look(); });
}

void Talk::on_ended(const event::CallEnded &ended) {
    Outcome outcome{ended, exit_ != 0 ? exit_ : ended.exit, error_};
    for (const auto *expected : {expectations_.get(), quality_.get()}) {
        if (outcome.exit != 0 || !ended.answered || expected == nullptr) continue;
        if (const auto met = expected->outcome(); !met) {
            outcome.exit = exit_expectation;
            outcome.error = met.error().what;
        }
    }
    // The observers are still being told of this event: what hangs on them must live on until they have heard
    // it.
    const auto tell = [done = done_, outcome] { done(outcome); };
    if (console_ && !console_->calls().alone()) return console_->calls().when_over(tell);
    session_.loop().post(tell);
}

} // namespace offhook::cmd
