#include "sip/subscription.hpp"

#include <algorithm>
#include <array>
#include <chrono>

namespace offhook::sip {

namespace {

using std::chrono::seconds;
using Phase = Subscriber::Phase;
using Due = Subscriber::Due;

constexpr std::uint32_t refresh_margin =
    40;                                     // seconds: above 64*T1, so that a lost refresh is noticed in time
constexpr std::uint32_t default_life = 180; // seconds, when a NOTIFY of an implicit one does not say

Duration span(std::uint32_t of_seconds) {
    return std::chrono::duration_cast<Duration>(seconds(of_seconds));
}

Duration until(TimePoint when, TimePoint now) {
    return std::max(Duration{0}, std::chrono::duration_cast<Duration>(when - now));
}

// Whether to subscribe anew after the notifier ended it, and when (RFC 6665 §4.1.3).
std::optional<Duration> again_after(const SubscriptionStatus &state) {
    if (state.reason == "rejected" || state.reason == "noresource" || state.reason == "invariant")
        return std::nullopt;
    if (state.reason == "probation" || state.reason == "giveup") return span(state.retry_after.value_or(60));
    return Duration{0}; // deactivated, timeout, or nothing said
}

// §4.1.2.2: these answers to a refresh mean that the subscription is gone; with others it lives on.
bool ends_refresh(unsigned status) {
    static constexpr std::array gone{404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604};
    return std::find(gone.begin(), gone.end(), static_cast<int>(status)) != gone.end();
}

class Step {
public:
    Step(const Subscriber &model, const SubscriberEvent &event) : event_(event), out_{model} {}

    SubscriberDecision run() {
        if (out_.next.phase == Phase::terminated) {
            out_.answer = 481;
            return std::move(out_);
        }
        switch (event_.kind) {
        case SubscriberEvent::Kind::start:
            start();
            break;
        case SubscriberEvent::Kind::accepted:
            accepted();
            break;
        case SubscriberEvent::Kind::refused:
            refused();
            break;
        case SubscriberEvent::Kind::failed:
            if (!established()) end("no answer came", std::nullopt);
            break;
        case SubscriberEvent::Kind::notified:
            notified();
            break;
        case SubscriberEvent::Kind::timer:
            timer();
            break;
        case SubscriberEvent::Kind::stop:
            stop();
            break;
        }
        return std::move(out_);
    }

private:
    [[nodiscard]] bool established() const {
        return out_.next.phase == Phase::pending || out_.next.phase == Phase::active;
    }

    void end(std::string why, std::optional<Duration> again) {
        out_.next.phase = Phase::terminated;
        out_.next.due = Due::nothing;
        out_.over = true;
        out_.why = std::move(why);
        out_.again = again;
    }

    void wait(Due due, Duration time) {
        out_.next.due = due;
        out_.wait = time;
    }

    void start() {
        if (out_.next.phase != Phase::idle) return;
        out_.next.phase = Phase::notify_wait;
        out_.subscribe = !out_.next.implicit;
        wait(Due::first_notify, out_.next.timer_n);
    }

    // The lifetime is known (again): refresh in good time, or just let it end.
    void schedule(std::uint32_t life) {
        out_.next.expires_at = event_.now + seconds(life);
        if (out_.next.implicit) return wait(Due::expiry, span(life));
        wait(Due::refresh, span(life > 3 * refresh_margin ? life - refresh_margin : life / 2));
    }

    void accepted() {
        if (out_.next.phase == Phase::ending || out_.next.phase == Phase::idle || out_.next.implicit) return;
        if (established() && event_.granted) schedule(*event_.granted);
    }

    void refused() {
        if (event_.status == 423 && event_.min_expires && !out_.next.interval_raised) {
            out_.next.interval_raised = true;
            out_.next.expires = std::max(out_.next.expires, *event_.min_expires);
            out_.subscribe = true;
            return;
        }
        if (established() && !ends_refresh(event_.status)) return; // valid until it expires
        std::optional<Duration> again;
        if (event_.retry_after) again = span(*event_.retry_after);
        if (event_.status == 481 && established()) again = Duration{0};
        end(std::to_string(event_.status), again);
    }

    void notified() {
        if (out_.next.phase == Phase::idle) {
            out_.answer = 481;
            return;
        }
        out_.tell = true;
        const auto &state = event_.state;
        if (state.value == SubscriptionStatus::Value::terminated)
            return end(state.reason.empty() ? "terminated" : state.reason,
                       out_.next.phase == Phase::ending ? std::nullopt : again_after(state));
        if (out_.next.phase == Phase::ending) return; // one that crossed our SUBSCRIBE with Expires: 0
        out_.next.phase = state.value == SubscriptionStatus::Value::pending ? Phase::pending : Phase::active;
        if (state.expires)
            schedule(*state.expires);
        else if (out_.next.due == Due::first_notify)
            schedule(out_.next.implicit ? default_life : out_.next.expires);
    }

