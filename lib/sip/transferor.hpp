// The transferor's side of a transfer (RFC 5589 §6, §7) as a pure machine: hold, REFER, the implicit
// subscription to its end, and what becomes of the call in our hands. It is a dialog usage of its own: the
// call may end before the outcome is told (RFC 5057 §4).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sip/subscription.hpp"

namespace offhook::sip {

struct Transferor {
    enum class Phase : std::uint8_t { idle, holding, consulting, referring, waiting, finished };
    Phase phase = Phase::idle;
    bool attended = false;  // the target is called first, on a call that we end if nothing comes of it
    bool held = false;      // we put the call on hold for this, and have to resume it
    bool call_over = false; // the INVITE usage has ended
    unsigned last_code = 0; // told last, by REFER's answer or NOTIFY
    Subscriber subscription{.implicit = true};
};

struct TransferorEvent {
    enum class Kind : std::uint8_t {
        start,          // `held`: the call is on hold already
        held,           // our hold was accepted
        hold_failed,    // the peer would not be held: it is asked all the same
        consulted,      // the target took our call
        consult_failed, // it did not: `status`, `reason`
        answered,       // the REFER got its final response: `status`, `no_subscription` (Refer-Sub: false)
        failed,         // the REFER got none: `reason`
        notified,       // NOTIFY with Event: refer; `state`, and `status` and `reason` of its sipfrag (0:
                        // unreadable)
        timer,
        call_ended, // BYE, or the call was lost
        give_up     // the user's patience is over
    } kind = Kind::start;
    TimePoint now{};
    bool held = false, no_subscription = false;
    unsigned status = 0;
    std::string reason{};
    SubscriptionStatus state{};
};

struct TransferorDecision {
    struct Outcome {
        bool success = false;
        unsigned code = 0; // true code of the target (or of REFER's refusal); 0: never told
        std::string reason;
        bool timed_out = false; // nobody told in time
    };
    Transferor next;
    unsigned answer = 200;                             // to the NOTIFY
    bool hold = false, consult = false, refer = false; // in this order
    std::optional<unsigned> progress{};                // a provisional code to show
    std::optional<Outcome> outcome{};                  // once
    bool resume = false;                               // take the call from hold
    bool end_consultation = false;                     // nothing came of it
    bool hang_up = false;                              // the peers talk to each other: our call ends
    std::optional<Duration> wait{};
    bool over = false; // nothing more will come: forget it
};

TransferorDecision step(const Transferor &model, const TransferorEvent &event);

} // namespace offhook::sip
