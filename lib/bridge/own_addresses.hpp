// Where a leg of ours can be reached: an address of this host each, and what the other end is told. Pure.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "base/address.hpp"

namespace offhook::bridge {

struct OwnAddress {
    Address bind;  // legs with the same one share a socket; ports are 0
    Address shown; // what the other end is told
    friend bool operator==(const OwnAddress &, const OwnAddress &) = default;
};

struct OwnAddressRules {
    std::optional<Address> public_address;                              // what others know this host by
    std::vector<Address> listeners;                                     // where browsers connect
    std::function<std::optional<Address>(const Address &remote)> route; // our address towards another one
    std::function<bool(const Address &)> here;                          // is it this host's?
};

constexpr std::size_t most_addresses = 4; // of one leg

// For an end whose signalling comes from `remote` (unset: unknown). The first is the one for descriptions:
// the public address where there is one. Browsers choose among all: a public one and those that lead to this
// host without a NAT, which often does not turn packets around (hairpin), and of each address family that the
// listeners have.
std::vector<OwnAddress> own_addresses(const OwnAddressRules &rules, const Address &remote);

// With this host's routes and addresses.
OwnAddressRules rules_of_host(std::optional<Address> public_address, std::vector<Address> listeners);

} // namespace offhook::bridge
