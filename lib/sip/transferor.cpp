#include "sip/transferor.hpp"

#include "sip/status.hpp"

namespace offhook::sip {

namespace {

using Phase = Transferor::Phase;
using Kind = TransferorEvent::Kind;

class Step {
public:
    Step(const Transferor &model, const TransferorEvent &event) : event_(event), out_{model} {}

    TransferorDecision run() {
        switch (event_.kind) {
        case Kind::start:
            start();
            break;
        case Kind::held:
        case Kind::hold_failed:
            if (out_.next.phase != Phase::holding) break;
            out_.next.held = event_.kind == Kind::held;
            consult_or_refer();
            break;
        case Kind::consulted:
            if (out_.next.phase == Phase::consulting) refer();
            break;
        case Kind::consult_failed:
            if (out_.next.phase == Phase::consulting)
                finish({false, event_.status, text_of(event_.status, event_.reason), event_.status == 0});
            break;
        case Kind::answered:
            answered();
            break;
        case Kind::failed:
            if (out_.next.phase == Phase::referring) finish({false, 0, event_.reason, true});
            break;
        case Kind::notified:
            notified();
            break;
        case Kind::timer:
            timer();
            break;
        case Kind::call_ended:
            call_ended();
            break;
        case Kind::give_up:
            finish({false, 0, "the outcome was not told in time", true});
            break;
        }
        return std::move(out_);
    }

private:
    void start() {
        if (out_.next.phase != Phase::idle) return;
        if (event_.held) return consult_or_refer();
        out_.next.phase = Phase::holding;
        out_.hold = true;
    }

    void consult_or_refer() {
        if (!out_.next.attended) return refer();
        out_.next.phase = Phase::consulting;
        out_.consult = true;
    }

    void refer() {
        out_.next.phase = Phase::referring;
        out_.refer = true;
        // NOTIFYs may overtake the 202; until that comes the transaction's own timers watch.
        out_.next.subscription = sip::step(out_.next.subscription, {.now = event_.now}).next;
    }

    void answered() {
        if (out_.next.phase != Phase::referring) return;
        if (event_.status / 100 != 2)
            return finish({false, event_.status, text_of(event_.status, event_.reason), false});
        out_.next.phase = Phase::waiting;
        if (event_.no_subscription) return finish({true, event_.status, text_of(event_.status, {}), false});
        if (out_.next.subscription.due == Subscriber::Due::first_notify)
            out_.wait = out_.next.subscription.timer_n;
    }

    void notified() {
        SubscriberEvent event{.kind = SubscriberEvent::Kind::notified, .now = event_.now};
        event.state = event_.state;
        const auto subscription = sip::step(out_.next.subscription, event);
        out_.next.subscription = subscription.next;
        out_.answer = subscription.answer;
        out_.wait = subscription.wait;
        if (subscription.answer != 200) return;
        if (out_.next.phase == Phase::referring) out_.next.phase = Phase::waiting;
        if (out_.next.phase == Phase::waiting) take(event_.status);
        if (!subscription.over) return;
        if (out_.next.phase == Phase::waiting)
            finish({false, 0,
                    "the peer said no more than " + (out_.next.last_code == 0
                                                         ? std::string("nothing")
                                                         : std::to_string(out_.next.last_code)),
                    true});
        out_.over = true;
    }

    void take(unsigned status) {
        if (status == 0) return;
        out_.next.last_code = status;
        if (status < 200)
            out_.progress = status;
        else
            finish({status / 100 == 2, status, text_of(status, event_.reason), false});
    }

    void timer() {
        if (out_.next.phase == Phase::finished) { // the last NOTIFY never came
            out_.over = true;
            return;
        }
        if (out_.next.phase != Phase::waiting) return;
        SubscriberEvent event{.kind = SubscriberEvent::Kind::timer, .now = event_.now};
        const auto subscription = sip::step(out_.next.subscription, event);
        out_.next.subscription = subscription.next;
        if (subscription.over) finish({false, 0, subscription.why, true});
        out_.over = subscription.over;
    }

    void call_ended() {
        out_.next.call_over = true;
        if (out_.next.phase < Phase::referring) {
            finish({false, 0, "the call ended before it was transferred", false});
            out_.over = true;
        }
    }

    void finish(TransferorDecision::Outcome outcome) {
        if (out_.next.phase == Phase::finished) return;
        const bool subscribed = out_.next.phase == Phase::waiting && !event_.no_subscription;
        out_.next.phase = Phase::finished;
        out_.end_consultation = out_.next.attended && !outcome.success;
        if (!out_.next.call_over) {
            out_.hang_up = outcome.success;
            out_.resume = !outcome.success && out_.next.held;
        }
        out_.outcome = std::move(outcome);
        out_.over = !subscribed || out_.next.subscription.phase == Subscriber::Phase::terminated;
    }

    static std::string text_of(unsigned status, const std::string &reason) {
        return reason.empty() ? std::string(reason_phrase(status)) : reason;
    }

    const TransferorEvent &event_;
    TransferorDecision out_;
};

} // namespace

TransferorDecision step(const Transferor &model, const TransferorEvent &event) {
    return Step(model, event).run();
}

} // namespace offhook::sip
