#include <cmath>
#include <numbers>
#include <random>

#include <doctest/doctest.h>

#include "media/detect.hpp"
#include "media/stretch.hpp"
#include "tests/support/wav.hpp"

using namespace offhook;
using namespace offhook::media;

namespace {

// A voice-like sound: harmonics of `hz`.
std::vector<std::int16_t> voice(double hz, unsigned rate, std::size_t count, std::size_t from = 0) {
    std::vector<std::int16_t> out(count);
    for (std::size_t i = 0; i < count; ++i) {
        const double t = 2 * std::numbers::pi * hz * static_cast<double>(i + from) / rate;
        out[i] =
            static_cast<std::int16_t>(4000 * std::sin(t) + 2500 * std::sin(2 * t) + 1500 * std::sin(3 * t));
    }
    return out;
}

int steepest(const std::vector<std::int16_t> &samples) {
    int most = 0;
    for (std::size_t i = 1; i < samples.size(); ++i)
        most = std::max(most, std::abs(samples[i] - samples[i - 1]));
    return most;
}

} // namespace

TEST_SUITE("stretch") {

    TEST_CASE("a period more or less: pitch and level stay, and nothing clicks") {
        for (const unsigned rate : {8000U, 16000U, 48000U})
            for (const double hz : {120.0, 210.0, 440.0})
                for (const Stretch how : {Stretch::shorter, Stretch::longer}) {
                    CAPTURE(rate);
                    CAPTURE(hz);
                    const std::size_t frame = rate / 50;
                    std::vector<std::int16_t> all;
                    std::ptrdiff_t changed = 0;
                    for (int n = 0; n < 50; ++n) {
                        auto pcm = voice(hz, rate, frame, static_cast<std::size_t>(n) * frame);
                        if (n % 5 == 2) {
                            REQUIRE(stretch(pcm, rate, how, false));
                            changed +=
                                static_cast<std::ptrdiff_t>(pcm.size()) - static_cast<std::ptrdiff_t>(frame);
                        }
                        all.insert(all.end(), pcm.begin(), pcm.end());
                    }
                    CHECK((how == Stretch::longer ? changed > 0 : changed < 0));
                    CHECK(std::abs(changed) >=
                          static_cast<std::ptrdiff_t>(rate) * 25 / 1000); // ten times 2.5 ms
                    const auto plain = voice(hz, rate, all.size());
                    CHECK(steepest(all) <= steepest(plain) * 1.25);
                    CHECK(std::abs(test::strongest_hz(all, rate) - hz) <= hz * 0.01);
                    CHECK(level_dbfs(all) == doctest::Approx(level_dbfs(plain)).epsilon(0.03));
                }
    }

    TEST_CASE("where it would be heard it is refused, unless it must be; pauses may always") {
        std::mt19937 random(7);
        std::vector<std::int16_t> noise(160);
        for (auto &sample : noise)
            sample = static_cast<std::int16_t>(static_cast<int>(random() % 20000) - 10000);
        auto pcm = noise;
        CHECK_FALSE(stretch(pcm, 8000, Stretch::shorter, false));
        CHECK(pcm == noise);
        CHECK(stretch(pcm, 8000, Stretch::shorter, true));
        CHECK(pcm.size() < 160);
        std::vector<std::int16_t> pause(160, 3);
        CHECK(stretch(pause, 8000, Stretch::longer, false));
        CHECK(pause.size() > 160);
        std::vector<std::int16_t> tiny(79);
        CHECK_FALSE(stretch(tiny, 8000, Stretch::shorter, true));
        CHECK_FALSE(stretch(noise, 8000, Stretch::none, true));
    }

    TEST_CASE("the least time to spare is kept between 4 and 30 ms") {
        const auto after = [](int age_ms, int packets) {
            PlayoutControl control;
            Stretch what = Stretch::none;
            for (int n = 0; n < packets && what == Stretch::none; ++n)
                what = control.played(Duration{n == 3 ? age_ms : 60}, 20);
            return what;
        };
        CHECK(after(0, 50) == Stretch::longer);
        CHECK(after(3, 9) == Stretch::none); // a fifth of a second first
        CHECK(after(3, 10) == Stretch::longer);
        CHECK(after(4, 60) == Stretch::none);
        CHECK(after(30, 60) == Stretch::none);
        CHECK(after(31, 49) == Stretch::none);
        CHECK(after(31, 50) == Stretch::shorter);
        PlayoutControl control;
        for (int n = 0; n < 40; ++n)
            (void)control.played(Duration{0}, 20);
        CHECK(control.insist()); // it cannot wait for ever for a good place
        control.done();
        CHECK_FALSE(control.insist());
        CHECK(control.played(Duration{0}, 20) == Stretch::none);
    }

} // TEST_SUITE
