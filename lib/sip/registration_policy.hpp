// When a registration tries again and what it asks for: pure. Time and chance come in with the event.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace offhook::sip {

struct RegistrationPolicy {
    enum class Phase : std::uint8_t { idle, registering, registered, waiting, stopped };

    std::uint32_t expires = 600; // seconds to ask for; raised by 423
    bool once = false;           // no retries, no refreshes
    Phase phase = Phase::idle;
    unsigned backoff = 0;                  // steps taken since the last success
    std::optional<TimePoint> down_since{}; // first of the network failures in a row
    bool interval_raised = false;          // a 423 was answered already in this attempt
};

struct RegistrationEvent {
    enum class Kind : std::uint8_t {
        start,
        timer,        // the delay of the last decision is over
        accepted,     // 2xx; `granted`
        refused,      // a final status; `status`, `retry_after`, `min_expires`
        failed,       // no final response: `network` for transport and DNS errors and timeouts
        link_changed, // other addresses or routes
        flow_lost,    // the connection of the binding is gone
        stop
    } kind = Kind::start;
    TimePoint now{};
    double random = 0; // 0..1, uniform
    unsigned status = 0;
    std::uint32_t granted = 0; // seconds
    std::optional<std::uint32_t> retry_after{}, min_expires{};
    bool network = true;
};

struct RegistrationDecision {
    RegistrationPolicy next;
    bool register_now = false;
    bool new_flow = false;          // do not reuse the old one
    std::optional<Duration> wait{}; // until the event `timer`
    bool report_failure = false;    // tell the user; `wait` says when the next attempt is
};

RegistrationDecision step(const RegistrationPolicy &policy, const RegistrationEvent &event);

} // namespace offhook::sip
