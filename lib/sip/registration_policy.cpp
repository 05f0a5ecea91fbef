#include "sip/registration_policy.hpp"

#include <algorithm>
#include <array>

namespace offhook::sip {

namespace {

using namespace std::chrono_literals;
using Phase = RegistrationPolicy::Phase;
using Kind = RegistrationEvent::Kind;

constexpr Duration max_backoff = 1800s;       // RFC 5626 §4.5
constexpr Duration outage_backoff = 5s;       // while a registrar may be restarting
constexpr Duration outage_patience = 10min;   // after that it is more than a restart
constexpr Duration wrong_credentials = 5min;  // trying again sooner locks accounts
constexpr Duration flow_backoff = 1s;         // a lost connection is replaced within 2 s
constexpr std::uint32_t max_expires = 86'400; // a 423 asking for more than a day is not obeyed

// 1, 2, 4, 8, 16, 30 s, then RFC 5626's doubling of its base of 30 s.
Duration backoff(unsigned steps) {
    constexpr std::array<Duration, 6> first{1s, 2s, 4s, 8s, 16s, 30s};
    if (steps < first.size()) return first[steps];
    const unsigned doublings = std::min<unsigned>(steps - static_cast<unsigned>(first.size()) + 1, 6);
    return std::min<Duration>(first.back() * (1U << doublings), max_backoff);
}

Duration scaled(Duration whole, double low, double high, double random) {
    const double factor = low + (high - low) * std::clamp(random, 0.0, 1.0);
    return std::chrono::duration_cast<Duration>(whole * factor);
}

RegistrationDecision register_now(RegistrationPolicy next, bool new_flow) {
    next.phase = Phase::registering;
    RegistrationDecision decision{next};
    decision.register_now = true;
    decision.new_flow = new_flow;
    return decision;
}

RegistrationDecision report(RegistrationPolicy next, Duration wait) {
    RegistrationDecision decision{next};
    decision.report_failure = true;
    decision.next.interval_raised = false;
    decision.next.phase = next.once ? Phase::stopped : Phase::waiting;
    if (!next.once) decision.wait = wait;
    return decision;
}

RegistrationDecision accepted(RegistrationPolicy next, const RegistrationEvent &event) {
    next.phase = next.once ? Phase::stopped : Phase::registered;
    next.backoff = 0;
    next.down_since.reset();
    next.interval_raised = false;
    RegistrationDecision decision{next};
    if (!next.once)
        decision.wait =
            std::max<Duration>(scaled(std::chrono::seconds(event.granted), 0.5, 0.9, event.random), 500ms);
    return decision;
}

RegistrationDecision refused(RegistrationPolicy next, const RegistrationEvent &event) {
    next.down_since.reset(); // somebody answers
    if (event.status == 423 && !next.interval_raised && event.min_expires &&
        *event.min_expires > next.expires && *event.min_expires <= max_expires) {
        next.expires = *event.min_expires;
        next.interval_raised = true;
        return register_now(next, false);
    }
    if (event.status == 401 || event.status == 403 || event.status == 407)
        return report(next, wrong_credentials);
    if (event.retry_after && *event.retry_after > 0)
        return report(next, scaled(std::chrono::seconds(std::min(*event.retry_after, max_expires)), 1.0, 1.1,
                                   event.random));
    const Duration wait = scaled(backoff(next.backoff), 0.5, 1.0, event.random);
    ++next.backoff;
    return report(next, wait);
}

RegistrationDecision failed(RegistrationPolicy next, const RegistrationEvent &event) {
    if (!event.network) next.down_since.reset();
    if (event.network && !next.down_since) next.down_since = event.now;
    Duration whole = backoff(next.backoff);
    if (next.down_since && event.now - *next.down_since < outage_patience) {
        // The steps wait for the end of the fast attempts at the last of the short ones.
        if (whole < 30s) ++next.backoff;
        whole = std::min(whole, outage_backoff);
    } else {
        ++next.backoff;
    }
    return report(next, scaled(whole, 0.5, 1.0, event.random));
}

} // namespace

RegistrationDecision step(const RegistrationPolicy &policy, const RegistrationEvent &event) {
    RegistrationPolicy next = policy;
    if (event.kind == Kind::start) {
        if (policy.phase == Phase::idle || policy.phase == Phase::stopped) return register_now(next, false);
        return {next};
    }
    if (event.kind == Kind::stop) {
        next.phase = Phase::stopped;
        return {next};
    }
    if (policy.phase == Phase::idle || policy.phase == Phase::stopped) return {next};
    switch (event.kind) {
    case Kind::timer:
        return register_now(next, false);
    case Kind::accepted:
        return accepted(next, event);
    case Kind::refused:
        return refused(next, event);
    case Kind::failed:
        return failed(next, event);
    case Kind::link_changed:
        next.backoff = 0;
        next.down_since.reset();
        return register_now(next, true);
    case Kind::flow_lost: {
        if (policy.phase != Phase::registered) return {next}; // an attempt is under way or due
        RegistrationDecision decision{next};
        decision.new_flow = true;
        decision.wait = scaled(flow_backoff, 0.5, 1.0, event.random);
        return decision;
    }
    case Kind::start:
    case Kind::stop:
        break;
    }
    return {next};
}

} // namespace offhook::sip
