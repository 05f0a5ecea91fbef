#include <cmath>
#include <numbers>

#include <doctest/doctest.h>

#include "media/drift.hpp"

using namespace offhook;
using namespace offhook::media;

namespace {

struct Run {
    double worst = 0; // difference from the sine's own second difference, relative to its amplitude
    double slowest = 60000, fastest = 0; // level in ms, after the first 30 s
    std::uint64_t starved = 0, cut = 0;
};

// A card `ppm` fast writes 20 ms periods of a sine; the loop reads one frame every 20 ms.
Run run(unsigned rate, double ppm, double minutes) {
    DriftReader reader(rate);
    const double step = 2 * std::numbers::pi * 400 / rate, amplitude = 8000;
    std::vector<std::int16_t> in(rate / 50), out(rate / 50);
    double written = 0, before[2]{};
    std::uint64_t n = 0, read = 0;
    Run result;
    for (std::uint64_t tick = 0; tick < static_cast<std::uint64_t>(minutes * 3000); ++tick) {
        for (written += 1 + ppm * 1e-6; written >= 1; written -= 1) {
            for (auto &sample : in)
                sample = static_cast<std::int16_t>(
                    std::lrint(amplitude * std::sin(step * static_cast<double>(n++))));
            reader.push(in);
        }
        if (!reader.pull(out)) continue;
        for (const double sample : out) {
            // A sine's second difference is a fixed fraction of itself: a click stands out of it.
            const double click = std::abs(sample - 2 * before[1] + before[0] + step * step * before[1]);
            if (++read > rate) result.worst = std::max(result.worst, click / amplitude);
            before[0] = before[1];
            before[1] = sample;
        }
        if (tick < 1500) continue;
        result.slowest = std::min(result.slowest, static_cast<double>(reader.level().count()));
        result.fastest = std::max(result.fastest, static_cast<double>(reader.level().count()));
    }
    result.starved = reader.counters().starved;
    result.cut = reader.counters().cut;
    return result;
}

} // namespace

TEST_SUITE("drift") {

    TEST_CASE("clocks up to 200 ppm apart for ten minutes: nothing is cut, missing or heard to click") {
        for (const unsigned rate : {8000U, 48000U})
            for (const double ppm : {0.0, 200.0, -200.0, 35.0}) {
                if (rate == 48000 && ppm != 200) continue; // as slow as it is long
                CAPTURE(rate);
                CAPTURE(ppm);
                const Run result = run(rate, ppm, 10);
                CHECK(result.starved == 0);
                CHECK(result.cut == 0);
                CHECK(result.worst < 0.01); // a step of 1 % of the amplitude would be one
                CHECK(result.slowest >= 5);
                CHECK(result.fastest <= 70);
            }
    }

    TEST_CASE("clocks that agree are passed through sample by sample") {
        DriftReader reader(8000);
        std::vector<std::int16_t> in(160), out(160), all, got;
        for (int tick = 0; tick < 500; ++tick) {
            for (auto &sample : in)
                sample = static_cast<std::int16_t>(all.size() % 30011), all.push_back(sample);
            reader.push(in);
            if (reader.pull(out)) got.insert(got.end(), out.begin(), out.end());
        }
        REQUIRE(got.size() > 70'000);
        CHECK(std::equal(got.begin(), got.end(), all.begin()));
    }

    TEST_CASE("a stall costs one gap, a flood one cut, and the level is right again") {
        DriftReader reader(8000);
        std::vector<std::int16_t> frame(160, 1000), out(160);
        const auto both = [&](int ticks) {
            for (int i = 0; i < ticks; ++i) {
                reader.push(frame);
                (void)reader.pull(out);
            }
        };
        both(100);
        for (int i = 0; i < 50; ++i)
            (void)reader.pull(out);
        CHECK(reader.counters().starved == 1);
        both(100);
        CHECK(reader.counters().starved == 1);
        for (int i = 0; i < 100; ++i) {
            reader.push(frame);
            CHECK(reader.level() <= DriftReader::limit);
        }
        CHECK(reader.counters().cut >= 1);
        both(500);
        CHECK(reader.level() <= Duration{80});
        CHECK(out == frame);
    }

} // TEST_SUITE
