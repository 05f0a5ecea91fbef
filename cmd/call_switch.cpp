#include "cmd/call_switch.hpp"

namespace offhook::cmd {

CallSwitch::CallSwitch(Session &session, CallId first) : session_(session), current_(first) {
    watching_ = session_.phone().events().add([this](const Event &event) { on_event(event); });
}

bool CallSwitch::offer(CallId call) {
    if (waiting_ || other_ || session_.finishing()) return false;
    waiting_ = call;
    session_.output().progress("\a" + who(call) +
                               " is calling: a answer (this call waits), b busy, d decline");
    return true;
}

bool CallSwitch::press(char key) {
    const auto rings = ringing(current_) ? std::optional(current_) : waiting_;
    if (rings && decide(*rings, key)) return true;
    if (!other_ || (key != 's' && key != 'c')) return false;
    key == 's' ? swap() : confer();
    return true;
}

bool CallSwitch::decide(CallId call, char key) {
    const bool first = call == current_;
    if (key == 'a')
        first ? take(call) : take_waiting();
    else if (key == 'b' || (first && key == 'r'))
        refuse(call, 486);
    else if (key == 'd')
        refuse(call, 603);
    else
        return false;
    return true;
}

void CallSwitch::take(CallId call) {
    if (auto answered = session_.phone().answer(call); !answered) {
        session_.output().error(answered.error().what);
        const unsigned status = answered.error().sip >= 300 ? answered.error().sip : 500;
        (void)session_.phone().reject(call, status); // unless it did
    }
}

// Who is there waits, whether there is a sound card to share or not.
void CallSwitch::take_waiting() {
    const auto here = session_.phone().call(current_);
    if (here && !here->held_locally)
        if (auto held = session_.phone().hold(current_, true); !held) return show(held);
    take(*waiting_);
    other_ = current_;
    current_ = *waiting_;
    waiting_.reset();
}

void CallSwitch::swap() {
    if (auto held = session_.phone().hold(current_, true); !held) return show(held);
    std::swap(current_, *other_);
    show(session_.phone().hold(current_, false));
}

void CallSwitch::confer() {
    const auto here = session_.phone().call(current_);
    if (here && here->in_conference) return show(session_.phone().hold(*other_, true)); // ends it
    const auto joined = session_.phone().conference(current_, *other_);
    if (joined) session_.output().progress("conference with " + who(*other_) + ": c ends it, s swaps");
    show(joined);
}

void CallSwitch::refuse(CallId call, unsigned status) {
    show(session_.phone().reject(call, status));
}

void CallSwitch::on_event(const Event &event) {
    if (const auto *over = std::get_if<event::CallEnded>(&event)) ended(over->call.id);
}

void CallSwitch::ended(CallId call) {
    if (waiting_ == call) return waiting_.reset();
    if (other_ == call) return other_.reset();
    if (call != current_) return;
    if (other_) {
        current_ = *other_;
        other_.reset();
        const auto here = session_.phone().call(current_);
        session_.output().progress("back to " + who(current_));
        if (here && here->held_locally) show(session_.phone().hold(current_, false));
    } else if (waiting_) {
        current_ = *waiting_;
        waiting_.reset();
    } else if (over_) {
        session_.loop().post(std::exchange(over_, {}));
    }
}

void CallSwitch::show(const Result<> &done) {
    if (!done) session_.output().progress(done.error().what);
}

bool CallSwitch::ringing(CallId call) const {
    const auto view = session_.phone().call(call);
    return view && view->direction == CallDirection::incoming && view->state < sip::DialogState::confirmed;
}

std::string CallSwitch::who(CallId call) const {
    const auto view = session_.phone().call(call);
    if (!view) return "nobody";
    return view->remote_name.empty() ? view->remote : view->remote_name;
}

std::string CallSwitch::beside() const {
    if (waiting_) return who(*waiting_) + " is calling";
    if (!other_) return "";
    const auto view = session_.phone().call(*other_);
    if (view && view->in_conference) return "with " + who(*other_);
    return who(*other_) + (view && view->held_locally ? " on hold" : "");
}

std::string CallSwitch::keys() const {
    std::string text;
    if (waiting_ || ringing(current_)) text += ", a answer, b busy, d decline";
    if (other_) text += ", s swap, c conference";
    return text;
}

} // namespace offhook::cmd
