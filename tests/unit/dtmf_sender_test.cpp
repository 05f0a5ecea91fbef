#include <doctest/doctest.h>

#include "media/dtmf.hpp"
#include "media/wire.hpp"

using namespace offhook;
using namespace offhook::media;

namespace {

struct Tick {
    std::uint32_t at;
    std::optional<DtmfSender::Payload> payload;
};

// Polls every ptime until the sender is idle.
std::vector<Tick> run(DtmfSender &sender, std::uint32_t from, std::uint32_t step) {
    std::vector<Tick> ticks;
    for (std::uint32_t at = from; sender.busy() && ticks.size() < 10'000; at += step)
        ticks.push_back({at, sender.poll(at)});
    return ticks;
}

unsigned duration(const Tick &tick) {
    return read_u16(tick.payload->bytes, 2);
}

bool end(const Tick &tick) {
    return (tick.payload->bytes[1] & 0x80) != 0;
}

} // namespace

TEST_SUITE("dtmf") {

    TEST_CASE("a digit is sent with one marker, one timestamp, growing durations and three equal ENDs") {
        for (const unsigned rate : {8000U, 48000U})
            for (const unsigned ptime : {10U, 20U, 30U}) {
                CAPTURE(rate);
                CAPTURE(ptime);
                const std::uint32_t start = 0xFFFFFF00U, step = rate / 1000 * ptime; // wraps under way
                DtmfSender sender({.clock_rate = rate, .ptime_ms = ptime});
                REQUIRE(sender.send("5"));
                const auto ticks = run(sender, start, step);
                unsigned before = 0, ends = 0;
                for (const Tick &tick : ticks) {
                    if (!tick.payload) continue;
                    CHECK(tick.payload->bytes[0] == 5);
                    CHECK((tick.payload->bytes[1] & 0x7F) <=
                          36); // the reserved bit is 0, the volume possible
                    CHECK(tick.payload->timestamp == start);
                    CHECK(tick.payload->marker == (before == 0));
                    CHECK(duration(tick) >= before);
                    if (!end(tick)) CHECK(duration(tick) == tick.at - start + step);
                    if (end(tick)) CHECK(duration(tick) == 160 * rate / 1000);
                    before = duration(tick);
                    ends += end(tick) ? 1 : 0;
                }
                CHECK(ends == 3);
            }
    }

    TEST_CASE("digits are the gap apart, each with its own timestamp, and pauses add to it") {
        struct Row {
            const char *digits;
            std::int64_t pauses;
        };
        for (const Row &row : {Row{"12", 0}, Row{"1,2", 1}, Row{"1w2", 1}, Row{"1W,2", 2}}) {
            CAPTURE(row.digits);
            DtmfSender sender({.tone = Duration{100}, .gap = Duration{80}, .pause = Duration{500}});
            REQUIRE(sender.send(row.digits));
            std::uint32_t last_of_first = 0, second = 0;
            for (const Tick &tick : run(sender, 4000, 160)) {
                if (!tick.payload) continue;
                (tick.payload->bytes[0] == 1 ? last_of_first : second) =
                    tick.payload->bytes[0] == 1 ? tick.at : tick.payload->timestamp;
            }
            const std::int64_t silence = (std::int64_t{second} - last_of_first) / 8;
            CHECK(silence >= 80 + 500 * row.pauses);
            CHECK(silence <= 80 + 500 * row.pauses + 20 * (row.pauses + 1));
        }
    }

    TEST_CASE("audio flows in gaps and pauses, and the sender says which digit began") {
        DtmfSender sender({});
        REQUIRE(sender.send(",1d"));
        CHECK(sender.busy());
        std::string started;
        std::size_t silent = 0, loud = 0;
        for (std::uint32_t at = 0; sender.busy(); at += 160) {
            (sender.poll(at) ? loud : silent) += 1;
            if (const auto digit = sender.take_started()) started += *digit;
        }
        CHECK(started == "1D");
        CHECK(loud == 2 * (160 / 20 + 2));
        CHECK(silent >= 500 / 20 + 160 / 20);
        CHECK_FALSE(sender.poll(99999));
    }

    TEST_CASE("a queue may grow while it is sent") {
        DtmfSender sender({});
        REQUIRE(sender.send("1"));
        (void)sender.poll(0);
        REQUIRE(sender.send("2"));
        std::string started(1, sender.take_started().value());
        for (std::uint32_t at = 160; sender.busy(); at += 160) {
            (void)sender.poll(at);
            if (const auto digit = sender.take_started()) started += *digit;
        }
        CHECK(started == "12");
    }

    TEST_CASE("characters that are no digits are named and nothing is sent") {
        struct Row {
            const char *digits, *where;
        };
        for (const Row &row :
             {Row{"12x4", "character 3"}, Row{"+1", "character 1"}, Row{"1 2", "character 2"},
              Row{"1\n", "character 2"}, Row{"e", "character 1"}}) {
            DtmfSender sender({});
            const auto sent = sender.send(row.digits);
            REQUIRE_FALSE(sent);
            CHECK(sent.error().code == Errc::invalid_argument);
            CHECK(sent.error().what.find(row.where) != std::string::npos);
            CHECK_FALSE(sender.busy());
        }
    }

    TEST_CASE("what the sender sends the receiver hears") {
        DtmfSender sender({});
        const std::string digits = "0123456789*#ABCD0011";
        REQUIRE(sender.send(digits));
        DtmfReceiver receiver;
        std::string heard;
        TimePoint now{};
        for (std::uint32_t at = 0xFFFFF000U; sender.busy(); at += 160, now += Duration{20}) {
            const auto payload = sender.poll(at);
            if (!payload) continue;
            const RtpHeader header{.marker = payload->marker, .timestamp = payload->timestamp, .ssrc = 9};
            for (const DtmfEvent &event : receiver.received({header, payload->bytes}, now))
                if (event.kind == DtmfEvent::Kind::up) {
                    heard += event.digit;
                    CHECK(event.length == Duration{160});
                }
        }
        CHECK(heard == digits);
    }

} // TEST_SUITE
