#include <algorithm>
#include <deque>

#include "base/text.hpp"
#include "phone/pattern.hpp"
#include "phone/steps.hpp"

namespace offhook {

namespace {
using Kind = Step::Kind;
constexpr Duration poll_every{20};
constexpr std::size_t digits_kept = 64;
} // namespace

struct StepRunner::Self {
    Loop &loop;
    Phone &phone;
    CallId call;
    std::deque<Step> steps;
    Say say;
    Done done;
    Observers<Event>::Handle handle{};
    Timer limit, poll;

    std::size_t number = 0; // of the running step, from 1
    std::optional<Step> running{};
    bool no_more = false, finished = false, answered = false;
    std::string digits{}; // received and not yet waited for
    std::optional<event::CallEnded> ended{};
    std::shared_ptr<char> alive = std::make_shared<char>();

    Self(Loop &l, Phone &p, CallId c, std::vector<Step> s, Say sayer, Done d)
        : loop(l), phone(p), call(c),
          steps(std::make_move_iterator(s.begin()), std::make_move_iterator(s.end())), say(std::move(sayer)),
          done(std::move(d)), limit(l), poll(l) {}

    void next();
    void start();
    void succeed();
    void step_failed(const std::string &why);
    void finish(Result<> outcome);
    void tell_step(bool ok, const std::string &error);

