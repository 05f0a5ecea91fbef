#include <random>

#include <doctest/doctest.h>

#include "media/rtp.hpp"
#include "media/wire.hpp"

using namespace offhook;
using namespace offhook::media;

namespace {

constexpr TimePoint epoch{std::chrono::hours{1}};
using Datagram = std::vector<std::uint8_t>;

// Two CSRCs, an extension of one word, 5 octets of payload, 3 of padding.
Datagram everything() {
    return {0xb2, 0x80 | 8, 0x12, 0x34, 0, 0, 0, 1, 0xde, 0xad, 0xbe, 0xef, 0,   0, 0, 2, 0, 0, 0, 3, // CSRCs
            0xbe, 0xde,     0,    1,    1, 2, 3, 4, 'h',  'e',  'l',  'l',  'o', 0, 0, 3};
}

RtcpReport full_report() {
    RtcpReport report;
    report.sender_ssrc = 0x11223344;
    report.sender = SenderInfo{0x83aa7e8012345678ULL, 0xfffffff0U, 1000, 160000};
    report.blocks.push_back({0x55667788, 25, -3, 0x00021234, 17, 0xaabbccdd, 65536});
    report.blocks.push_back({0x99, 255, 0x7fffff, 1, 2, 3, 4});
    return report;
}

struct Stream { // packets 20 ms apart unless told otherwise
    explicit Stream(std::uint16_t first) : header{.sequence = first, .ssrc = 7} {}
    void next(Duration late = Duration{0}) {
        stats.received(header, 160, at + late);
        skip();
    }
    void skip() {
        ++header.sequence;
        header.timestamp += 160;
        at += Duration{20};
    }
    RtpHeader header;
    TimePoint at = epoch;
    ReceiverStats stats;
};

} // namespace

