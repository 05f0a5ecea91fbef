#include <algorithm>
#include <cmath>
#include <random>

#include <doctest/doctest.h>

#include "media/jitter.hpp"
#include "media/wire.hpp"

using namespace offhook;
using namespace offhook::media;

namespace {

constexpr TimePoint epoch{std::chrono::hours{1}};
constexpr double ptime = 20; // ms
using Kind = JitterBuffer::Pull::Kind;

TimePoint at_ms(double ms) {
    return epoch + std::chrono::microseconds(static_cast<std::int64_t>(ms * 1000));
}

struct Arrival {
    double at; // ms
    RtpHeader header;
    std::uint32_t number; // of the frame, in its payload
};

// A stream of `count` packets; what the network does to it is done to the arrivals.
std::vector<Arrival> stream(std::size_t count, std::uint16_t sequence = 65000,
                            std::uint32_t timestamp = 0xFFFF0000U, double from = 0, std::uint32_t first = 0,
                            std::uint32_t ssrc = 1) {
    std::vector<Arrival> arrivals;
    for (std::uint32_t n = 0; n < count; ++n)
        arrivals.push_back({from + n * ptime,
                            {.payload_type = 8,
                             .sequence = static_cast<std::uint16_t>(sequence + n),
                             .timestamp = timestamp + n * 160,
                             .ssrc = ssrc},
                            first + n});
    return arrivals;
}

struct Played {
    std::size_t frames = 0, lost = 0, empty = 0, deepest = 0, repeated = 0, backwards = 0;
    std::vector<double> delays;                        // ms from being sent to being played
    std::vector<std::pair<double, std::uint32_t>> log; // when, which frame
};

// Plays the arrivals: one pull per ptime, half a frame after the packets of a clean network.
Played play(JitterBuffer &buffer, std::vector<Arrival> arrivals, double extra = 2000) {
    std::stable_sort(arrivals.begin(), arrivals.end(), [](auto &a, auto &b) { return a.at < b.at; });
    Played played;
    const double end = arrivals.back().at + extra;
    std::size_t next = 0;
    for (double now = ptime / 2; now < end; now += ptime) {
        for (; next < arrivals.size() && arrivals[next].at <= now; ++next) {
            std::uint8_t payload[4];
            write_u32(payload, 0, arrivals[next].number);
            buffer.push({arrivals[next].header, payload}, at_ms(arrivals[next].at));
            played.deepest = std::max(played.deepest, buffer.depth());
        }
        const auto pull = buffer.pull(at_ms(now));
        if (pull.kind == Kind::lost) ++played.lost;
        if (pull.kind == Kind::empty) ++played.empty;
        if (pull.kind != Kind::frame) continue;
        const std::uint32_t number = read_u32(pull.frame.payload, 0);
        if (!played.log.empty() && number == played.log.back().second) ++played.repeated;
        if (!played.log.empty() && number < played.log.back().second) ++played.backwards;
        ++played.frames;
        played.delays.push_back(now - number * ptime);
        played.log.emplace_back(now, number);
    }
    return played;
}

double mean(const std::vector<double> &values) {
    double sum = 0;
    for (double value : values)
        sum += value;
    return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

struct Network {
    unsigned loss; // percent
    double jitter; // ± ms, equally distributed
    unsigned reorder, duplicates;
};

std::vector<Arrival> through(const Network &network, std::vector<Arrival> sent, unsigned seed) {
    std::mt19937 random(seed);
    const auto chance = [&](unsigned percent) { return random() % 100 < percent; };
    std::vector<Arrival> arrivals;
    double before = 0;
    for (Arrival &packet : sent) {
        const double delay = 40 + network.jitter * (2.0 * (random() % 10'000) / 10'000 - 1);
        const bool overtaken = chance(network.reorder);
        packet.at += delay;
        if (!overtaken) packet.at = std::max(packet.at, before); // jitter alone keeps the order
        if (overtaken)
            packet.at += ptime + 5;
        else
            before = packet.at;
        if (chance(network.loss)) continue;
        arrivals.push_back(packet);
        if (chance(network.duplicates)) arrivals.push_back(packet);
    }
    return arrivals;
}

} // namespace

TEST_SUITE("jitter") {

    TEST_CASE("a clean network costs at most one frame and loses nothing") {
        JitterBuffer buffer({});
        const Played played = play(buffer, stream(3000), 200);
        CHECK(played.frames == 3000);
        CHECK(*std::max_element(played.delays.begin(), played.delays.end()) <= 25);
        CHECK(buffer.delay() <= Duration{25});
        CHECK(buffer.counters().late == 0);
        CHECK(buffer.counters().discarded == 0);
        CHECK(buffer.counters().resets == 0);
    }

    TEST_CASE("a bad network: little more is concealed than was lost, at a delay in proportion") {
        for (const Network &network : {Network{0, 20, 0, 0}, Network{1, 20, 3, 1}, Network{5, 20, 3, 1},
                                       Network{10, 20, 3, 1}, Network{5, 0, 0, 0}, Network{1, 5, 0, 1}})
            for (unsigned seed = 1; seed <= 5; ++seed) {
                CAPTURE(network.loss);
                CAPTURE(network.jitter);
                CAPTURE(seed);
                constexpr std::size_t count = 3000; // a minute
                const auto arrivals = through(network, stream(count), seed);
                std::vector<bool> came(count);
                for (const Arrival &arrival : arrivals)
                    came[arrival.number] = true;
                const auto lost = static_cast<std::size_t>(std::count(came.begin(), came.end(), false));
                JitterBuffer buffer({});
                const Played played = play(buffer, arrivals, 0);
                CHECK(played.lost <= lost + count / 100);
                CHECK(played.repeated == 0);
                CHECK(played.backwards == 0);
                const double goal = 2 * network.jitter + ptime + ptime / 2; // half a frame: our ticks
                CHECK(mean(played.delays) - 40 <= goal);
                CHECK(buffer.counters().resets == 0);
            }
    }

    TEST_CASE("a lost packet is concealed in its place, with the next one at hand") {
        auto arrivals = stream(50);
        arrivals.erase(arrivals.begin() + 20);
        JitterBuffer buffer({.min_delay = Duration{40}});
        std::size_t next = 0, gaps = 0;
        for (double now = 10; next < arrivals.size(); now += ptime) {
            for (; next < arrivals.size() && arrivals[next].at <= now; ++next) {
                std::uint8_t payload[4];
                write_u32(payload, 0, arrivals[next].number);
                buffer.push({arrivals[next].header, payload}, at_ms(arrivals[next].at));
            }
            const auto pull = buffer.pull(at_ms(now));
            if (pull.kind != Kind::lost) continue;
            ++gaps;
            REQUIRE(pull.next != nullptr);
            CHECK(read_u32(pull.next->payload, 0) == 21);
        }
        CHECK(gaps == 1);
        CHECK(buffer.counters().concealed == 1);
    }

    TEST_CASE("duplicates and late packets are counted and not played") {
        auto arrivals = stream(100);
        for (std::uint32_t n = 0; n < 10; ++n) {
            arrivals.push_back(arrivals[10 * n]);
            Arrival late = arrivals[10 * n + 5];
            late.at += 300;
            arrivals.push_back(late);
        }
        JitterBuffer buffer({});
        const Played played = play(buffer, arrivals, 200);
        CHECK(played.frames == 100);
        CHECK(played.repeated + played.backwards == 0);
        CHECK(buffer.counters().late + buffer.counters().duplicates == 20);
    }

    TEST_CASE("sound is back within a second, whatever jumps") {
        struct Row {
            const char *what;
            int sequence;
            std::uint32_t timestamp, ssrc;
            double pause;
        };
        const int on = 65000 + 200;
        const std::uint32_t time = 0xFFFF0000U + 200 * 160;
        for (const Row &row : {
                 Row{"SSRC", 7, 7, 2, 0},
                 Row{"SSRC alone", on, time, 2, 0},
                 Row{"sequence far ahead", on + 20'000, time, 1, 0},
                 Row{"sequence far back", on - 20'000, time, 1, 0},
                 Row{"sequence a little ahead", on + 500, time, 1, 0},
                 Row{"sequence 60 ahead", on + 60, time, 1, 0},
                 Row{"sequence a little back", on - 500, time, 1, 0},
                 Row{"sequence 60 back", on - 60, time, 1, 0},
                 Row{"timestamp ahead", on, time + 0x40000000, 1, 0},
                 Row{"timestamp back", on, time - 0x40000000, 1, 0},
                 Row{"timestamp a second ahead", on, time + 8000, 1, 0},
                 Row{"all", 1, 1, 1, 0},
                 Row{"a pause of a minute", on, time, 1, 60'000},
                 Row{"a pause, numbers go on", on, time + 8 * 60'000, 1, 60'000},
                 Row{"a minute lost", on + 3000, time + 8 * 60'000, 1, 60'000},
                 Row{"a pause, another sender", 9, 9, 3, 5000},
             }) {
            CAPTURE(row.what);
            auto arrivals = stream(200);
            const double from = 200 * ptime + row.pause;
            const auto after = stream(200, static_cast<std::uint16_t>(row.sequence), row.timestamp, from,
                                      1'000'000, row.ssrc);
            arrivals.insert(arrivals.end(), after.begin(), after.end());
            JitterBuffer buffer({});
            const Played played = play(buffer, arrivals, 500);
            const auto back = std::find_if(played.log.begin(), played.log.end(),
                                           [](const auto &frame) { return frame.second >= 1'000'000; });
            REQUIRE(back != played.log.end());
            CHECK(back->first - from <= 1000);
            const auto steady = std::count_if(played.log.begin(), played.log.end(), [&](const auto &frame) {
                return frame.second >= 1'000'000 && frame.first >= from + 1000;
            });
            CHECK(steady >= 147); // three seconds of 50 frames, without gaps
            CHECK(played.backwards == 0);
        }
    }

    TEST_CASE("packets without sound leave no gap in it") {
        JitterBuffer buffer({});
        std::size_t concealed = 0;
        for (std::uint32_t n = 0; n < 100; ++n) {
            const RtpHeader header{
                .sequence = static_cast<std::uint16_t>(n), .timestamp = n * 160, .ssrc = 1};
            const TimePoint now = at_ms(n * ptime);
            if (n >= 40 && n < 50)
                buffer.pass(header);
            else
                buffer.push({header, std::vector<std::uint8_t>(4)}, now);
            if (buffer.pull(now).kind == Kind::lost) ++concealed;
        }
        CHECK(concealed == 0);
    }

    TEST_CASE("it is bounded whatever comes") {
        std::mt19937 random(64);
        JitterBuffer buffer({});
        for (std::uint32_t n = 0; n < 50'000; ++n) {
            const RtpHeader header{.payload_type = 8,
                                   .sequence = static_cast<std::uint16_t>(random() % 2 == 0 ? n : random()),
                                   .timestamp = static_cast<std::uint32_t>(random()),
                                   .ssrc = random() % 1000 == 0 ? 2U : 1U};
            const TimePoint now = at_ms(n * (random() % 3));
            if (random() % 10 == 0)
                buffer.pass(header);
            else
                buffer.push({header, std::vector<std::uint8_t>(160)}, now);
            CHECK(buffer.depth() <= 64);
            CHECK(buffer.delay() <= Duration{200});
            if (random() % 4 == 0) (void)buffer.pull(now);
        }
        JitterBuffer flooded({});
        for (std::uint16_t n = 0; n < 5000; ++n) // a second's worth at once, nobody pulls
            flooded.push({{.sequence = n, .timestamp = n * 160U, .ssrc = 1}, {}}, epoch);
        CHECK(flooded.depth() <= 12);
        CHECK(flooded.pull(epoch).frame.timestamp >= (5000 - 12) * 160U);
    }

    TEST_CASE("after the jitter is gone the delay goes back") {
        auto arrivals = through({0, 60, 0, 0}, stream(1000), 3);
        auto calm = stream(3000, 66000 - 65536, 0xFFFF0000U + 1000 * 160, 1000 * ptime + 40, 1000);
        arrivals.insert(arrivals.end(), calm.begin(), calm.end());
        JitterBuffer buffer({});
        const Played played = play(buffer, arrivals, 0);
        const std::vector<double> last(played.delays.end() - 100, played.delays.end());
        CHECK(mean(last) - 40 <= 45);
        CHECK(buffer.delay() <= Duration{25});
    }

} // TEST_SUITE
