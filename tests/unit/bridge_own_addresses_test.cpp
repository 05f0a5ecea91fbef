// Where browsers are told that a leg can be reached.
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bridge/own_addresses.hpp"

using namespace offhook;
using namespace offhook::bridge;

namespace {

Address at(const char *ip) {
    return Address::parse(ip).value();
}

// A host with 192.168.1.2 and fd00::2 on one wire, 10.0.0.2 on another, and the loopback.
OwnAddressRules host(const char *shown, const std::vector<const char *> &listeners) {
    OwnAddressRules rules;
    if (shown != nullptr) rules.public_address = at(shown);
    for (const auto *listener : listeners)
        rules.listeners.push_back(at(listener).with_port(8443));
    rules.route = [](const Address &remote) -> std::optional<Address> {
        const std::string ip = remote.ip();
        if (remote.is_loopback()) return at(remote.family() == AF_INET6 ? "::1" : "127.0.0.1");
        if (ip.starts_with("fe80:")) return at("fe80::2");
        if (remote.family() == AF_INET6) return at("fd00::2");
        return at(ip.starts_with("10.") ? "10.0.0.2" : "192.168.1.2");
    };
    rules.here = [](const Address &address) { return address.ip() == "203.0.113.7"; };
    return rules;
}

std::string text(const std::vector<OwnAddress> &addresses) {
    std::string out;
    for (const auto &one : addresses)
        out += one.shown.ip() + (one.bind.same_ip(one.shown) ? "" : "@" + one.bind.ip()) + " ";
    return out;
}

} // namespace

TEST_SUITE("bridge own addresses") {
    TEST_CASE("of each listener's family, and the public address before those without a NAT") {
        struct Row {
            const char *shown;
            std::vector<const char *> listeners;
            const char *remote, *expected;
        };
        const Row rows[] = {
            {nullptr, {"0.0.0.0"}, "192.168.1.77", "192.168.1.2 "},
            {nullptr, {"0.0.0.0"}, "10.0.0.77", "10.0.0.2 192.168.1.2 "},
            {nullptr, {"0.0.0.0", "::"}, "192.168.1.77", "192.168.1.2 fd00::2 "},
            {nullptr, {"0.0.0.0", "::"}, "fd00::77", "fd00::2 192.168.1.2 "},
            {nullptr, {"192.168.1.2", "10.0.0.2"}, "192.168.1.77", "192.168.1.2 10.0.0.2 "},
            // Through a NAT that forwards ports: one socket serves both.
            {"203.0.113.9", {"0.0.0.0"}, "198.51.100.3", "203.0.113.9@0.0.0.0 192.168.1.2@0.0.0.0 "},
            {"203.0.113.9",
             {"0.0.0.0"},
             "10.0.0.77",
             "203.0.113.9@0.0.0.0 10.0.0.2@0.0.0.0 192.168.1.2@0.0.0.0 "},
            {"203.0.113.9",
             {"0.0.0.0", "::"},
             "192.168.1.77",
             "203.0.113.9@0.0.0.0 192.168.1.2@0.0.0.0 fd00::2 "},
            // One that this host has itself: answers come from it.
            {"203.0.113.7", {"0.0.0.0"}, "192.168.1.77", "203.0.113.7 192.168.1.2 "},
            // Behind a proxy on this host.
            {"203.0.113.9",
             {"127.0.0.1"},
             "127.0.0.1",
             "203.0.113.9@0.0.0.0 127.0.0.1@0.0.0.0 192.168.1.2@0.0.0.0 "},
            // The loopback is for those who are there, and what needs an interface for nobody.
            {nullptr, {"127.0.0.1", "::1"}, "127.0.0.1", "127.0.0.1 ::1 "},
            {nullptr, {"127.0.0.1", "0.0.0.0"}, "192.168.1.77", "192.168.1.2 "},
            {nullptr, {"::"}, "fe80::77", "fd00::2 "},
            {nullptr, {}, "192.168.1.77", "192.168.1.2 "},
        };
        for (const auto &row : rows)
            CHECK_MESSAGE(text(own_addresses(host(row.shown, row.listeners), at(row.remote))) == row.expected,
                          row.remote);
    }

    TEST_CASE("an end that is not known yet, no route at all, and too many addresses") {
        CHECK(text(own_addresses(host(nullptr, {"0.0.0.0"}), {})) == "192.168.1.2 ");
        auto cut_off = host(nullptr, {"0.0.0.0", "::"});
        cut_off.route = [](const Address &) { return std::nullopt; };
        CHECK(text(own_addresses(cut_off, at("192.168.1.77"))) == "0.0.0.0 ");
        CHECK(own_addresses(host(nullptr, {"10.1.1.1", "10.1.1.2", "10.1.1.3", "10.1.1.4", "10.1.1.5"}),
                            at("192.168.1.77"))
                  .size() == most_addresses);
    }
}
