#include <doctest/doctest.h>

#include "base/address.hpp"

using namespace offhook;

TEST_SUITE("address") {
    TEST_CASE("loopback is all that stays on this host, as IPv4, IPv6 and IPv4 in IPv6") {
        const auto stays = [](const char *ip) { return Address::parse(ip, 5060).value().is_loopback(); };
        for (const char *ip :
             {"127.0.0.1", "127.0.1.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "::ffff:127.8.9.10"})
            CHECK_MESSAGE(stays(ip), ip);
        for (const char *ip : {"0.0.0.0", "126.255.255.255", "128.0.0.1", "192.0.2.127", "1.0.0.127",
                               "::", "::2", "::127.0.0.1", "::ffff:192.0.2.7", "7f00::1", "2001:db8::1"})
            CHECK_FALSE_MESSAGE(stays(ip), ip);
        CHECK_FALSE(Address().is_loopback());
    }
}