    [[nodiscard]] bool fulfilled_by(const Event &event) const;
    void on_event(const Event &event);
    void on_ended(const event::CallEnded &event);
    void on_transfer(const event::CallTransfer &event);
    void call_is_over();
    void act(const Result<> &result, bool wait_for_event = false);
    void start_wait();
    void start_action();
    void check_digits();
    void check_sound();
    void watch_tone();
    void wait_until_sent();
};

void StepRunner::Self::next() {
    if (running || finished) return;
    if (steps.empty()) {
        if (no_more) finish({});
        return;
    }
    running = std::move(steps.front());
    steps.pop_front();
    ++number;
    start();
}

void StepRunner::Self::start() {
    if (ended && running->kind != Kind::wait_end && running->kind != Kind::hangup) return call_is_over();
    if (running->kind == Kind::wait_time) return poll.start(running->time, [this] { succeed(); });
    limit.start(running->limit,
                [this] { step_failed("did not happen within " + format_span(running->limit)); });
    if (running->kind <= Kind::wait_end ||
        (running->kind >= Kind::expect_dtmf && running->kind <= Kind::expect_audio))
        return start_wait();
    start_action();
}

void StepRunner::Self::start_wait() {
    switch (running->kind) {
    case Kind::wait_answer:
        if (answered) succeed();
        return;
    case Kind::wait_ringing: {
        const auto view = phone.call(call);
        if (answered || (view && view->state >= sip::DialogState::early)) succeed();
        return;
    }
    case Kind::wait_end:
        if (ended) succeed();
        return;
    case Kind::wait_dtmf:
    case Kind::expect_dtmf:
        return check_digits();
    case Kind::wait_tone:
    case Kind::expect_tone:
        return watch_tone();
    default:
        return check_sound();
    }
}

void StepRunner::Self::start_action() {
    switch (running->kind) {
    case Kind::play:
        return act(phone.play(call, running->text), true);
    case Kind::loop:
        return act(phone.play(call, running->text, true));
    case Kind::say: {
        if (!say) return step_failed("there is no command that speaks texts (tts_command)");
        const auto file = say(running->text);
        if (!file) return step_failed(file.error().what);
        running->text = *file;
        return act(phone.play(call, *file), true);
    }
    case Kind::dtmf:
        if (auto sent = phone.send_dtmf(call, running->text); !sent) return step_failed(sent.error().what);
        return wait_until_sent();
    case Kind::record:
        return act(phone.record(call, running->text));
    case Kind::hold:
        return act(phone.hold(call, true), true);
    case Kind::resume:
        return act(phone.hold(call, false), true);
    case Kind::mute:
        return act(phone.mute(call, true));
    case Kind::unmute:
        return act(phone.mute(call, false));
    case Kind::transfer:
        return act(phone.transfer(call, running->text), true);
    case Kind::hangup:
        if (ended) return succeed();
        return act(phone.hang_up(call), true);
    default:
        return step_failed("is not built in yet");
    }
}

void StepRunner::Self::act(const Result<> &result, bool wait_for_event) {
    if (!result) return step_failed(result.error().what);
    if (!wait_for_event) succeed();
}

void StepRunner::Self::wait_until_sent() {
    if (!phone.dtmf_busy(call)) return succeed();
    poll.start(poll_every, [this] { wait_until_sent(); });
}

void StepRunner::Self::check_digits() {
    if (digits.empty()) return;
    if (running->text.empty()) {
        digits.erase(0, 1);
        return succeed();
    }
    const auto pattern = Pattern::compile(running->text);
    if (!pattern) return step_failed(pattern.error().what);
    const auto end = pattern->find(digits);
    if (!end) return;
    digits.erase(0, *end);
    succeed();
}

void StepRunner::Self::check_sound() {
    if (const auto *audio = phone.audio(call); audio != nullptr) {
        const auto &silence = audio->silence();
        if (running->kind == Kind::expect_audio ? silence.heard_anything()
                                                : silence.silent_for() >= running->time)
            return succeed();
    }
    poll.start(poll_every, [this] { check_sound(); });
}

void StepRunner::Self::watch_tone() {
    const auto watched = phone.watch_tone(call, running->hz, [this] {
        // Comes from inside the audio tick: the next step may not run in there.
        loop.post([this, still = std::weak_ptr<char>(alive), at = number] {
            if (!still.expired() && running && number == at) succeed();
        });
    });
    if (!watched) step_failed(watched.error().what);
}

void StepRunner::Self::succeed() {
    limit.cancel();
    poll.cancel();
    tell_step(true, {});
    running.reset();
    loop.post([this, still = std::weak_ptr<char>(alive)] {
        if (!still.expired()) next();
    });
}

void StepRunner::Self::step_failed(const std::string &why) {
    limit.cancel();
    poll.cancel();
    tell_step(false, why);
    const auto refused = ended && !ended->answered ? ended->code : 0;
    auto error =
        Error{Errc::expectation,
              "step " + std::to_string(number) + " \"" + sanitise(running->source) + "\": " + why, refused};
    running.reset();
    if (!ended) (void)phone.hang_up(call); // it may be ending already
    finish(fail(std::move(error)));
}

void StepRunner::Self::finish(Result<> outcome) {
    finished = true;
    loop.post([this, still = std::weak_ptr<char>(alive), result = std::move(outcome)] {
        if (still.expired()) return;
        if (auto tell = std::move(done); tell) tell(result); // may destroy us
    });
}

void StepRunner::Self::tell_step(bool ok, const std::string &error) {
    phone.report_step(call, running->source, ok, error);
}

// What the step under way waits for has come.
bool StepRunner::Self::fulfilled_by(const Event &event) const {
    const auto *playback = std::get_if<event::CallPlayback>(&event);
    switch (running->kind) {
    case Kind::wait_answer:
        return answered;
    case Kind::wait_ringing:
        return answered || std::holds_alternative<event::CallRinging>(event) ||
               std::holds_alternative<event::CallEarly>(event);
    case Kind::hold:
        return std::holds_alternative<event::CallHeld>(event);
    case Kind::resume:
        return std::holds_alternative<event::CallResumed>(event);
    case Kind::play:
    case Kind::say:
        return playback != nullptr && playback->file == running->text;
    default:
        return false;
    }
}

void StepRunner::Self::on_event(const Event &event) {
    const auto *view = call_of(event);
    if (view == nullptr || view->id != call || finished) return;
    if (const auto *dtmf = std::get_if<event::CallDtmf>(&event); dtmf != nullptr && !dtmf->sent) {
        if (digits.size() == digits_kept) digits.erase(0, 1);
        digits += dtmf->digit;
    }
    if (std::holds_alternative<event::CallAnswered>(event)) answered = true;
    if (const auto *over = std::get_if<event::CallEnded>(&event)) return on_ended(*over);
    if (!running) return;
    if (const auto *told = std::get_if<event::CallTransfer>(&event)) on_transfer(*told);
    if (!running) return;
    if (fulfilled_by(event)) return succeed();
    if (running->kind == Kind::wait_dtmf || running->kind == Kind::expect_dtmf) check_digits();
}

void StepRunner::Self::on_transfer(const event::CallTransfer &event) {
    if (running->kind != Kind::transfer || event.role != TransferRole::transferor || !event.done) return;
    if (event.exit == 0) return succeed();
    step_failed("the call was not taken over: " +
                (event.code != 0 ? std::to_string(event.code) + " " : std::string{}) + event.reason);
}

void StepRunner::Self::on_ended(const event::CallEnded &event) {
    ended = event;
    if (!running) return;
    if (running->kind == Kind::wait_end || running->kind == Kind::hangup) return succeed();
    if (running->kind == Kind::transfer) return; // its outcome is still to come
    call_is_over();
}

void StepRunner::Self::call_is_over() {
    step_failed("the call ended first (" + (ended->answered ? "" : std::to_string(ended->code) + " ") +
                ended->reason + ")");
}

StepRunner::StepRunner(Loop &loop, Phone &phone, CallId call, std::vector<Step> steps, Say say, Done done)
    : self_(std::make_unique<Self>(loop, phone, call, std::move(steps), std::move(say), std::move(done))) {
    self_->handle = phone.events().add([raw = self_.get()](const Event &event) { raw->on_event(event); });
    const auto view = phone.call(call);
    self_->answered = view && view->state == sip::DialogState::confirmed;
    loop.post([raw = self_.get(), still = std::weak_ptr<char>(self_->alive)] {
        if (!still.expired()) raw->next();
    });
}

StepRunner::~StepRunner() {
    const auto &running = self_->running; // a watched tone would call into us
    if (running && (running->kind == Kind::wait_tone || running->kind == Kind::expect_tone))
        (void)self_->phone.watch_tone(self_->call, {}, {});
}

void StepRunner::add(std::vector<Step> steps) {
    std::ranges::move(steps, std::back_inserter(self_->steps));
    self_->loop.post([raw = self_.get(), still = std::weak_ptr<char>(self_->alive)] {
        if (!still.expired()) raw->next();
    });
}

void StepRunner::finish_when_idle() {
    self_->no_more = true;
    self_->loop.post([raw = self_.get(), still = std::weak_ptr<char>(self_->alive)] {
        if (!still.expired()) raw->next();
    });
}

} // namespace offhook
