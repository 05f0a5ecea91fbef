#include <doctest/doctest.h>

#include "media/ice_demux.hpp"
#include "media/stun.hpp"

using namespace offhook;
using namespace offhook::media;

namespace {

const TimePoint start{std::chrono::seconds(1000)};
const std::vector<std::uint8_t> media_packet(200, 0x80);

Address at(const char *ip, std::uint16_t port) {
    return Address::parse(ip, port).value();
}

std::vector<std::uint8_t> check(std::string_view user) {
    StunWriter writer(StunClass::request, StunMethod::binding, random_transaction());
    if (!user.empty()) writer.add(StunAttribute::username, user);
    return writer.finish_signed("whatever");
}

} // namespace

TEST_SUITE("media ice demux") {
    TEST_CASE("checks go by the local ufrag, the rest by the address that was claimed") {
        IceDemux demux;
        REQUIRE(demux.add(1, "anna"));
        REQUIRE(demux.add(2, "ben"));
        CHECK_FALSE(demux.add(3, "ben"));
        CHECK_FALSE(demux.add(1, "carl"));
        CHECK_FALSE(demux.add(4, ""));
        const Address wifi = at("192.0.2.7", 7000), other = at("192.0.2.7", 7001);
        CHECK(demux.find(check("anna:xyz"), wifi, start) == 1);
        CHECK(demux.find(check("ben:xyz"), wifi, start) == 2); // one NAT, many browsers
        CHECK(demux.find(check("ben"), wifi, start) == 2);
        CHECK(demux.find(check("benedict:xyz"), wifi, start) == std::nullopt);
        CHECK(demux.find(check(":ben"), wifi, start) == std::nullopt);
        CHECK(demux.find(check(""), wifi, start) == std::nullopt);
        CHECK(demux.find(media_packet, wifi, start) == std::nullopt); // checks alone prove nothing
        REQUIRE(demux.claim(1, wifi, start));
        REQUIRE(demux.claim(2, other, start));
        CHECK(demux.find(media_packet, wifi, start) == 1);
        CHECK(demux.find(media_packet, other, start) == 2);
        CHECK(demux.find(check("anna:xyz"), other, start) == 1); // whatever the address
    }

    TEST_CASE("an agent moves: the address that it had is a stranger's") {
        IceDemux demux;
        demux.add(1, "anna");
        const Address wifi = at("192.0.2.7", 7000), lte = at("2001:db8::7", 9000);
        demux.claim(1, wifi, start);
        CHECK(demux.claim(1, lte, start + Duration{1}));
        CHECK(demux.find(media_packet, lte, start) == 1);
        CHECK(demux.find(media_packet, wifi, start) == std::nullopt);
        CHECK(demux.addresses() == 1);
        CHECK(demux.claim(1, lte, start + Duration{2})); // again and again
        CHECK(demux.addresses() == 1);
    }

    TEST_CASE("nobody takes an address over that is in use; one that is silent may be another's") {
        IceDemux demux;
        demux.add(1, "anna");
        demux.add(2, "mallory");
        const Address address = at("192.0.2.7", 7000);
        demux.claim(1, address, start);
        TimePoint now = start;
        for (int i = 0; i < 10; ++i) {
            now += IceDemux::forgotten_after - Duration{1};
            CHECK_FALSE(demux.claim(2, address, now));
            CHECK(demux.find(media_packet, address, now) == 1);
        }
        now += IceDemux::forgotten_after;
        CHECK(demux.claim(2, address, now));
        CHECK(demux.find(media_packet, address, now) == 2);
        CHECK_FALSE(demux.claim(1, address, now));
        // Whoever lost it holds nothing that its end could take from its new owner.
        demux.remove(1);
        CHECK(demux.find(media_packet, address, now) == 2);
    }

    TEST_CASE("what is removed is forgotten, and can be added again") {
        IceDemux demux;
        demux.add(1, "anna");
        demux.claim(1, at("192.0.2.7", 7000), start);
        demux.remove(1);
        demux.remove(1);
        CHECK(demux.agents() == 0);
        CHECK(demux.addresses() == 0);
        CHECK_FALSE(demux.claim(1, at("192.0.2.7", 7000), start));
        CHECK(demux.find(check("anna:x"), at("192.0.2.7", 7000), start) == std::nullopt);
        CHECK(demux.add(2, "anna"));
    }

    TEST_CASE("damaged checks and indications are no way in") {
        IceDemux demux;
        demux.add(1, "anna");
        const Address address = at("192.0.2.7", 7000);
        auto damaged = check("anna:xyz");
        damaged[30] ^= 1; // FINGERPRINT does not fit
        CHECK(demux.find(damaged, address, start) == std::nullopt);
        StunWriter indication(StunClass::indication, StunMethod::binding, random_transaction());
        indication.add(StunAttribute::username, "anna:xyz");
        CHECK(demux.find(indication.finish(), address, start) == std::nullopt);
        demux.claim(1, address, start);
        StunWriter keep_alive(StunClass::indication, StunMethod::binding, random_transaction());
        CHECK(demux.find(keep_alive.finish(), address, start) == 1);
        CHECK(demux.find({}, address, start) == 1); // the agent sees what it makes of it
        CHECK(demux.find({}, at("192.0.2.8", 7000), start) == std::nullopt);
    }
}
