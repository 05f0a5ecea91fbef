#include <random>

#include <doctest/doctest.h>

#include "media/dtmf.hpp"
#include "media/wire.hpp"

using namespace offhook;
using namespace offhook::media;

namespace {

constexpr std::uint32_t step = 160; // one packet of 20 ms at 8 kHz
constexpr TimePoint epoch{std::chrono::hours{1}};

struct Sent {
    RtpHeader header;
    std::vector<std::uint8_t> payload;
};

Sent packet(char digit, std::uint32_t timestamp, std::uint16_t duration, bool end, bool marker = false,
            std::uint32_t ssrc = 1) {
    Sent sent{{.marker = marker, .payload_type = 101, .timestamp = timestamp, .ssrc = ssrc},
              {dtmf_event_code(digit).value(), static_cast<std::uint8_t>(end ? 0x8a : 0x0a), 0, 0}};
    write_u16(sent.payload, 2, duration);
    return sent;
}

// A digit as phones send it: the start with the marker, three updates, three ENDs.
std::vector<Sent> whole(char digit, std::uint32_t timestamp, std::uint32_t ssrc = 1) {
    std::vector<Sent> sent;
    for (std::uint16_t n = 1; n <= 4; ++n)
        sent.push_back(packet(digit, timestamp, static_cast<std::uint16_t>(n * step), false, n == 1, ssrc));
    for (int n = 0; n < 3; ++n)
        sent.push_back(packet(digit, timestamp, 5 * step, true, false, ssrc));
    return sent;
}

std::vector<Sent> operator+(std::vector<Sent> a, const std::vector<Sent> &b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

// What a receiver makes of packets 20 ms apart, with a poll before each and silence behind the last.
struct Heard {
    std::string downs, ups;
    std::vector<std::int64_t> lengths;
    bool paired = true; // every down is followed by its own up

    void add(const std::vector<DtmfEvent> &events) {
        for (const DtmfEvent &event : events) {
            const bool down = event.kind == DtmfEvent::Kind::down;
            (down ? downs : ups) += event.digit;
            if (!down) lengths.push_back(event.length.count());
            const bool balanced = down ? downs.size() == ups.size() + 1 : downs == ups;
            paired = paired && balanced;
        }
    }
};

Heard hear(const std::vector<Sent> &packets, unsigned clock_rate = 8000) {
    DtmfReceiver receiver;
    Heard heard;
    TimePoint now = epoch;
    for (const Sent &sent : packets) {
        heard.add(receiver.poll(now));
        heard.add(receiver.received({sent.header, sent.payload}, now, clock_rate));
        now += Duration{20};
    }
    for (int n = 0; n < 10; ++n, now += Duration{20})
        heard.add(receiver.poll(now));
    CHECK_FALSE(receiver.active());
    return heard;
}

void check_digits(const std::vector<Sent> &packets, const std::string &digits) {
    const Heard heard = hear(packets);
    CHECK(heard.downs == digits);
    CHECK(heard.ups == digits);
    CHECK(heard.paired);
}

} // namespace

TEST_SUITE("dtmf") {

    TEST_CASE("digits and event codes are each other's inverse") {
        const std::string_view digits = "0123456789*#ABCD";
        for (std::uint8_t code = 0; code < digits.size(); ++code) {
            CHECK(dtmf_digit(code) == digits[code]);
            CHECK(dtmf_event_code(digits[code]) == code);
        }
        CHECK(dtmf_event_code('d') == 15);
        for (char c : {'e', 'E', ' ', '\0', '+', '\xff'})
            CHECK_FALSE(dtmf_event_code(c));
        for (unsigned code = 16; code < 256; ++code)
            CHECK_FALSE(dtmf_digit(static_cast<std::uint8_t>(code)));
    }

    TEST_CASE("a digit is heard once whichever of its packets are lost") {
        const std::vector<Sent> sent = whole('7', 1000);
        for (unsigned kept = 1; kept < 1U << sent.size(); ++kept) {
            CAPTURE(kept);
            std::vector<Sent> arrived;
            for (unsigned n = 0; n < sent.size(); ++n)
                if ((kept >> n & 1) != 0) arrived.push_back(sent[n]);
            check_digits(arrived, "7");
        }
        CHECK(hear({}).downs.empty());
    }

    TEST_CASE("the length comes from the longest duration seen, by the payload type's clock") {
        CHECK(hear(whole('7', 1000)).lengths == std::vector<std::int64_t>{100});
        CHECK(hear(whole('7', 1000), 48000).lengths == std::vector<std::int64_t>{16});
        auto cut = whole('7', 1000);
        cut.resize(3);
        CHECK(hear(cut).lengths == std::vector<std::int64_t>{60});
    }

    TEST_CASE("a digit is heard once in whatever order its packets come, and if each comes twice") {
        std::mt19937 random(20261125);
        auto sent = whole('5', 4000);
        for (int round = 0; round < 500; ++round) {
            CAPTURE(round);
            std::shuffle(sent.begin(), sent.end(), random);
            check_digits(sent, "5");
        }
        std::vector<Sent> twice;
        for (const Sent &one : whole('5', 4000))
            twice.insert(twice.end(), 2, one);
        check_digits(twice, "5");
        check_digits(whole('5', 4000) + whole('5', 4000), "5");
    }

    TEST_CASE("two digits remain two when neighbouring packets change places") {
        const auto sent = whole('1', 8000) + whole('2', 9600);
        for (std::size_t n = 0; n + 1 < sent.size(); ++n) {
            CAPTURE(n);
            auto swapped = sent;
            std::swap(swapped[n], swapped[n + 1]);
            const Heard heard = hear(swapped);
            CHECK(heard.downs == "12");
            CHECK(heard.ups == "12");
        }
    }

    // What libre's telev_recv() gets wrong or only just right.
    TEST_CASE("the cases in which libre's receiver loses or repeats digits") {
        const auto without_ends = [](std::vector<Sent> digit) {
            digit.resize(4);
            return digit;
        };
        const auto first = whole('1', 8000), again = whole('1', 10400), other = whole('2', 10400);
        SUBCASE("nothing lost") {
            check_digits(first + again, "11");
        }
        SUBCASE("the same digit twice, the first one's ENDs lost") {
            check_digits(without_ends(first) + again, "11");
        }
        SUBCASE("another digit, the first one's ENDs lost") {
            check_digits(without_ends(first) + other, "12");
        }
        SUBCASE("an update behind the ENDs") {
            check_digits(first + std::vector<Sent>{first[3]}, "1");
        }
        SUBCASE("a late END within the next digit") {
            auto late = first + other;
            const Sent end = late[6];
            late.erase(late.begin() + 6);
            late.insert(late.begin() + 8, end);
            check_digits(late, "12");
        }
        SUBCASE("only ENDs of the digit arrive") {
            check_digits(std::vector<Sent>(first.begin() + 4, first.end()) + other, "12");
        }
    }

    TEST_CASE("the marker bit is not needed") {
        auto sent = whole('1', 8000) + whole('1', 9600);
        for (Sent &one : sent)
            one.header.marker = false;
        check_digits(sent, "11");
        for (Sent &one : sent)
            one.header.marker = true;
        check_digits(sent, "11");
    }

    TEST_CASE("segments of a long event are one digit") { // RFC 4733 §2.5.1.3
        std::vector<Sent> sent{packet('9', 500, 0x8000, false, true), packet('9', 500, 0xFFFF, false)};
        SUBCASE("in order") {}
        SUBCASE("the first segment's last packet comes late") {
            std::swap(sent[0], sent[1]);
        }
        sent.push_back(packet('9', 500 + 0xFFFF, 0x100, false));
        sent.push_back(packet('9', 500, 0xFFFF, false)); // a straggler
        sent.push_back(packet('9', 500U + 2 * 0xFFFF, 0x200, false));
        for (int n = 0; n < 3; ++n)
            sent.push_back(packet('9', 500U + 2 * 0xFFFF, 800, true));
        const Heard heard = hear(sent);
        CHECK(heard.downs == "9");
        CHECK(heard.ups == "9");
        CHECK(heard.lengths == std::vector<std::int64_t>{(2 * 0xFFFF + 800) / 8});
    }

    TEST_CASE("timestamps may wrap between digits, within segments and be 0") {
        check_digits(whole('1', 0xFFFFFB00U) + whole('1', 0x00000100U), "11");
        check_digits(whole('3', 0) + whole('4', 1600), "34");
        check_digits({packet('9', 0xFFFF8000U, 0xFFFF, false), packet('9', 0x7FFFU, 160, false),
                      packet('9', 0x7FFFU, 320, true)},
                     "9");
    }

    TEST_CASE("another SSRC is another event, even with the same timestamp") {
        check_digits(whole('1', 8000, 1) + whole('1', 8000, 2), "11");
        auto cut = whole('1', 8000, 1);
        cut.resize(2);
        check_digits(cut + whole('2', 3, 2), "12");
    }

    TEST_CASE("events that are no DTMF and short payloads are dropped") {
        for (unsigned code : {16U, 17U, 32U, 64U, 255U}) {
            auto sent = whole('1', 8000);
            for (Sent &one : sent)
                one.payload[0] = static_cast<std::uint8_t>(code);
            CHECK(hear(sent).downs.empty());
        }
        for (std::size_t size = 0; size < 4; ++size) {
            auto sent = whole('1', 8000);
            for (Sent &one : sent)
                one.payload.resize(size);
            CHECK(hear(sent).downs.empty());
        }
        auto redundant =
            whole('1', 8000); // more than one event in a packet (RFC 4733 §2.5.1.5): the first counts
        for (Sent &one : redundant)
            one.payload.resize(8);
        check_digits(redundant, "1");
    }

    TEST_CASE("an event without ENDs is over after the patience, and its late packets add nothing") {
        DtmfReceiver receiver(Duration{150});
        const auto sent = whole('6', 8000);
        CHECK(receiver.received({sent[0].header, sent[0].payload}, epoch).size() == 1);
        CHECK(receiver.active());
        CHECK(receiver.poll(epoch + Duration{149}).empty());
        const auto up = receiver.poll(epoch + Duration{150});
        REQUIRE(up.size() == 1);
        CHECK(up[0].kind == DtmfEvent::Kind::up);
        CHECK(up[0].length == Duration{20});
        for (const Sent &late : sent)
            CHECK(receiver.received({late.header, late.payload}, epoch + Duration{200}).empty());
    }

    TEST_CASE(
        "random digit strings decode exactly with up to two of three ENDs lost, updates lost and swaps") {
        std::mt19937 random(4733);
        const auto chance = [&](unsigned percent) { return random() % 100 < percent; };
        for (int round = 0; round < 300; ++round) {
            CAPTURE(round);
            std::string digits;
            std::vector<Sent> sent;
            std::uint32_t timestamp = random();
            for (std::size_t n = 1 + random() % 40; n > 0; --n) {
                digits += dtmf_digit(static_cast<std::uint8_t>(random() % 16)).value();
                auto one = whole(digits.back(), timestamp);
                for (unsigned lost = random() % 3; lost > 0; --lost)
                    one.erase(one.end() - 1 - random() % lost);
                for (std::size_t at = 0; at < 4 && one.size() > 1; ++at)
                    if (chance(30)) one.erase(one.begin());
                if (one.size() > 1 && chance(30)) std::swap(one[0], one[1]);
                if (chance(20)) one.push_back(one.back());
                sent = std::move(sent) + one;
                timestamp += 800 + random() % 4000;
            }
            check_digits(sent, digits);
        }
    }

    TEST_CASE("endless new events do not use endless memory") {
        DtmfReceiver receiver;
        std::size_t told = 0;
        for (std::uint32_t n = 0; n < 100'000; ++n) {
            const Sent one = packet('1', n * 7, 7, true, false, n);
            told += receiver.received({one.header, one.payload}, epoch).size();
        }
        CHECK(told == 200'000);
        static_assert(sizeof(DtmfReceiver) < 512);
    }

    TEST_CASE("INFO bodies in the forms that phones send") {
        struct Row {
            const char *type, *body;
            char digit;
            std::int64_t ms;
        };
        for (const Row &row : {
                 Row{"application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", '5', 160},
                 Row{"application/dtmf-relay", "Signal= 5\r\nDuration= 250", '5', 250},
                 Row{"application/dtmf-relay", "Signal = #\nDuration = 90\n", '#', 90},
                 Row{"Application/DTMF-Relay; charset=utf-8", "signal=10\r\n", '*', 160},
                 Row{"application/dtmf-relay", "Duration=100\r\nSignal=11\r\n", '#', 100},
                 Row{"application/dtmf-relay", "Signal:a\r\n", 'A', 160},
                 Row{"application/dtmf-relay", "Signal=15\r\nDuration=0\r\n", 'D', 160},
                 Row{"application/dtmf-relay", "Signal=5\r\nDuration=99999999999\r\n", '5', 160},
                 Row{"application/dtmf-relay", "Signal=5\r\nDuration=-4\r\n", '5', 160},
                 Row{"application/dtmf", "5", '5', 160},
                 Row{"application/dtmf", " *\r\n", '*', 160},
                 Row{"application/dtmf", "Signal=7\r\nDuration=200\r\n", '7', 200},
                 Row{"audio/telephone-event", "11", '#', 160},
             }) {
            CAPTURE(row.type);
            CAPTURE(row.body);
            const auto event = parse_dtmf_info(row.type, row.body);
            REQUIRE(event);
            CHECK(event->digit == row.digit);
            CHECK(event->length.count() == row.ms);
        }
        const auto again = parse_dtmf_info("application/dtmf-relay", dtmf_relay_body('#', Duration{120}));
        REQUIRE(again);
        CHECK(again->digit == '#');
        CHECK(again->length == Duration{120});
    }

    TEST_CASE("INFO bodies that hold no digit are refused") {
        for (const char *body :
             {"", "Signal=", "Signal=16", "Signal=55x", "Duration=160", "Signal=-1", "=5", "\r\n"})
            for (const char *type : {"application/dtmf-relay", "application/dtmf"}) {
                CAPTURE(body);
                const auto event = parse_dtmf_info(type, body);
                REQUIRE_FALSE(event);
                CHECK(event.error().sip == 400);
            }
        for (const char *type : {"", "text/plain", "application/dtmf-relayed", "application/sdp"}) {
            const auto event = parse_dtmf_info(type, "5");
            REQUIRE_FALSE(event);
            CHECK(event.error().sip == 415);
        }
    }

} // TEST_SUITE
