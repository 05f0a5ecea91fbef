// Both ends of a subscription (RFC 6665 §4) as pure machines, for every event package: SUBSCRIBE of our own
// (`watch`), the implicit subscription of a REFER, and what others subscribe to here. Their owner sends, runs
// one timer for each, and hands in what happened; when the timer is over it says `timer`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.hpp"
#include "sip/event_headers.hpp"

namespace offhook::sip {

// The subscriber (§4.1.2): notify_wait → pending / active → terminated.
struct Subscriber {
    enum class Phase : std::uint8_t { idle, notify_wait, pending, active, ending, terminated };
    // What the running timer is for.
    enum class Due : std::uint8_t { nothing, first_notify, refresh, expiry };

    std::uint32_t expires = 3600; // seconds to ask for
    bool implicit = false;        // made by REFER: not refreshed (RFC 3515 §2.4.7)
    Duration timer_n{32'000};     // 64*T1: a SUBSCRIBE (or REFER) without NOTIFY has failed (§4.1.2.4)
    Phase phase = Phase::idle;
    Due due = Due::nothing;
    bool interval_raised = false; // a 423 was answered already
    TimePoint expires_at{};       // meaningful in pending and active
};

struct SubscriberEvent {
    enum class Kind : std::uint8_t {
        start,    // subscribe; for an implicit one: the REFER goes out
        accepted, // 2xx; `granted` from its Expires
        refused,  // any other final status; `status`, `retry_after`, `min_expires`
        failed,   // no final response
        notified, // NOTIFY; `state` from its Subscription-State
        timer,
        stop // the user wants no more
    } kind = Kind::start;
    TimePoint now{};
    unsigned status = 0;
    std::optional<std::uint32_t> granted{}, retry_after{}, min_expires{}; // seconds
    SubscriptionStatus state{};
};

struct SubscriberDecision {
    Subscriber next;
    unsigned answer = 200;    // to the NOTIFY; 481 when there is no such subscription (any more)
    bool subscribe = false;   // send SUBSCRIBE with `next.expires`
    bool unsubscribe = false; // send SUBSCRIBE with Expires: 0
    bool tell = false;        // the NOTIFY's body is news for the user
    bool over = false;        // ended now; `why` says it, `again` when trying once more makes sense
    std::string why{};        // "rejected", "timeout", "no NOTIFY came" …
    std::optional<Duration> again{};
    std::optional<Duration> wait{}; // restart the timer; absent: leave it; a terminated machine needs none
};

SubscriberDecision step(const Subscriber &model, const SubscriberEvent &event);

// The notifier (§4.2.2). NOTIFYs never overlap: while one is unanswered, changes wait and are told as one.
struct Notifier {
    enum class Phase : std::uint8_t { idle, pending, active, terminated };

    std::uint32_t min_expires = 0, max_expires = 3600; // seconds; 0 as minimum: any
    Phase phase = Phase::idle;
    bool in_flight = false, changed = false; // a NOTIFY is unanswered; there is more to tell after it
    bool final_sent = false;
    TimePoint expires_at{};
    std::string end_reason{}; // of the final NOTIFY
};

struct NotifierEvent {
    enum class Kind : std::uint8_t {
        subscribe, // first or refreshing SUBSCRIBE (or REFER); `expires` 0 ends it after one NOTIFY
        approved,  // a pending one may see the state now
        changed,   // the state is another
        answered,  // the NOTIFY got its final response, `status`; 0: none came
        timer,     // expired
        stop       // we end it; `reason`
    } kind = Kind::subscribe;
    TimePoint now{};
    std::optional<std::uint32_t> expires{}; // asked for, in seconds; absent: the maximum
    bool pending = false;                   // of the first subscribe: a person must agree
    unsigned status = 0;
    std::string reason{};
};

struct NotifierDecision {
    Notifier next;
    unsigned answer = 200;     // to the SUBSCRIBE: 200, 423 (Min-Expires), 481
    std::uint32_t expires = 0; // of that 2xx, or the Min-Expires of 423
    bool notify = false;       // send NOTIFY with `state` and the present content
    SubscriptionStatus state{};
    bool over = false;              // nothing more will be sent: forget it
    std::optional<Duration> wait{}; // restart the timer
};

NotifierDecision step(const Notifier &model, const NotifierEvent &event);

} // namespace offhook::sip
