// Comfort noise (RFC 3389): while nobody speaks a sender describes the noise around him in a few bytes
// instead of sending it, and the receiver makes noise of that level and colour. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "media/codec.hpp"

namespace offhook::media {

// What a CN payload says.
struct NoiseProfile {
    static constexpr std::size_t most_coefficients = 12;

    unsigned level = 127; // below the overload point, in dB: 0..127 (§3.1)
    // Reflection coefficients, -1..1 (§3.2), as quantised; zero beyond those that were sent.
    std::array<double, most_coefficients> reflection{};

    // Nothing is wrong with any payload: an empty one is silence, coefficients beyond ours only refine.
    static NoiseProfile parse(std::span<const std::uint8_t> payload) noexcept;
    // `coefficients`: how many to send; most_coefficients at most.
    [[nodiscard]] std::vector<std::uint8_t> encode(std::size_t coefficients) const;
};

// White noise through the all-pole filter of a profile.
class NoiseGenerator {
public:
    void describe(const NoiseProfile &profile) noexcept;
    void fill(Samples frame) noexcept;

private:
    std::array<double, NoiseProfile::most_coefficients> reflection_{}, state_{};
    double amplitude_ = 0; // of the excitation
    std::uint32_t random_ = 0x2545F491;
};

// Tells speech from the noise around it, for a sender that may pause. One per stream; frames of 10 to 60 ms.
// The noise is what is least loud for a while, up to -40 dB: music and anything loud is never paused for.
class VoiceActivity {
public:
    enum class Verdict : std::uint8_t {
        voice,    // send the frame
        describe, // pause, and send profile(): it began, or the noise is another, or it is time for it
        pause     // send nothing
    };
    explicit VoiceActivity(unsigned ptime_ms) noexcept : ptime_ms_(ptime_ms) {}
    Verdict judge(ConstSamples frame) noexcept;
    [[nodiscard]] std::vector<std::uint8_t> payload() const; // of a CN packet: the noise of late

private:
    static constexpr std::size_t order = 8; // of what we describe

    [[nodiscard]] bool voiced(double level) noexcept;

    unsigned ptime_ms_;
    std::array<double, order + 1> correlation_{}; // of the noise, per sample, smoothed
    double floor_ = 0;                            // of the level, in dB; follows minima
    bool any_ = false, fresh_ = true;             // fresh: no noise in correlation_ yet
    unsigned quiet_ms_ = 0;                       // since the last voice
    unsigned described_ms_ = 0;                   // since the last description
    double described_ = 0;                        // its level
    bool pausing_ = false;
};

} // namespace offhook::media
