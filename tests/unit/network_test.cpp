// Ranges of addresses.
#include <doctest/doctest.h>

#include "base/network.hpp"

using namespace offhook;

namespace {

bool within(const char *network, const char *address) {
    return Network::parse(network).value().contains(Address::parse(address, 5060).value());
}

} // namespace

TEST_CASE("networks have the addresses that begin as they do") {
    CHECK(within("192.0.2.1", "192.0.2.1"));
    CHECK_FALSE(within("192.0.2.1", "192.0.2.2"));
    CHECK(within("192.0.2.0/24", "192.0.2.255"));
    CHECK_FALSE(within("192.0.2.0/24", "192.0.3.0"));
    CHECK(within("192.0.2.128/25", "192.0.2.128"));
    CHECK_FALSE(within("192.0.2.128/25", "192.0.2.127"));
    CHECK(within("0.0.0.0/0", "203.0.113.9"));
    CHECK_FALSE(within("0.0.0.0/0", "2001:db8::1"));
    CHECK(within("2001:db8::/33", "2001:db8:7fff::1"));
    CHECK_FALSE(within("2001:db8::/33", "2001:db8:8000::1"));
    CHECK(within("[::1]", "::1"));
    CHECK(within("::/0", "2001:db8::1"));
}

TEST_CASE("what is no network is refused in words") {
    for (const char *text :
         {"", "house.test", "192.0.2.0/33", "192.0.2.0/", "192.0.2.0/-1", "192.0.2.0/24x", "192.0.2.1/24",
          "2001:db8::/129", "2001:db8::1/64", "/24", "192.0.2.0/4294967320"}) {
        CAPTURE(text);
        const auto parsed = Network::parse(text);
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error().what.find("expected an IP address, or a network") != std::string::npos);
    }
}
