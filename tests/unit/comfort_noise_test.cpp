// RFC 3389: the payload, the noise that is made of it, and who is taken for speaking.
#include <cmath>
#include <cstdlib>
#include <random>

#include <doctest/doctest.h>

#include "media/comfort_noise.hpp"
#include "media/detect.hpp"
#include "media/pcm.hpp"
#include "media/receiver.hpp"
#include "tests/support/speech.hpp"

using namespace offhook;
using namespace offhook::media;

namespace {

using Frame = std::vector<std::int16_t>;
constexpr TimePoint epoch{std::chrono::hours{1}};

double level_dbov(ConstSamples samples) { // relative to a square wave of full scale
    double sum = 0;
    for (const auto sample : samples)
        sum += static_cast<double>(sample) * sample;
    return 10 * std::log10(sum / static_cast<double>(samples.size()) / (full_scale * full_scale));
}

double neighbours_alike(ConstSamples samples) { // 1: slow noise, -1: fast, 0: white
    double product = 0, power = 0;
    for (std::size_t i = 1; i < samples.size(); ++i) {
        product += static_cast<double>(samples[i]) * samples[i - 1];
        power += static_cast<double>(samples[i]) * samples[i];
    }
    return product / power;
}

Frame generated(const NoiseProfile &profile, std::size_t samples = 80'000) {
    NoiseGenerator generator;
    generator.describe(profile);
    Frame out(samples);
    generator.fill(out);
    return out;
}

// Noise of that level through a one-pole filter: `colour` is what its neighbours have in common.
class Room {
public:
    Room(double dbov, double colour) : dbov_(dbov), colour_(colour) {}
    Frame frame(std::size_t samples = 160) {
        std::normal_distribution<double> gauss;
        const double amplitude = full_scale * std::pow(10, dbov_ / 20) * std::sqrt(1 - colour_ * colour_);
        Frame out(samples);
        for (auto &sample : out) {
            last_ = colour_ * last_ + amplitude * gauss(random_);
            sample = to_sample(last_ / full_scale);
        }
        return out;
    }

private:
    double dbov_, colour_, last_ = 0;
    std::mt19937 random_{7};
};

} // namespace

