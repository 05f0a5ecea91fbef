#include <cmath>
#include <cstdio>
#include <random>

#include <doctest/doctest.h>

#include "media/dtmf_detector.hpp"
#include "media/inband_dtmf.hpp"
#include "media/pcm.hpp"
#include "media/tone.hpp"
#include "tests/support/speech.hpp"

using namespace offhook;
using namespace offhook::media;

#ifdef HAVE_SPANDSP

namespace {

const std::string keys = "0123456789*#ABCD";

struct Shape {
    double tone_ms = 160, gap_ms = 160, low_dbfs = -15, high_dbfs = -15, detune = 1;
};

// Digits as another phone may make them.
std::vector<std::int16_t> digits(std::string_view text, unsigned rate, const Shape &shape) {
    std::vector<std::int16_t> out(rate / 10, std::int16_t{0});
    for (const char key : text) {
        const auto [low, high] = dtmf_frequencies(key).value();
        Oscillator a(low * shape.detune, shape.low_dbfs), b(high * shape.detune, shape.high_dbfs);
        for (unsigned i = 0; i < rate * shape.tone_ms / 1000; ++i)
            out.push_back(to_sample(a.next(1.0 / rate) + b.next(1.0 / rate)));
        out.insert(out.end(), static_cast<std::size_t>(rate * shape.gap_ms / 1000), std::int16_t{0});
    }
    out.insert(out.end(), rate / 10, std::int16_t{0});
    return out;
}

void add_noise(std::vector<std::int16_t> &samples, double dbfs) {
    std::mt19937 random(23);
    std::normal_distribution<double> noise(0, std::pow(10, dbfs / 20) / std::sqrt(2));
    for (auto &sample : samples)
        sample = saturate(sample + static_cast<int>(noise(random) * full_scale));
}

struct Heard {
    std::string downs, ups;
    std::vector<double> lengths;
};

Heard hear(const std::vector<std::int16_t> &samples, unsigned rate) {
    auto detector = DtmfDetector::make().value();
    Heard heard;
    const std::size_t frame = rate / 50;
    for (std::size_t at = 0; at < samples.size(); at += frame)
        for (const auto &event :
             detector->push(ConstSamples(samples).subspan(at, std::min(frame, samples.size() - at)), rate)) {
            const bool down = event.kind == DtmfEvent::Kind::down;
            (down ? heard.downs : heard.ups) += event.digit;
            if (!down) heard.lengths.push_back(static_cast<double>(event.length.count()));
        }
    return heard;
}

} // namespace

TEST_SUITE("dtmf detector") {

    TEST_CASE("every key at every rate, slow and at 40/40 ms") {
        for (const unsigned rate : {8000U, 16000U, 48000U})
            for (const Shape &shape :
                 {Shape{}, Shape{.tone_ms = 100, .gap_ms = 100}, Shape{.tone_ms = 40, .gap_ms = 40}}) {
                CAPTURE(rate);
                CAPTURE(shape.tone_ms);
                const auto heard = hear(digits(keys, rate, shape), rate);
                CHECK(heard.downs == keys);
                CHECK(heard.ups == keys);
                for (const double length : heard.lengths)
                    CHECK(std::abs(length - shape.tone_ms) <= 26); // two blocks of 102 samples
            }
    }

    TEST_CASE("what Q.24 allows is heard, what it forbids is not") {
        struct Row {
            const char *what;
            Shape shape;
            double noise_dbfs;
            bool heard;
        };
        for (const Row &row : {
                 Row{"loud", {.low_dbfs = -7, .high_dbfs = -7}, -96, true},
                 Row{"-25 dBm0 each", {.low_dbfs = -28, .high_dbfs = -28}, -96, true},
                 Row{"line noise 20 dB below", {.low_dbfs = -15, .high_dbfs = -15}, -35, true},
                 Row{"1.2 % low", {.detune = 0.988}, -96, true},
                 Row{"1.2 % high", {.detune = 1.012}, -96, true},
                 Row{"high 3 dB louder", {.low_dbfs = -15, .high_dbfs = -12}, -96, true},
                 Row{"low 6 dB louder", {.low_dbfs = -9, .high_dbfs = -15}, -96, true},
                 Row{"20 ms", {.tone_ms = 20, .gap_ms = 100}, -96, false},
                 Row{"-50 dBFS", {.low_dbfs = -50, .high_dbfs = -50}, -96, false},
                 Row{"4 % off", {.detune = 1.04}, -96, false},
                 Row{"high 14 dB louder", {.low_dbfs = -26, .high_dbfs = -12}, -96, false},
                 Row{"low 12 dB louder", {.low_dbfs = -10, .high_dbfs = -22}, -96, false},
             }) {
            CAPTURE(std::string(row.what));
            auto samples = digits(keys, 8000, row.shape);
            if (row.noise_dbfs > -96) add_noise(samples, row.noise_dbfs);
            CHECK(hear(samples, 8000).downs == (row.heard ? keys : ""));
        }
    }

    TEST_CASE("what we send in band we hear") {
        InbandDtmf sender;
        sender.send(keys);
        std::vector<std::int16_t> all, frame(320);
        while (sender.busy()) {
            sender.fill(frame, 16000);
            all.insert(all.end(), frame.begin(), frame.end());
        }
        CHECK(hear(all, 16000).ups == keys);
    }

    TEST_CASE("no digit in half an hour of speech") {
        // Five minutes of it at six speeds: other pitches and formants each time.
        const auto speech = test::speech(5 * 60);
        REQUIRE(speech.samples.size() >= std::size_t{speech.rate} * 5 * 60);
        for (const unsigned percent : {85U, 92U, 100U, 108U, 117U, 126U}) {
            CAPTURE(percent);
            CHECK(hear(speech.samples, speech.rate * percent / 100).downs.empty());
        }
    }

} // TEST_SUITE

#endif
