// Whose datagram is it, where many ICE agents share one UDP port? Connectivity checks name their agent (the
// local half of USERNAME, RFC 8445 §7.2.2); everything else belongs to the agent that its source address was
// nominated for. Pure, and in memory that strangers cannot fill: one address for each agent.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/address.hpp"
#include "base/clock.hpp"
#include "media/rtp.hpp"

namespace offhook::media {

class IceDemux {
public:
    using Agent = std::uint64_t; // the caller's number for it
    // An address that has been silent for so long may become another agent's: what a NAT gives to somebody
    // else. Before that nobody can take it over, whatever source address a check pretends to have.
    static constexpr Duration forgotten_after{10'000};

    // False: there is such an agent or ufrag already.
    bool add(Agent agent, std::string ufrag);
    void remove(Agent agent);

    // Nothing: it is a stranger's.
    std::optional<Agent> find(Bytes datagram, const Address &from, TimePoint now);
    // `agent` authenticated a check from there that nominates: what comes from there is its own from now on,
    // and nothing from the address that it had before. False: the address is another agent's.
    bool claim(Agent agent, const Address &from, TimePoint now);

    [[nodiscard]] std::size_t agents() const noexcept { return agents_.size(); }
    [[nodiscard]] std::size_t addresses() const noexcept { return sources_.size(); }

private:
    struct Known {
        std::string ufrag;
        std::optional<Address> source;
    };
    struct Source {
        Agent agent = 0;
        TimePoint heard{};
    };
    struct Hash { // lets views be looked up
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept {
            return std::hash<std::string_view>{}(text);
        }
    };
    void let_go(Known &known, Agent agent);

    std::unordered_map<Agent, Known> agents_;
    std::unordered_map<std::string, Agent, Hash, std::equal_to<>> ufrags_;
    std::unordered_map<Address, Source> sources_;
};

// The local half of the USERNAME of a Binding request ("" when it has none): whom the check is for. Nothing
// for anything but a Binding request.
std::optional<std::string_view> checked_ufrag(Bytes datagram) noexcept;

} // namespace offhook::media
