// Browsers on their connections: who has shown who he is, and who sends more than a phone does. Pure: the
// time is given.
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <vector>

#include "base/token_bucket.hpp"
#include "sip/transport.hpp"

namespace offhook::bridge {

class Visitors {
public:
    static constexpr Duration stranger_for{30'000}; // from the first request, until something was granted
    static constexpr double burst = 50, per_second = 25;
    static constexpr double most_debt = 200; // requests beyond that: whoever goes on for so long is sent away

    enum class Verdict : std::uint8_t { pass, refuse, send_away };

    // A request came over this connection; the first makes it known.
    Verdict request(const sip::Flow &flow, TimePoint now);
    void known(const sip::Flow &flow); // a registration or call of it was granted
    void gone(const sip::Flow &flow) { visitors_.erase(flow.connection); }
    // Those whose time is over; they are told once.
    std::vector<sip::Flow> overdue(TimePoint now);

private:
    struct Visitor {
        TokenBucket bucket;
        bool known = false;
    };
    struct Stranger {
        TimePoint until;
        sip::Flow flow;
    };
    std::unordered_map<std::uint64_t, Visitor> visitors_; // by connection
    std::deque<Stranger> strangers_;                      // the first come first
};

} // namespace offhook::bridge