TEST_SUITE("rtp") {

    TEST_CASE("a packet is read without its CSRCs, extension and padding") {
        const Datagram bytes = everything();
        const auto packet = parse_rtp(bytes);
        REQUIRE(packet);
        CHECK(packet->header.marker);
        CHECK(packet->header.payload_type == 8);
        CHECK(packet->header.sequence == 0x1234);
        CHECK(packet->header.timestamp == 1);
        CHECK(packet->header.ssrc == 0xdeadbeef);
        CHECK(std::string(packet->payload.begin(), packet->payload.end()) == "hello");
    }

    TEST_CASE("a header that is written is read back") {
        const RtpHeader header{true, 127, 0xffff, 0xfffffffe, 0x80000001};
        Datagram bytes(rtp_header_size);
        write_rtp_header(header, std::span<std::uint8_t, rtp_header_size>(bytes));
        const auto packet = parse_rtp(bytes);
        REQUIRE(packet);
        CHECK(packet->header.marker);
        CHECK(packet->header.payload_type == 127);
        CHECK(packet->header.sequence == 0xffff);
        CHECK(packet->header.timestamp == 0xfffffffe);
        CHECK(packet->header.ssrc == 0x80000001);
        CHECK(packet->payload.empty());
    }

    TEST_CASE("truncated and malformed packets are refused or stay within their bytes") {
        const Datagram bytes = everything();
        for (std::size_t length = 0; length <= bytes.size(); ++length) {
            const Datagram cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
            const auto packet = parse_rtp(cut);
            CAPTURE(length);
            if (length < 28) CHECK_FALSE(packet);
            if (packet) CHECK(packet->payload.size() <= length - 28);
        }
        Datagram wrong = everything();
        SUBCASE("version") {
            wrong[0] = 0x72;
        }
        SUBCASE("no padding counted") {
            wrong.back() = 0;
        }
        SUBCASE("more padding than packet") {
            wrong.back() = 255;
        }
        SUBCASE("padding that reaches into the header") {
            wrong.back() = 9;
        }
        SUBCASE("extension longer than the packet") {
            wrong[23] = 200;
        }
        SUBCASE("more CSRCs than bytes") {
            wrong[0] = 0xbf;
        }
        CHECK_FALSE(parse_rtp(wrong));
    }

    TEST_CASE("random datagrams never break the readers") {
        std::mt19937 random(3550);
        for (int round = 0; round < 20'000; ++round) {
            Datagram bytes(random() % 80);
            for (auto &byte : bytes)
                byte = static_cast<std::uint8_t>(random());
            if (!bytes.empty()) bytes[0] = static_cast<std::uint8_t>(0x80 | (bytes[0] & 0x3f));
            if (bytes.size() > 4 && round % 2 == 0) {
                bytes[1] = static_cast<std::uint8_t>(200 + bytes[1] % 5);
                bytes[2] = 0;
                bytes[3] %= 20;
            }
            if (const auto packet = parse_rtp(bytes)) CHECK(packet->payload.size() + 12 <= bytes.size());
            if (const auto report = parse_rtcp(bytes)) CHECK(report->blocks.size() * 24 <= bytes.size());
        }
    }

    TEST_CASE("RTCP is told from RTP by its packet type") {
        for (unsigned type = 0; type < 256; ++type) {
            const Datagram bytes{0x80, static_cast<std::uint8_t>(type), 0, 0};
            CHECK(looks_like_rtcp(bytes) == (type >= 192 && type <= 223));
        }
        CHECK_FALSE(looks_like_rtcp(Datagram{0x80, 200, 0}));
        CHECK_FALSE(looks_like_rtcp(Datagram{0x40, 200, 0, 0}));
    }

    TEST_CASE("reports that are built are read back") {
        for (const bool bye : {false, true})
            for (const bool sender : {false, true}) {
                RtcpReport report = full_report();
                if (!sender) report.sender.reset();
                for (const char *cname : {"", "a", "ab", "abc", "abcd", "offhook@192.0.2.1"}) {
                    const auto bytes = build_rtcp(report, cname, bye);
                    CHECK(bytes.size() % 4 == 0);
                    const auto read = parse_rtcp(bytes);
                    REQUIRE(read);
                    CHECK(read->sender_ssrc == report.sender_ssrc);
                    CHECK(read->byes ==
                          (bye ? std::vector{report.sender_ssrc} : std::vector<std::uint32_t>{}));
                    REQUIRE(read->sender.has_value() == sender);
                    if (sender) {
                        CHECK(read->sender->ntp == report.sender->ntp);
                        CHECK(read->sender->rtp_timestamp == 0xfffffff0U);
                        CHECK(read->sender->packets == 1000);
                        CHECK(read->sender->octets == 160000);
                    }
                    REQUIRE(read->blocks.size() == 2);
                    CHECK(read->blocks[0].ssrc == 0x55667788);
                    CHECK(read->blocks[0].fraction_lost == 25);
                    CHECK(read->blocks[0].cumulative_lost == -3);
                    CHECK(read->blocks[0].extended_sequence == 0x21234);
                    CHECK(read->blocks[0].jitter == 17);
                    CHECK(read->blocks[0].last_sr == 0xaabbccdd);
                    CHECK(read->blocks[0].delay_since_sr == 65536);
                    CHECK(read->blocks[1].cumulative_lost == 0x7fffff);
                }
            }
    }

    TEST_CASE("RTCP cut anywhere but between packets is refused") {
        const auto bytes = build_rtcp(full_report(), "someone@192.0.2.1", true);
        const std::size_t report = 4 + 24 + 2 * 24, sdes = report + 4 + 24;
        REQUIRE(bytes.size() == sdes + 8);
        for (std::size_t length = 0; length <= bytes.size(); ++length) {
            CAPTURE(length);
            const Datagram cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
            CHECK(parse_rtcp(cut).has_value() ==
                  (length == report || length == sdes || length == bytes.size()));
        }
        auto wrong = bytes;
        wrong[0] = 0x9f; // 31 blocks
        CHECK_FALSE(parse_rtcp(wrong));
        wrong = bytes;
        wrong[sdes] = 0x9f; // 31 sources said good-bye
        CHECK_FALSE(parse_rtcp(wrong));
        CHECK(parse_rtcp(Datagram{0x80, 204, 0, 0})); // an APP packet is skipped
        CHECK(build_rtcp({.blocks = std::vector<ReportBlock>(40)}, std::string(400, 'x'), false).size() <
              4 + 4 + 31 * 24 + 4 + 268);
    }

    TEST_CASE("the NTP clock runs and its middle is what LSR holds") {
        const auto first = ntp_now(), second = ntp_now();
        CHECK(second >= first);
        CHECK(second - first < 1ULL << 32);    // within a second
        CHECK((first >> 32) > 3'900'000'000U); // after 2023
        CHECK(ntp_middle(0x1122334455667788ULL) == 0x33445566);
    }

    TEST_CASE("sequence numbers wrap without loss") {
        Stream stream(65000);
        for (int n = 0; n < 3 * 65536; ++n)
            stream.next();
        CHECK(stream.stats.packets() == 3 * 65536);
        CHECK(stream.stats.bytes() == 160ULL * 3 * 65536);
        CHECK(stream.stats.lost() == 0);
        CHECK(stream.stats.extended_sequence() == 65000 + 3 * 65536 - 1);
        CHECK(stream.stats.jitter_units() == 0);
    }

    TEST_CASE("loss is counted by sequence number, whole and since the last report") {
        Stream stream(65530); // the first losses lie around the wrap
        for (int n = 0; n < 100; ++n)
            n % 4 == 1 ? stream.skip() : stream.next();
        CHECK(stream.stats.lost() == 25);
        CHECK(stream.stats.fraction_lost_since_last() == 64); // a quarter of 256
        for (int n = 0; n < 100; ++n)
            stream.next();
        CHECK(stream.stats.lost() == 25);
        CHECK(stream.stats.fraction_lost_since_last() == 0);
        CHECK(stream.stats.fraction_lost_since_last() == 0); // nothing came at all
    }

    TEST_CASE("duplicates make the loss negative, reordering does not count") {
        Stream stream(10);
        for (int n = 0; n < 10; ++n) {
            stream.stats.received(stream.header, 160, stream.at);
            stream.next();
        }
        CHECK(stream.stats.lost() == -10);
        CHECK(stream.stats.fraction_lost_since_last() == 0);
        Stream reordered(65534);
        for (const std::uint16_t sequence : {65534, 0, 65535, 1, 3, 2})
            reordered.stats.received({.sequence = sequence, .ssrc = 7}, 160, epoch);
        CHECK(reordered.stats.lost() == 0);
    }

    TEST_CASE("jitter follows RFC 3550 A.8") {
        Stream stream(1);
        double expected = 0, before = 0;
        std::mt19937 random(8);
        for (int n = 0; n < 200; ++n) {
            const Duration late{random() % 30};
            const auto transit = static_cast<double>(late.count() * 8);
            if (n > 0) expected += (std::abs(transit - before) - expected) / 16;
            before = transit;
            stream.stats.set_clock_rate(8000); // as a relay tells it each time: nothing changes
            stream.next(late);
        }
        CHECK(stream.stats.jitter_units() == static_cast<std::uint32_t>(expected));
        CHECK(stream.stats.jitter_ms() == doctest::Approx(expected / 8));
        stream.stats.set_clock_rate(48000);
        CHECK(stream.stats.jitter_ms() == doctest::Approx(expected / 8));
    }

    TEST_CASE("telephone-events and jumps of the timestamp are no jitter") {
        Stream stream(1);
        for (int n = 0; n < 50; ++n)
            stream.next();
        const std::uint32_t start = stream.header.timestamp;
        for (int n = 0; n < 10; ++n) { // one event
            stream.header.timestamp = start;
            stream.next();
        }
        stream.header.timestamp = start + 1600;
        for (int n = 0; n < 50; ++n)
            stream.next();
        CHECK(stream.stats.jitter_units() == 0);
        stream.header.timestamp += 0x40000000;
        for (int n = 0; n < 50; ++n)
            stream.next();
        CHECK(stream.stats.jitter_units() == 0);
    }

    TEST_CASE("another SSRC or a restart of the numbers is no loss") {
        Stream stream(100);
        for (int n = 0; n < 50; ++n)
            stream.next();
        SUBCASE("SSRC") {
            stream.header.ssrc = 8;
            stream.header.sequence = 40000;
        }
        SUBCASE("numbers jump far ahead") {
            stream.header.sequence = 30000;
        }
        SUBCASE("numbers jump back") {
            stream.header.sequence = 60000;
        }
        for (int n = 0; n < 50; ++n)
            stream.next();
        CHECK(stream.stats.packets() == 100);
        CHECK(stream.stats.lost() == 0);
        CHECK(stream.stats.fraction_lost_since_last() == 0);
    }

    TEST_CASE("one stray sequence number does not restart the count") {
        Stream stream(100);
        for (int n = 0; n < 50; ++n) {
            stream.next();
            if (n == 25) stream.stats.received({.sequence = 40000, .ssrc = 7}, 160, stream.at);
        }
        CHECK(stream.stats.extended_sequence() == 149);
        CHECK(stream.stats.lost() == 0);
    }

} // TEST_SUITE
