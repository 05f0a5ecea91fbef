#include <doctest/doctest.h>

#include "media/receiver.hpp"

using namespace offhook;
using namespace offhook::media;

namespace {

constexpr TimePoint epoch{std::chrono::hours{1}};

Negotiated agreed() {
    Negotiated out;
    out.codec = find_codec("pcmu");
    out.receivable = {{0, find_codec("pcmu")}, {8, find_codec("pcma")}};
    out.receive_events = {{101, 8000}, {103, 48000}};
    return out;
}

std::vector<DtmfEvent> event(Receiver &receiver, std::uint8_t type, std::uint16_t duration) {
    const std::vector<std::uint8_t> payload{7, 0x8a, static_cast<std::uint8_t>(duration >> 8),
                                            static_cast<std::uint8_t>(duration)};
    return receiver.packet({{.payload_type = type, .sequence = 1, .timestamp = type, .ssrc = 1}, payload},
                           epoch);
}

} // namespace

TEST_SUITE("receiver") {

    TEST_CASE("only payload types that were negotiated are taken, before and after") {
        Receiver receiver(20);
        CHECK_FALSE(receiver.takes(0));
        receiver.configure(agreed());
        for (int type = 0; type < 128; ++type)
            CHECK(receiver.takes(static_cast<std::uint8_t>(type)) ==
                  (type == 0 || type == 8 || type == 101 || type == 103));
        CHECK(event(receiver, 102, 1600).empty()); // an event on a number that means nothing
        CHECK_FALSE(receiver.last_packet());
        const std::vector<std::uint8_t> payload(160);
        CHECK(receiver.packet({{.payload_type = 18, .ssrc = 1}, payload}, epoch).empty());
        CHECK_FALSE(receiver.last_packet());
        CHECK(receiver.stats().packets() == 0);
    }

    TEST_CASE("events at either clock rate, with their right length") {
        Receiver receiver(20);
        receiver.configure(agreed());
        const auto narrow = event(receiver, 101, 1600), wide = event(receiver, 103, 9600);
        REQUIRE(narrow.size() == 2);
        REQUIRE(wide.size() == 2);
        CHECK(narrow[1].length == Duration{200});
        CHECK(wide[1].length == Duration{200});
    }

    TEST_CASE("a re-negotiation without events drops them, one that keeps them goes on") {
        Receiver receiver(20);
        receiver.configure(agreed());
        CHECK(event(receiver, 101, 1600).size() == 2);
        receiver.configure(agreed());
        CHECK(event(receiver, 101, 1600).empty()); // known: its late packets add nothing
        auto without = agreed();
        without.receive_events.clear();
        receiver.configure(without);
        CHECK_FALSE(receiver.takes(101));
    }

} // TEST_SUITE