TEST_SUITE("comfort noise") {

    TEST_CASE("the payload: level, and coefficients in steps of 258/32768 around 127") {
        const std::vector<std::uint8_t> payload{0x80 | 52, 127, 254, 0, 255};
        const auto profile = NoiseProfile::parse(payload);
        CHECK(profile.level == 52); // the first bit is to be ignored
        CHECK(profile.reflection[0] == 0);
        CHECK(profile.reflection[1] == doctest::Approx(127 * 258.0 / 32768));
        CHECK(profile.reflection[2] == doctest::Approx(-127 * 258.0 / 32768));
        CHECK(profile.reflection[3] == profile.reflection[1]); // 255 is none: as far as it goes
        CHECK(profile.encode(3) == std::vector<std::uint8_t>{52, 127, 254, 0});
        CHECK(NoiseProfile::parse({}).level == 127);
        CHECK(NoiseProfile::parse(std::vector<std::uint8_t>(1400, 200)).reflection.back() != 0);
    }

    TEST_CASE("the noise made has the level that was told, white or coloured") {
        for (const unsigned level : {30U, 45U, 60U, 70U})
            for (const double k : {0.0, 0.8, -0.8, 0.99}) {
                NoiseProfile profile{.level = level, .reflection = {k, -0.3}};
                CAPTURE(level);
                CAPTURE(k);
                CHECK(std::abs(level_dbov(generated(profile)) + level) < 1.0);
            }
        CHECK(level_dbov(generated({.level = 127})) == -INFINITY); // nothing at all
    }

    TEST_CASE("coefficients have the sign of RFC 3389's model: a negative first one is slow noise") {
        CHECK(neighbours_alike(generated({.level = 30, .reflection = {-0.9}})) > 0.85);
        CHECK(neighbours_alike(generated({.level = 30, .reflection = {0.9}})) < -0.85);
        CHECK(std::abs(neighbours_alike(generated({.level = 30}))) < 0.02);
    }

    TEST_CASE("what any payload makes stays within bounds and never rings on") {
        std::mt19937 random(3);
        for (int round = 0; round < 200; ++round) {
            std::vector<std::uint8_t> payload(1 + random() % 13);
            for (auto &byte : payload)
                byte = static_cast<std::uint8_t>(random());
            const auto profile = NoiseProfile::parse(payload);
            const double level = level_dbov(generated(profile, 8000));
            CHECK(level < 3.0 - std::min(profile.level, 96U) + 6); // extreme filters are slow to settle
        }
    }

    TEST_CASE("noise described and made again: its level within 1 dB, its colour within 0.1") {
        for (const double level : {-45.0, -55.0, -65.0})
            for (const double colour : {0.0, 0.5, 0.9}) {
                Room room(level, colour);
                VoiceActivity activity(20);
                std::vector<std::uint8_t> payload;
                Frame original;
                for (int n = 0; n < 100; ++n) {
                    const auto frame = room.frame();
                    original.insert(original.end(), frame.begin(), frame.end());
                    if (activity.judge(frame) == VoiceActivity::Verdict::describe)
                        payload = activity.payload();
                }
                REQUIRE(payload.size() == 9);
                const auto made = generated(NoiseProfile::parse(payload));
                CAPTURE(level);
                CAPTURE(colour);
                CHECK(std::abs(level_dbov(made) - level_dbov(original)) < 1.0);
                CHECK(std::abs(neighbours_alike(made) - neighbours_alike(original)) < 0.1);
            }
    }

    TEST_CASE(
        "a pause is told at its start, when the noise changes and every 400 ms, and begins 200 ms late") {
        VoiceActivity activity(20);
        Room quiet(-60, 0.5), louder(-55, 0.5);
        const auto next = [&](Room &room) { return activity.judge(room.frame()); };
        for (int n = 0; n < 10; ++n)
            CHECK(next(quiet) == VoiceActivity::Verdict::voice);
        CHECK(next(quiet) == VoiceActivity::Verdict::describe);
        for (int n = 0; n < 19; ++n)
            CHECK(next(quiet) == VoiceActivity::Verdict::pause);
        CHECK(next(quiet) == VoiceActivity::Verdict::describe);
        int until_told = 1;
        while (next(louder) != VoiceActivity::Verdict::describe)
            ++until_told;
        CHECK(until_told < 15);
        Room loud(-20, 0.5);
        CHECK(next(loud) == VoiceActivity::Verdict::voice);
        CHECK(next(quiet) == VoiceActivity::Verdict::voice); // the end of the word
    }

    TEST_CASE("silence is a pause, and what noise comes after it is known within seconds") {
        VoiceActivity activity(20);
        const Frame nothing(160);
        for (int n = 0; n < 10; ++n)
            CHECK(activity.judge(nothing) == VoiceActivity::Verdict::voice);
        CHECK(activity.judge(nothing) == VoiceActivity::Verdict::describe);
        CHECK(activity.payload().front() == 127);
        CHECK(activity.judge(nothing) == VoiceActivity::Verdict::pause);
        Room room(-55, 0.5);
        int frames = 0;
        while (activity.judge(room.frame()) != VoiceActivity::Verdict::describe)
            ++frames;
        CHECK(frames < 25); // nothing softer was heard before
        CHECK(activity.payload().front() > 50);
        CHECK(activity.payload().front() < 70);
    }

    TEST_CASE("loud steady sound is never taken for noise; a fan that starts is, in time") {
        VoiceActivity activity(20);
        Room music(-30, 0.7);
        for (int n = 0; n < 3000; ++n)
            CHECK(activity.judge(music.frame()) == VoiceActivity::Verdict::voice);
        Room quiet(-70, 0.5), fan(-50, 0.8);
        for (int n = 0; n < 100; ++n)
            (void)activity.judge(quiet.frame());
        int frames = 0;
        while (activity.judge(fan.frame()) == VoiceActivity::Verdict::voice)
            ++frames;
        CHECK(frames > 100);
        CHECK(frames < 500);
    }

    TEST_CASE("speech over noise: nothing of it is lost, its pauses are found") {
        const auto spoken = test::speech(20);
        if (spoken.samples.empty()) {
            MESSAGE("skipped: no espeak-ng");
            return;
        }
        VoiceActivity activity(20);
        Room room(-60, 0.6);
        const std::size_t samples = spoken.rate / 50;
        double lost = 0, all = 0;
        unsigned paused = 0, frames = 0;
        for (std::size_t at = 0; at + samples <= spoken.samples.size(); at += samples) {
            auto frame = room.frame(samples);
            const ConstSamples words(spoken.samples.data() + at, samples);
            mix_into(frame, words);
            double energy = 0;
            for (const auto sample : words)
                energy += static_cast<double>(sample) * sample;
            const bool voice = activity.judge(frame) == VoiceActivity::Verdict::voice;
            all += energy;
            if (!voice) lost += energy;
            paused += voice ? 0 : 1;
            ++frames;
        }
        CHECK(lost / all < 1e-4);     // 40 dB below it
        CHECK(paused > frames / 100); // this voice makes few
    }

    TEST_CASE("a receiver fills the pause, conceals nothing in it, and plays what comes after it") {
        Receiver receiver(20);
        Negotiated agreed;
        agreed.codec = find_codec("pcma");
        agreed.receivable = {{8, agreed.codec}};
        agreed.receive_noise_payload_type = 13;
        receiver.configure(agreed);
        const std::vector<std::uint8_t> noise{50};
        std::vector<std::uint8_t> voice(160, linear_to_alaw(8000));
        std::uint16_t sequence = 65'530; // over its wrap
        Frame heard, frame(160);
        for (std::uint32_t n = 0; n < 150; ++n) {
            const TimePoint now = epoch + Duration{20 * n};
            const bool pausing = n >= 50 && n < 100;
            if (!pausing || n == 50 || n == 70) // described twice
                receiver.packet({{.payload_type = static_cast<std::uint8_t>(pausing ? 13 : 8),
                                  .sequence = sequence++,
                                  .timestamp = n * 160,
                                  .ssrc = 9},
                                 pausing ? noise : voice},
                                now);
            receiver.read(frame, now);
            if (n == 90) CHECK(receiver.pausing());
            heard.insert(heard.end(), frame.begin(), frame.end());
        }
        CHECK_FALSE(receiver.pausing());
        const ConstSamples all(heard);
        CHECK(level_dbov(all.subspan(160 * 60, 160 * 35)) == doctest::Approx(-50).epsilon(0.02));
        CHECK(level_dbov(all.subspan(160 * 110, 160 * 35)) ==
              doctest::Approx(level_dbov(Frame(160, 8000))).epsilon(0.02));
        CHECK(receiver.counters()->concealed == 0);
        CHECK(receiver.counters()->late == 0);
        CHECK(receiver.pattern().lost() == 0);
        receiver.configure(agreed); // held, for one
        CHECK_FALSE(receiver.pausing());
    }

} // TEST_SUITE
