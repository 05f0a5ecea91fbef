// How fast new connections are taken. After a restart, or when a network is up again, all browsers come back
// at once: those beyond it wait in the kernel's backlog, so that calls go on meanwhile. Pure.
#pragma once

#include "base/token_bucket.hpp"

namespace offhook::sip {

class AcceptRate {
public:
    static constexpr double per_second = 1'000, burst = 2'000;

    // One was taken: how long to take no other. 0: none.
    Duration taken(TimePoint now) noexcept {
        bucket_.fill(per_second, burst, now);
        // A few at a time: a timer for each would cost more than it.
        return bucket_.take() >= 1 ? Duration(0) : Duration(20);
    }

private:
    TokenBucket bucket_;
};

} // namespace offhook::sip
