#include <cmath>
#include <random>

#include <doctest/doctest.h>

#include "media/detect.hpp"
#include "media/device.hpp"
#include "media/inband_dtmf.hpp"
#include "media/pcm.hpp"
#include "media/tone.hpp"
#include "tests/support/wav.hpp"

using namespace offhook;
using namespace offhook::media;

namespace {

std::vector<std::int16_t> tone(double hz, double hz2, double dbfs, unsigned rate, double seconds) {
    std::vector<std::int16_t> samples(static_cast<std::size_t>(rate * seconds));
    std::vector<Oscillator> tones{Oscillator(hz, dbfs)};
    if (hz2 > 0) tones.emplace_back(hz2, dbfs);
    add_tones(tones, samples, rate);
    return samples;
}

void add_noise(std::vector<std::int16_t> &samples, double dbfs) {
    std::mt19937 random(7);
    std::normal_distribution<double> noise(0, std::pow(10, dbfs / 20) / std::sqrt(2));
    for (auto &sample : samples)
        sample = to_sample(sample / full_scale + noise(random));
}

// Voiced sounds as speech has them: a gliding pitch with harmonics under two formants, syllables, breath.
std::vector<std::int16_t> speech_like(unsigned rate, double seconds) {
    std::vector<std::int16_t> samples(static_cast<std::size_t>(rate * seconds));
    std::mt19937 random(42);
    std::normal_distribution<double> breath(0, 0.01);
    double phase = 0;
    for (std::size_t i = 0; i < samples.size(); ++i) {
        const double t = static_cast<double>(i) / rate;
        const double pitch = 160 + 60 * std::sin(2 * t) + 30 * std::sin(9 * t);
        phase += pitch / rate;
        double value = 0;
        for (int k = 1; k * pitch < rate / 2.0 && k < 20; ++k) {
            const double f = k * pitch, formant = 500 + 250 * std::sin(5 * t);
            value += std::sin(2 * 3.14159265 * k * phase) *
                     (1 / (1 + std::pow((f - formant) / 150, 2)) + 0.4 / (1 + std::pow((f - 1800) / 250, 2)));
        }
        const double syllable = std::max(0.0, std::sin(2 * 3.14159265 * 2.5 * t));
        samples[i] = to_sample(0.15 * value * syllable + breath(random));
    }
    return samples;
}

// The time at which the detector first says yes, in ms; -1: never.
int heard_at(const std::vector<std::int16_t> &samples, unsigned rate, std::vector<double> hz) {
    ToneDetector detector(std::move(hz), rate);
    const std::size_t frame = rate / 50;
    for (std::size_t at = 0; at + frame <= samples.size(); at += frame)
        if (detector.push(ConstSamples(samples).subspan(at, frame)))
            return static_cast<int>(at * 1000 / rate) + 20;
    return -1;
}

} // namespace

