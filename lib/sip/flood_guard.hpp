// How many new requests strangers may send: a token bucket for each source and one for all of them together.
// Memory is fixed, whatever arrives: sources share 1,024 buckets, dealt out by a secret hash. Pure: the
// caller brings the time.
#pragma once

#include <array>
#include <cstdint>

#include "base/address.hpp"
#include "base/clock.hpp"
#include "base/token_bucket.hpp"

namespace offhook::sip {

class FloodGuard {
public:
    struct Limits {
        double per_source = 15, burst = 30; // requests a second, and at once
        double in_all = 200, burst_in_all = 400;
    };
    enum class Verdict : std::uint8_t {
        pass,
        refuse, // tell it: 503 with Retry-After
        drop    // it goes on all the same: not a byte more
    };

    explicit FloodGuard(Limits limits) noexcept;
    // A request from `source` (its port does not count; of IPv6 the /64) that belongs to nothing we know.
    Verdict admit(const Address &source, TimePoint now) noexcept;

private:
    [[nodiscard]] std::size_t index_of(const Address &source) const noexcept;

    Limits limits_;
    std::uint64_t salt_;
    std::array<TokenBucket, 1024> sources_{};
    std::array<TokenBucket, 1024> answers_{}; // what may still be told that it is too much
    TokenBucket all_{};
};

} // namespace offhook::sip
