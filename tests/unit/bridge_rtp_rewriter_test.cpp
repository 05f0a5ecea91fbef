// One RTP stream out of many: what a browser gets, and a phone.
#include <set>

#include <doctest/doctest.h>

#include "bridge/rtp_rewriter.hpp"

using namespace offhook;
using namespace offhook::bridge;

namespace {

const TimePoint start{std::chrono::hours(1)};
constexpr Duration frame{20};

media::RtpHeader packet(unsigned sequence, std::uint32_t timestamp, std::uint32_t ssrc = 5) {
    return {false, 0, static_cast<std::uint16_t>(sequence), timestamp, ssrc};
}

} // namespace

TEST_SUITE("bridge rtp rewriter") {
    TEST_CASE("one stream: contiguous over sources, time never goes back") {
        RtpRewriter stream(99, 1000, 50'000);
        TimePoint now = start;
        auto out = stream.rewrite(packet(7, 100), 1, 8000, now);
        REQUIRE(out);
        CHECK(out->sequence == 1000);
        CHECK(out->timestamp == 50'000);
        CHECK(out->ssrc == 99);
        CHECK(out->marker);
        now += frame;
        CHECK(stream.rewrite(packet(8, 260), 1, 8000, now)->sequence == 1001);
        CHECK(stream.rewrite(packet(10, 580), 1, 8000, now)->sequence == 1003); // a loss stays a loss
        CHECK(stream.rewrite(packet(9, 420), 1, 8000, now)->sequence == 1002);  // and may be late
        now += 2 * frame;
        out = stream.rewrite(packet(60'000, 4'000'000'000U, 6), 1, 8000, now); // another SSRC: music on hold
        CHECK(out->sequence == 1004);
        CHECK(out->timestamp == 50'000 + 480 + 320);
        now += frame;
        out = stream.rewrite(packet(3, 10, 6), 2, 8000, now); // another fork with the same SSRC
        CHECK(out->sequence == 1005);
        CHECK(out->timestamp == 50'000 + 480 + 480);
    }

    TEST_CASE("sequence numbers wrap like any others") {
        RtpRewriter stream(1, 65'534, 0);
        std::uint16_t expected = 65'534;
        for (unsigned n = 0; n < 5; ++n, ++expected)
            CHECK(stream.rewrite(packet(65'533 + n, n * 160), 0, 8000, start)->sequence == expected);
    }

    // 40 minutes are 120000 packets: the source's numbers go round once or twice, whatever it does meanwhile.
    TEST_CASE("a hold of 40 minutes: the numbers go on, the time is what has passed") {
        constexpr unsigned minutes = 40, packets = minutes * 60 * 50;
        constexpr std::uint32_t passed = minutes * 60 * 8000;
        struct Row {
            const char *name;
            unsigned step;
            std::uint32_t clock;
        };
        const Row rows[] = {{"it counted on", packets, passed},
                            {"it stood still", 1, 160},
                            {"its clock alone went on", 1, passed},
                            {"it counted on without its clock", packets, 160},
                            {"its numbers came round to the last one", 65'536, passed},
                            {"and to those just before it", 65'536 - 50, passed}};
        for (const auto &row : rows) {
            CAPTURE(row.name);
            RtpRewriter stream(1, 65'500, 0);
            TimePoint now = start;
            unsigned in = 65'530;
            std::uint32_t time = 4'294'960'000U;
            media::RtpHeader last;
            for (int n = 0; n < 100; ++n, ++in, time += 160, now += frame)
                last = *stream.rewrite(packet(in, time), 0, 8000, now);
            now += std::chrono::minutes(minutes) - frame;
            in += row.step - 1;
            time += row.clock - 160;
            for (int n = 0; n < 100; ++n, ++in, time += 160, now += frame) {
                const auto out = stream.rewrite(packet(in, time), 0, 8000, now);
                REQUIRE(out);
                CHECK(out->sequence == static_cast<std::uint16_t>(last.sequence + 1));
                const std::uint32_t apart = out->timestamp - last.timestamp;
                if (n == 0) {
                    CHECK(apart > passed - 8000);
                    CHECK(apart < passed + 8000);
                } else {
                    CHECK(apart == 160);
                }
                last = *out;
            }
        }
    }

    TEST_CASE("a pause in which the clock goes on is not a new beginning") {
        RtpRewriter stream(1, 0, 0);
        stream.rewrite(packet(1, 0), 0, 8000, start);
        const auto out = stream.rewrite(packet(2, 5 * 8000), 0, 8000, start + Duration{5'000 + 30});
        CHECK(out->timestamp == 5 * 8000);
        CHECK_FALSE(out->marker);
    }

    TEST_CASE("a clock that jumps while packets come leaves ours as it is") {
        RtpRewriter stream(1, 0, 0);
        stream.rewrite(packet(1, 0), 0, 8000, start);
        const auto out = stream.rewrite(packet(2, 3'000'000'000U), 0, 8000, start + frame);
        CHECK(out->timestamp == 160);
        CHECK(stream.rewrite(packet(3, 3'000'000'160U), 0, 8000, start + 2 * frame)->timestamp == 320);
    }

    // A number that was used is refused by SRTP, and a receiver in the clear takes it for the other packet.
    TEST_CASE("late packets take no number that another one has") {
        RtpRewriter stream(1, 100, 0);
        std::set<std::uint16_t> used;
        const auto send = [&](const media::RtpHeader &in, unsigned source) {
            const auto out = stream.rewrite(in, source, 8000, start);
            if (out) CHECK_MESSAGE(used.insert(out->sequence).second, in.sequence);
            return out.has_value();
        };
        CHECK(send(packet(10, 1600), 0));
        CHECK_FALSE(send(packet(9, 1440), 0)); // from before the stream began
        CHECK(send(packet(13, 2080), 0));
        CHECK(send(packet(12, 1920), 0));
        CHECK(send(packet(500, 0, 6), 0)); // another source, and one of its packets that came later
        CHECK_FALSE(send(packet(498, 0, 6), 0));
        CHECK(send(packet(503, 480, 6), 0));
        used.insert(stream.insert(101, 640, true, start).sequence); // a digit of ours
        CHECK_FALSE(send(packet(502, 320, 6), 0));
        CHECK(send(packet(504, 640, 6), 0));
        stream.skip(packet(506, 960, 6));
        CHECK_FALSE(send(packet(505, 800, 6), 0));
        CHECK(send(packet(507, 1120, 6), 0));
    }

    TEST_CASE("digits of ours find room between the packets") {
        RtpRewriter stream(1, 10, 0);
        stream.rewrite(packet(1, 0), 0, 8000, start);
        const auto digit = stream.insert(101, 160, true, start);
        CHECK(digit.sequence == 11);
        CHECK(digit.payload_type == 101);
        stream.skip(packet(2, 160)); // sound that the digit replaces
        CHECK(stream.insert(101, 160, false, start).sequence == 12);
        CHECK(stream.rewrite(packet(3, 320), 0, 8000, start)->sequence == 13);
    }

    TEST_CASE("a digit before any sound: the clock runs from there") {
        RtpRewriter stream(1, 10, 5'000);
        CHECK(stream.clock(8000, start) == 5'000);
        CHECK(stream.insert(101, 5'000, true, start).timestamp == 5'000);
        CHECK(stream.clock(8000, start + frame) == 5'160);
        const auto sound = stream.rewrite(packet(7, 900), 0, 8000, start + 2 * frame);
        CHECK(sound->sequence == 11);
        CHECK(sound->timestamp == 5'320);
    }
}
