// Accepted connections by address, and which of them have not said anything yet: so that nobody's dawdling
// connections keep others out.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <unordered_map>

#include "base/address.hpp"

namespace offhook::sip {

// Connections are numbered in the order in which they are accepted.
class HalfOpen {
public:
    void accepted(const Address &remote, std::uint64_t connection);
    void heard(const Address &remote, std::uint64_t connection);
    void closed(const Address &remote, std::uint64_t connection);

    [[nodiscard]] std::size_t half_open() const { return silent_.size(); }
    [[nodiscard]] std::size_t half_open(const Address &remote) const;
    [[nodiscard]] std::size_t all(const Address &remote) const;
    // The one that has been silent longest: of all, or of one address.
    [[nodiscard]] std::optional<std::uint64_t> oldest() const;
    [[nodiscard]] std::optional<std::uint64_t> oldest(const Address &remote) const;

private:
    using Silent = std::set<std::uint64_t>;
    struct Source {
        std::size_t all = 0;
        Silent silent;
    };
    [[nodiscard]] const Source *find(const Address &remote) const;

    std::unordered_map<Address, Source> sources_; // by address without port
    Silent silent_;
};

} // namespace offhook::sip
