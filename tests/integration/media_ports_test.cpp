#include <doctest/doctest.h>

#include "media/media_ports.hpp"
#include "media/rtp_sockets.hpp"

using namespace offhook;
using namespace offhook::media;

namespace {

const Address here = Address::parse("127.0.0.1").value();

} // namespace

TEST_SUITE("media ports") {
    TEST_CASE("a pair is an even port and the next one, and a range that is taken says so") {
        const auto first = open_media_port(here, 0, 0, true);
        REQUIRE(first);
        CHECK(first->port % 2 == 0);
        CHECK(first->rtcp);
        const auto next = static_cast<std::uint16_t>(first->port + 1);
        const std::string full = "no media port free on 127.0.0.1 (" + std::to_string(first->port) + "-" +
                                 std::to_string(next) + ")";
        CHECK(open_media_port(here, first->port, next, true).error().what == full);
        CHECK(open_media_port(here, first->port, next, false).error().what == full);
        CHECK(RtpSockets::open(here, first->port, next).error().what == full);
    }

    TEST_CASE("a range without room for a pair takes no port outside it") {
        const auto one = open_media_port(here, 0, 0, true);
        REQUIRE(one);
        const auto odd = static_cast<std::uint16_t>(one->port + 1),
                   even = static_cast<std::uint16_t>(odd + 1);
        CHECK_FALSE(open_media_port(here, odd, even, true));
    }

    TEST_CASE("what another port would not mend is told at once, with its reason") {
        const auto elsewhere = open_media_port(Address::parse("192.0.2.7").value(), 0, 0, false);
        REQUIRE_FALSE(elsewhere);
        CHECK(elsewhere.error().what == "a media port on 192.0.2.7: Cannot assign requested address");
    }
}
