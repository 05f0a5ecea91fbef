#include <doctest/doctest.h>

#include "media/rtcp_xr.hpp"
#include "media/wire.hpp"

using namespace offhook::media;

namespace {

VoipMetrics example() {
    VoipMetrics m;
    m.ssrc = 0x12345678;
    m.loss_rate = 0.25;
    m.discard_rate = 0.125;
    m.burst_density = 0.5;
    m.gap_density = 1.0 / 256;
    m.burst_ms = 400;
    m.gap_ms = 7000;
    m.round_trip_ms = 80;
    m.end_system_ms = 60;
    m.signal_dbm0 = -21;
    m.noise_dbm0 = -65;
    m.r_factor = 77;
    m.mos_lq = 3.9;
    m.mos_cq = 3.7;
    m.buffer_ms = 40;
    m.buffer_most_ms = 120;
    m.buffer_limit_ms = 200;
    return m;
}

} // namespace

TEST_SUITE("rtcp xr") {

    TEST_CASE("what is written is read back") {
        std::vector<std::uint8_t> bytes;
        append_voip_metrics(bytes, 7, example());
        REQUIRE(bytes.size() == 44);
        CHECK(bytes[1] == 207);
        CHECK(read_u16(bytes, 2) == 10);
        CHECK(read_u32(bytes, 4) == 7);
        CHECK(bytes[8] == 7);
        CHECK(read_u16(bytes, 10) == 8); // RFC 3611 §4.7: always
        const auto read = read_voip_metrics(Bytes(bytes).subspan(4));
        REQUIRE(read);
        REQUIRE(read->size() == 1);
        const VoipMetrics &m = read->front(), want = example();
        CHECK(m.ssrc == want.ssrc);
        CHECK(m.loss_rate == want.loss_rate);
        CHECK(m.discard_rate == want.discard_rate);
        CHECK(m.burst_density == want.burst_density);
        CHECK(m.gap_density == want.gap_density);
        CHECK(m.burst_ms == want.burst_ms);
        CHECK(m.gap_ms == want.gap_ms);
        CHECK(m.round_trip_ms == want.round_trip_ms);
        CHECK(m.end_system_ms == want.end_system_ms);
        CHECK(m.signal_dbm0 == want.signal_dbm0);
        CHECK(m.noise_dbm0 == want.noise_dbm0);
        CHECK(m.r_factor == want.r_factor);
        CHECK(m.mos_lq == want.mos_lq);
        CHECK(m.mos_cq == want.mos_cq);
        CHECK(m.adaptive);
        CHECK(m.buffer_ms == want.buffer_ms);
        CHECK(m.buffer_most_ms == want.buffer_most_ms);
        CHECK(m.buffer_limit_ms == want.buffer_limit_ms);
    }

    TEST_CASE("what is not known is said to be so, what is too large is clamped") {
        std::vector<std::uint8_t> bytes;
        append_voip_metrics(bytes, 7, {.loss_rate = 3, .burst_ms = 1'000'000, .signal_dbm0 = 40});
        const auto read = read_voip_metrics(Bytes(bytes).subspan(4));
        REQUIRE(read);
        CHECK(read->front().loss_rate == 255 / 256.0);
        CHECK(read->front().burst_ms == 0xFFFF);
        CHECK(read->front().signal_dbm0 == 0);
        CHECK_FALSE(read->front().noise_dbm0);
        CHECK_FALSE(read->front().r_factor);
        CHECK_FALSE(read->front().mos_lq);
    }

    TEST_CASE("other blocks are passed over; cut or wrong ones are refused") {
        std::vector<std::uint8_t> bytes{0x80, 207, 0, 0, 0, 0, 0, 7, /* RRT */ 4, 0,
                                        0,    2,   1, 2, 3, 4, 5, 6, 7,           8};
        std::vector<std::uint8_t> voip;
        append_voip_metrics(voip, 7, example());
        bytes.insert(bytes.end(), voip.begin() + 8, voip.end());
        const auto read = read_voip_metrics(Bytes(bytes).subspan(4));
        REQUIRE(read);
        CHECK(read->size() == 1);
        for (std::size_t size = 0; size < bytes.size(); ++size) {
            if (size == 8 || size == 20) continue; // between blocks
            if (size >= 4) CHECK_FALSE(read_voip_metrics(Bytes(bytes).subspan(4, size - 4)));
        }
        bytes[23] = 7; // a VoIP block of another length
        CHECK_FALSE(read_voip_metrics(Bytes(bytes).subspan(4)));
    }

} // TEST_SUITE
