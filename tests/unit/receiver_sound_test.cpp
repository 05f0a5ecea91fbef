// What a receiver makes of a network: the sound itself, in simulated time.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

#include <doctest/doctest.h>

#include "media/detect.hpp"
#include "media/pcm.hpp"
#include "media/quality.hpp"
#include "media/receiver.hpp"

using namespace offhook;
using namespace offhook::media;

namespace {

constexpr TimePoint epoch{std::chrono::hours{1}};
constexpr unsigned rate = 8000;
constexpr double amplitude = 6000, hz = 400;

TimePoint at_ms(double ms) {
    return epoch + std::chrono::microseconds(static_cast<std::int64_t>(ms * 1000));
}

struct Packet {
    double at;
    RtpHeader header;
    std::vector<std::uint8_t> payload;
};

// The sound of each moment is known by its phase: a sine that turns once in 2.5 ms, with a slow swell.
std::int16_t sample(std::uint64_t n) {
    return to_sample(amplitude / full_scale *
                     std::sin(2 * std::numbers::pi * hz * static_cast<double>(n) / rate));
}

struct Network {
    double ppm = 0;     // the sender's clock
    unsigned loss = 0;  // percent
    unsigned burst = 1; // packets lost together
    double jitter = 0;  // ± ms
    unsigned reorder = 0, duplicates = 0;
};

std::vector<Packet> send(const Network &network, double seconds, unsigned seed) {
    std::mt19937 random(seed);
    const auto chance = [&](double percent) { return random() % 100'000 < percent * 1000; };
    std::vector<Packet> packets;
    double before = 0;
    unsigned dropping = 0;
    for (std::uint32_t n = 0; n < static_cast<std::uint32_t>(seconds * 50); ++n) {
        Packet packet{n * 20.0 / (1 + network.ppm * 1e-6),
                      {.payload_type = 0,
                       .sequence = static_cast<std::uint16_t>(60'000 + n),
                       .timestamp = n * 160,
                       .ssrc = 5},
                      std::vector<std::uint8_t>(160)};
        for (std::uint32_t i = 0; i < 160; ++i)
            packet.payload[i] = linear_to_ulaw(sample(std::uint64_t{n} * 160 + i));
        packet.at += 50 + network.jitter * (2.0 * (random() % 10'000) / 10'000 - 1);
        const bool overtaken = chance(network.reorder);
        packet.at = overtaken ? packet.at + 25 : std::max(packet.at, before);
        if (!overtaken) before = packet.at;
        if (dropping == 0 && chance(static_cast<double>(network.loss) / network.burst))
            dropping = network.burst;
        if (dropping > 0) {
            --dropping;
            continue;
        }
        packets.push_back(packet);
        if (chance(network.duplicates)) packets.push_back(packet);
    }
    std::stable_sort(packets.begin(), packets.end(), [](auto &a, auto &b) { return a.at < b.at; });
    return packets;
}

struct Heard {
    double silent_percent = 0; // of 20 ms pieces without the tone
    double click = 0;          // largest second difference beyond the sine's own, by the amplitude
    double age_ms = 0;         // mean, after ten seconds
    LossPattern pattern;
    std::uint64_t concealed = 0;
};

Heard hear(const Network &network, double seconds, unsigned seed = 1) {
    const auto packets = send(network, seconds, seed);
    Negotiated agreed;
    agreed.codec = find_codec("pcmu");
    agreed.receivable = {{0, agreed.codec}};
    Receiver receiver(20);
    receiver.configure(agreed);
    std::vector<std::int16_t> frame(160);
    Heard heard;
    double before[2]{}, ages = 0;
    std::size_t next = 0, pieces = 0, without = 0, counted = 0;
    const double step = 2 * std::numbers::pi * hz / rate;
    for (double now = 57; now < seconds * 1000 - 1000; now += 20) {
        for (; next < packets.size() && packets[next].at <= now; ++next)
            (void)receiver.packet({packets[next].header, packets[next].payload}, at_ms(packets[next].at));
        receiver.read(frame, at_ms(now));
        if (now < 1000) continue;
        ++pieces;
        if (level_dbfs(frame) < -30 || tone_share(frame, rate, hz) < 0.8) ++without;
        for (const double value : frame) {
            const double click = std::abs(value - 2 * before[1] + before[0] + step * step * before[1]);
            if (now > 1100) heard.click = std::max(heard.click, click / amplitude);
            before[0] = before[1];
            before[1] = value;
        }
        if (now > 10'000) ages += static_cast<double>(receiver.buffered().count()), ++counted;
    }
    heard.silent_percent = 100.0 * static_cast<double>(without) / static_cast<double>(pieces);
    heard.age_ms = counted > 0 ? ages / static_cast<double>(counted) : 0;
    heard.pattern = receiver.pattern();
    heard.concealed = receiver.counters()->concealed;
    return heard;
}

} // namespace

TEST_SUITE("receiver sound") {

    TEST_CASE("200 ppm between the clocks for ten minutes: no gap, no click, no growing delay") {
        for (const double ppm : {200.0, -200.0}) {
            CAPTURE(ppm);
            const Heard heard = hear({.ppm = ppm}, 600);
            CHECK(heard.concealed == 0);
            CHECK(heard.pattern.lost() == 0);
            CHECK(heard.silent_percent == 0);
            CHECK(heard.click < 0.03); // G.711 alone makes 0.017 of it
            CHECK(heard.age_ms <= 50);
        }
    }

    TEST_CASE("loss, bursts, jitter, reordering, duplicates: little more is missing than was lost") {
        struct Row {
            Network network;
            double most_age;
        };
        for (const Row &row : {Row{{.loss = 1}, 50}, Row{{.loss = 5}, 50}, Row{{.loss = 10}, 60},
                               Row{{.loss = 5, .burst = 5}, 70}, Row{{.jitter = 20}, 80},
                               Row{{.loss = 1, .jitter = 20, .reorder = 3, .duplicates = 1}, 90},
                               Row{{.loss = 5, .jitter = 20, .reorder = 3, .duplicates = 1}, 90}})
            for (unsigned seed = 1; seed <= 2; ++seed) {
                CAPTURE(row.network.loss);
                CAPTURE(row.network.burst);
                CAPTURE(row.network.jitter);
                CAPTURE(seed);
                const Heard heard = hear(row.network, 60, seed);
                CHECK(heard.pattern.loss_percent() <= row.network.loss * 1.4 + 1);
                CHECK(static_cast<double>(heard.concealed) / 30.0 <=
                      row.network.loss * 1.4 + 1); // of 3000, in percent
                CHECK(heard.age_ms <= row.most_age);
                if (row.network.burst > 1) CHECK(heard.pattern.burst_ratio() > 3);
                if (row.network.loss > 0 && row.network.burst == 1 && row.network.jitter == 0)
                    CHECK(heard.pattern.burst_ratio() < 1.3);
                const double told = mos(QualityInput{.loss_percent = heard.pattern.loss_percent(),
                                                     .burst_ratio = heard.pattern.burst_ratio()});
                const double model = mos(QualityInput{.loss_percent = static_cast<double>(row.network.loss),
                                                      .burst_ratio = row.network.burst > 1 ? 4.75 : 1.0});
                CHECK(std::abs(told - model) <= 0.3);
            }
    }

} // TEST_SUITE