    void timer() {
        switch (out_.next.due) {
        case Due::nothing:
            return;
        case Due::first_notify:
            return end("no NOTIFY came", std::nullopt);
        case Due::refresh:
            out_.subscribe = true;
            return wait(Due::expiry, until(out_.next.expires_at, event_.now));
        case Due::expiry:
            return end("expired", out_.next.implicit ? std::nullopt : std::optional(Duration{0}));
        }
    }

    void stop() {
        if (out_.next.phase == Phase::idle || out_.next.phase == Phase::ending) return end("stopped", {});
        out_.unsubscribe = true;
        out_.next.phase = Phase::ending;
        wait(Due::first_notify, out_.next.timer_n); // for the last NOTIFY
    }

    const SubscriberEvent &event_;
    SubscriberDecision out_;
};

class NotifierStep {
public:
    NotifierStep(const Notifier &model, const NotifierEvent &event) : event_(event), out_{model} {}

    NotifierDecision run() {
        switch (event_.kind) {
        case NotifierEvent::Kind::subscribe:
            subscribe();
            break;
        case NotifierEvent::Kind::approved:
            if (out_.next.phase == Notifier::Phase::pending) {
                out_.next.phase = Notifier::Phase::active;
                notify();
            }
            break;
        case NotifierEvent::Kind::changed:
            if (out_.next.phase == Notifier::Phase::active) notify();
            break;
        case NotifierEvent::Kind::answered:
            answered();
            break;
        case NotifierEvent::Kind::timer:
            end("timeout");
            break;
        case NotifierEvent::Kind::stop:
            end(event_.reason);
            break;
        }
        return std::move(out_);
    }

private:
    [[nodiscard]] bool terminated() const { return out_.next.phase == Notifier::Phase::terminated; }

    void subscribe() {
        if (terminated()) {
            out_.answer = 481;
            return;
        }
        const std::uint32_t asked = event_.expires.value_or(out_.next.max_expires);
        // §4.2.1.1: too brief only below the minimum, and 0 is no interval but the end.
        if (asked != 0 && asked < out_.next.min_expires) {
            out_.answer = 423;
            out_.expires = out_.next.min_expires;
            return;
        }
        out_.expires = std::min(asked, out_.next.max_expires);
        if (out_.next.phase == Notifier::Phase::idle)
            out_.next.phase = event_.pending ? Notifier::Phase::pending : Notifier::Phase::active;
        if (out_.expires == 0) return end("timeout");
        out_.next.expires_at = event_.now + seconds(out_.expires);
        out_.wait = span(out_.expires);
        notify();
    }

    void end(const std::string &reason) {
        if (terminated() || out_.next.phase == Notifier::Phase::idle) return;
        out_.next.phase = Notifier::Phase::terminated;
        out_.next.end_reason = reason;
        notify();
    }

    void notify() {
        if (out_.next.in_flight) {
            out_.next.changed = true;
            return;
        }
        out_.notify = true;
        out_.next.in_flight = true;
        out_.next.changed = false;
        out_.next.final_sent = terminated();
        using Value = SubscriptionStatus::Value;
        out_.state.value = terminated()                                 ? Value::terminated
                           : out_.next.phase == Notifier::Phase::active ? Value::active
                                                                        : Value::pending;
        if (terminated())
            out_.state.reason = out_.next.end_reason;
        else
            out_.state.expires = static_cast<std::uint32_t>(
                std::chrono::ceil<seconds>(until(out_.next.expires_at, event_.now)).count());
    }

    // §4.2.2: without a 2xx the subscriber is gone; a NOTIFY may have been challenged (401, 407) all the
    // same.
    void answered() {
        if (!out_.next.in_flight) return;
        out_.next.in_flight = false;
        if (event_.status / 100 != 2 || out_.next.final_sent) {
            out_.next.phase = Notifier::Phase::terminated;
            out_.over = true;
            return;
        }
        if (out_.next.changed) notify();
    }

    const NotifierEvent &event_;
    NotifierDecision out_;
};

} // namespace

SubscriberDecision step(const Subscriber &model, const SubscriberEvent &event) {
    return Step(model, event).run();
}

NotifierDecision step(const Notifier &model, const NotifierEvent &event) {
    return NotifierStep(model, event).run();
}

} // namespace offhook::sip