TEST_SUITE("audio") {

    TEST_CASE("a sine's level is its amplitude relative to full scale") {
        for (const double dbfs : {0.0, -3.0, -12.0, -40.0}) {
            CAPTURE(dbfs);
            CHECK(level_dbfs(tone(1000, 0, dbfs, 8000, 1)) == doctest::Approx(dbfs).epsilon(0.01).scale(1));
        }
        CHECK(level_dbfs(std::vector<std::int16_t>(160)) == -96);
        CHECK(level_dbfs({}) == -96);
        const std::vector<std::int16_t> square(160, std::int16_t{-32768});
        CHECK(level_dbfs(square) == doctest::Approx(3.01).epsilon(0.01));
    }

    TEST_CASE("tone_share tells the frequency that is there from the others") {
        const auto samples = tone(440, 0, -12, 8000, 0.5);
        CHECK(tone_share(samples, 8000, 440) > 0.99);
        CHECK(tone_share(samples, 8000, 880) < 0.001);
        const auto two = tone(440, 880, -12, 8000, 0.5);
        CHECK(tone_share(two, 8000, 440) == doctest::Approx(0.5).epsilon(0.02));
    }

    TEST_CASE("a watched tone is heard within 200 ms at any rate, and only the right one") {
        struct Row {
            double hz, hz2;
            std::vector<double> watched;
            bool heard;
        };
        const std::vector<Row> rows{
            {440, 0, {440}, true},        {440, 0, {444}, true},          {440, 0, {460}, false},
            {440, 0, {880}, false},       {440, 0, {440, 480}, false},    {350, 440, {350, 440}, true},
            {350, 440, {440}, false},     {697, 1209, {697, 1209}, true}, {2000, 0, {2000}, true},
            {440, 480, {440, 480}, true}, {425, 0, {425}, true},          {3400, 0, {3400}, true},
            {440, 0, {5000000}, false},
        };
        for (const unsigned rate : {8000U, 16000U, 48000U})
            for (const auto &row : rows) {
                CAPTURE(rate);
                CAPTURE(row.hz);
                CAPTURE(row.watched);
                auto samples = tone(row.hz, row.hz2, -20, rate, 0.5);
                add_noise(samples, -45);
                const int at = heard_at(samples, rate, row.watched);
                CHECK((at >= 0) == row.heard);
                CHECK(at <= 200);
            }
    }

    TEST_CASE("a tone below 20 dB over the noise, or too short, is not heard") {
        auto noisy = tone(440, 0, -20, 8000, 1);
        add_noise(noisy, -30);
        CHECK(heard_at(noisy, 8000, {440}) == -1);
        auto brief = tone(440, 0, -20, 8000, 0.09);
        brief.resize(8000);
        CHECK(heard_at(brief, 8000, {440}) == -1);
        CHECK(heard_at(tone(440, 0, -60, 8000, 1), 8000, {440}) == -1);
    }

    TEST_CASE("ten seconds of speech and of noise hold no tone") {
        const auto speech = speech_like(8000, 10);
        REQUIRE(level_dbfs(speech) > -35);
        std::vector<std::int16_t> noise(80000);
        add_noise(noise, -20);
        for (const double hz : {200.0, 300.0, 425.0, 440.0, 700.0, 1000.0, 1800.0}) {
            CAPTURE(hz);
            CHECK(heard_at(speech, 8000, {hz}) == -1);
            CHECK(heard_at(noise, 8000, {hz}) == -1);
        }
    }

    TEST_CASE("silence lasts until something louder than the background comes") {
        SilenceDetector detector(8000);
        const std::vector<std::int16_t> nothing(160);
        auto hum = tone(100, 0, -60, 8000, 0.02);
        auto voice = tone(300, 0, -20, 8000, 0.02);
        for (int i = 0; i < 50; ++i)
            detector.push(i % 2 == 0 ? nothing : hum);
        CHECK(detector.silent_for() == Duration{1000});
        CHECK_FALSE(detector.voice());
        CHECK_FALSE(detector.heard_anything());
        detector.push(voice); // a click
        detector.push(nothing);
        CHECK_FALSE(detector.heard_anything());
        for (int i = 0; i < 3; ++i)
            detector.push(voice);
        CHECK(detector.voice());
        CHECK(detector.heard_anything());
        CHECK(detector.silent_for() == Duration{0});
        for (int i = 0; i < 100; ++i)
            detector.push(nothing);
        CHECK(detector.silent_for() == Duration{2000});
        CHECK(detector.heard_anything());
    }

    TEST_CASE("a steady hum becomes the background, a loud tone never does") {
        SilenceDetector hum_detector(8000), tone_detector(8000);
        const auto hum = tone(100, 0, -40, 8000, 0.02), loud = tone(425, 0, -12, 8000, 0.02);
        for (int i = 0; i < 1500; ++i) {
            hum_detector.push(hum);
            tone_detector.push(loud);
        }
        CHECK_FALSE(hum_detector.voice());
        CHECK(tone_detector.voice());
    }

    TEST_CASE("a tone source has the exact frequency and level and runs on without a jump") {
        auto source = make_tone_source(440, 0, -12);
        std::vector<std::int16_t> all, frame(source->rate() / 50 + 1); // odd frames: phase must run over them
        for (int i = 0; i < 100; ++i) {
            source->read(frame);
            all.insert(all.end(), frame.begin(), frame.end());
        }
        CHECK_FALSE(source->ended());
        CHECK(test::strongest_hz(all, source->rate()) == 440);
        CHECK(level_dbfs(all) == doctest::Approx(-12).epsilon(0.005));
        int largest = 0; // a sine of that amplitude never steps further than 2 pi f A / rate
        for (std::size_t i = 1; i < all.size(); ++i)
            largest = std::max(largest, std::abs(all[i] - all[i - 1]));
        CHECK(largest <= 2 * 3.1416 * 440 * 0.2512 * 32768 / source->rate() + 2);
        auto two = make_tone_source(350, 440, -20);
        two->read(all);
        CHECK(tone_share(all, two->rate(), 350) == doctest::Approx(0.5).epsilon(0.02));
        CHECK(level_dbfs(all) == doctest::Approx(-17).epsilon(0.01));
    }

    TEST_CASE("call progress tones keep their cadence") {
        struct Row {
            Cadence cadence;
            double on, off;
        };
        for (auto row : {Row{ringback_cadence(), 1, 4}, Row{busy_cadence(), 0.5, 0.5}}) {
            const unsigned rate = 8000;
            std::vector<std::int16_t> all;
            for (int i = 0; i < 600; ++i) {
                std::vector<std::int16_t> frame(160);
                row.cadence.add_to(frame, rate);
                all.insert(all.end(), frame.begin(), frame.end());
            }
            const auto part = [&](double from, double length) {
                return ConstSamples(all).subspan(static_cast<std::size_t>(from * rate),
                                                 static_cast<std::size_t>(length * rate));
            };
            for (int turn = 0; turn < 2; ++turn) {
                const double start = turn * (row.on + row.off);
                CHECK(level_dbfs(part(start + 0.01, row.on - 0.02)) == doctest::Approx(-18).epsilon(0.01));
                CHECK(tone_share(part(start + 0.01, row.on - 0.02), rate, 425) > 0.99);
                CHECK(level_dbfs(part(start + row.on, row.off)) == -96);
            }
        }
        auto ring = ring_cadence();
        std::vector<std::int16_t> chime(8000);
        ring.add_to(chime, 8000);
        CHECK(tone_share(ConstSamples(chime).first(1600), 8000, 587.33) > 0.95);
        CHECK(tone_share(ConstSamples(chime).subspan(1600, 1600), 8000, 739.99) > 0.95);
    }

    TEST_CASE("in-band digits have their two frequencies, levels and times") {
        const std::string keys = "0123456789*#ABCD";
        InbandDtmf dtmf;
        dtmf.send(keys);
        CHECK(dtmf.busy());
        std::vector<std::int16_t> all, frame(160);
        while (dtmf.busy() && all.size() < 80000) {
            dtmf.fill(frame, 8000);
            all.insert(all.end(), frame.begin(), frame.end());
        }
        CHECK(all.size() == keys.size() * 1600);
        for (std::size_t i = 0; i < keys.size(); ++i) {
            CAPTURE(keys[i]);
            const auto [low, high] = *dtmf_frequencies(keys[i]);
            const auto sounding = ConstSamples(all).subspan(i * 1600, 800);
            // -9 and -7 dBFS: powers of 0.126 and 0.2, shares of 0.39 and 0.61
            CHECK(tone_share(sounding, 8000, low) == doctest::Approx(0.387).epsilon(0.03));
            CHECK(tone_share(sounding, 8000, high) == doctest::Approx(0.613).epsilon(0.03));
            CHECK(level_dbfs(sounding) == doctest::Approx(-4.87).epsilon(0.03));
            CHECK(level_dbfs(ConstSamples(all).subspan(i * 1600 + 800, 800)) == -96);
        }
        dtmf.send(",x1");
        all.clear();
        while (dtmf.busy() && all.size() < 80000) {
            dtmf.fill(frame, 8000);
            all.insert(all.end(), frame.begin(), frame.end());
        }
        CHECK(all.size() == 4000 + 1600);
        CHECK_FALSE(dtmf_frequencies('E').has_value());
    }

    TEST_CASE("mixing saturates") {
        std::vector<std::int16_t> a{32000, -32000, 5}, b{32000, -32000, 6};
        mix_into(a, b);
        CHECK(a == std::vector<std::int16_t>{32767, -32768, 11});
    }

} // TEST_SUITE
