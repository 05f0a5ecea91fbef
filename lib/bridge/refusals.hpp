// What was refused: counted by reason, and told once for each source and reason in a while, so that whoever
// attacks writes no log of ours. Pure: the time is given.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.hpp"
#include "base/token_bucket.hpp"

namespace offhook::bridge {

enum class Refusal : std::uint8_t {
    policy,                 // a request for what its sender may not have
    guessing,               // a request while its sender is locked out
    login,                  // a token or cookie that proves nothing
    rate,                   // requests of strangers, more than they may send
    browser_rate,           // messages of a browser, more than it may send
    sent_away,              // a browser's connection, ended for one of these, or for saying nothing
    origin,                 // a page that may not connect
    forwarded,              // a proxy's header that says nothing clear
    connections,            // more than there may be in all
    connections_of_address, // … of one address
    silent,                 // connections that said nothing, for new ones
    media_udp,              // datagrams to the browsers' common port that were nobody's
    media_tcp,              // connections that were neither TLS, HTTP nor a browser's media
};
inline constexpr std::size_t refusal_kinds = 13;

std::string_view name_of(Refusal what) noexcept; // "browser_rate"

class Refusals {
public:
    static constexpr Duration silence{60'000}; // after telling of a source and reason
    static constexpr double told_per_second = 1, told_at_once = 100;
    static constexpr std::size_t most_remembered = 10'000;

    // `times` of it happened. To be told now: how many of this kind were not told since the last time; else
    // nothing.
    std::optional<std::uint64_t> note(Refusal what, std::string_view source, std::string_view why,
                                      TimePoint now, std::uint64_t times = 1);
    [[nodiscard]] std::uint64_t count(Refusal what) const noexcept {
        return counts_.at(static_cast<std::size_t>(what));
    }

private:
    struct Told {
        TimePoint until{};
        std::uint64_t untold = 0;
    };
    std::array<std::uint64_t, refusal_kinds> counts_{};
    std::unordered_map<std::string, Told> told_;
    TokenBucket lines_;
};

} // namespace offhook::bridge
