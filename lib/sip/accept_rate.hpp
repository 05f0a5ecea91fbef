// How fast new connections are taken. After a restart, or when a network is up again, all browsers come back
// at once: those beyond it wait in the kernel's backlog, so that calls go on meanwhile. Pure.
#pragma once

#include <algorithm>

#include "base/clock.hpp"

namespace offhook::sip {

class AcceptRate {
public:
    static constexpr double per_second = 1'000, burst = 2'000;

    // One was taken: how long to take no other. 0: none.
    Duration taken(TimePoint now) noexcept {
        const std::chrono::duration<double> passed = used_ ? now - filled_ : Duration(0);
        tokens_ = std::min(burst, tokens_ + passed.count() * per_second) - 1;
        filled_ = now;
        used_ = true;
        // A few at a time: a timer for each would cost more than it.
        return tokens_ >= 1 ? Duration(0) : Duration(20);
    }

private:
    double tokens_ = burst;
    TimePoint filled_{};
    bool used_ = false;
};

} // namespace offhook::sip
