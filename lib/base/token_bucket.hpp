// A token bucket: so many at once, and so many a second after that. Pure: the time is given.
#pragma once

#include <algorithm>
#include <chrono>
#include <limits>

#include "base/clock.hpp"

namespace offhook {

class TokenBucket {
public:
    // The tokens that are there now; at first `burst`, full. A clock that goes back adds none.
    double fill(double per_second, double burst, TimePoint now) noexcept {
        const double passed = std::chrono::duration<double>(now - filled_).count();
        tokens_ = used_ ? std::min(burst, tokens_ + std::max(0.0, passed) * per_second) : burst;
        filled_ = now;
        used_ = true;
        return tokens_;
    }
    // One, whether it is there or not, down to a debt of `most_debt`. The tokens that are left.
    double take(double most_debt = std::numeric_limits<double>::infinity()) noexcept {
        return tokens_ = std::max(tokens_ - 1, -most_debt);
    }

private:
    double tokens_ = 0;
    TimePoint filled_{};
    bool used_ = false;
};

} // namespace offhook
