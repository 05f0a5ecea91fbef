// Accepted connections by address, and which of them have not said anything yet: so that nobody's dawdling
// connections keep others out.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/address.hpp"
#include "base/clock.hpp"

namespace offhook::sip {

class HalfOpen {
public:
    void accepted(const Address &remote, std::uint64_t connection, TimePoint now);
    void heard(const Address &remote, std::uint64_t connection);
    void closed(const Address &remote, std::uint64_t connection);

    [[nodiscard]] std::size_t half_open(const Address &remote) const;
    [[nodiscard]] std::size_t all(const Address &remote) const;
    // The one that has been silent longest, when that is since `before`.
    [[nodiscard]] std::optional<std::uint64_t> oldest(const Address &remote, TimePoint before) const;

private:
    struct Silent {
        std::uint64_t connection;
        TimePoint since;
    };
    struct Source {
        std::size_t all = 0;
        std::vector<Silent> silent;
    };
    [[nodiscard]] const Source *find(const Address &remote) const;

    std::unordered_map<Address, Source> sources_; // by address without port
};

} // namespace offhook::sip
