#include <doctest/doctest.h>

#include "media/latch.hpp"

using namespace offhook;
using namespace offhook::media;

namespace {

constexpr TimePoint epoch{std::chrono::hours{1}};

Address at(const char *ip, std::uint16_t port) {
    return Address::parse(ip, port).value();
}

} // namespace

TEST_SUITE("latch") {

    TEST_CASE("nothing is taken before there is an SDP") {
        RtpLatch latch;
        latch.trust_host(at("192.0.2.1", 5060));
        CHECK_FALSE(latch.admit(at("192.0.2.1", 4000), epoch));
        CHECK_FALSE(latch.admits_report(at("192.0.2.1", 4001)));
    }

    TEST_CASE("who may send, by where it was signalled") {
        struct Row {
            const char *what, *sdp, *sip, *from;
            std::uint16_t port;
            bool taken;
        };
        for (const Row &row : {
                 Row{"as signalled", "192.0.2.1", "192.0.2.1", "192.0.2.1", 4000, true},
                 Row{"another port of that host (NAT)", "192.0.2.1", "192.0.2.1", "192.0.2.1", 50'001, true},
                 Row{"a private address in the SDP", "10.0.0.7", "203.0.113.5", "203.0.113.5", 50'001, true},
                 Row{"media apart from signalling", "192.0.2.9", "203.0.113.5", "192.0.2.9", 4000, true},
                 Row{"a stranger", "192.0.2.1", "203.0.113.5", "198.51.100.1", 4000, false},
                 Row{"IPv6", "2001:db8::1", "2001:db8::2", "2001:db8::2", 4000, true},
                 Row{"an IPv6 stranger", "2001:db8::1", "2001:db8::2", "2001:db8::3", 4000, false},
             }) {
            CAPTURE(row.what);
            RtpLatch latch;
            latch.trust_host(at(row.sip, 5060));
            latch.signal(at(row.sdp, 4000));
            CHECK(latch.destination() == at(row.sdp, 4000));
            CHECK(latch.admits_report(at(row.from, 1)) == row.taken);
            CHECK(latch.admit(at(row.from, row.port), epoch) == row.taken);
            CHECK(latch.locked().has_value() == row.taken);
            CHECK(latch.destination() == (row.taken ? at(row.from, row.port) : at(row.sdp, 4000)));
        }
    }

    TEST_CASE("the first one locks; it is freed by silence and by another SDP only") {
        RtpLatch latch;
        latch.trust_host(at("203.0.113.5", 5060));
        latch.signal(at("10.0.0.7", 4000));
        const Address first = at("203.0.113.5", 50'001), second = at("203.0.113.5", 50'002),
                      stranger = at("198.51.100.1", 4000);
        CHECK(latch.admit(first, epoch));
        CHECK_FALSE(latch.admit(second, epoch + Duration{1}));
        CHECK_FALSE(latch.admits_report(at("10.0.0.7", 4001)));
        CHECK(latch.admit(first, epoch + Duration{1000}));
        CHECK_FALSE(latch.admit(second, epoch + Duration{2999}));
        CHECK_FALSE(latch.admit(stranger, epoch + Duration{9000}));
        CHECK(latch.admit(second, epoch + Duration{3000})); // the NAT gave it another port
        CHECK_FALSE(latch.admit(first, epoch + Duration{3001}));
        CHECK(latch.destination() == second);

        latch.signal(at("10.0.0.7", 4000)); // a re-INVITE that moves nothing
        CHECK(latch.destination() == second);
        latch.signal(at("10.0.0.7", 4002));
        CHECK_FALSE(latch.locked());
        CHECK(latch.admit(first, epoch + Duration{3002}));
    }

} // TEST_SUITE
