// What is in the sound: tones, voice and silence, levels. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.hpp"
#include "media/codec.hpp"

namespace offhook::media {

// RMS relative to that of a full-scale sine (AES17), so that a sine of amplitude 0.25 has -12 dBFS; -96 for
// silence.
double level_dbfs(ConstSamples frame) noexcept;

// Goertzel: power of `hz` in `frame` relative to the whole frame's power, 0..1.
double tone_share(ConstSamples frame, unsigned rate, double hz) noexcept;

// Hears one or two frequencies (`--expect-tone`, `wait tone`), each within 1.5 % and at least 20 dB above all
// the rest, held for `hold` (in steps of 50 ms).
class ToneDetector {
public:
    ToneDetector(std::vector<double> hz, unsigned rate, Duration hold = Duration{100});
    bool push(ConstSamples frame); // true once the tone has been there for `hold`

private:
    std::vector<double> hz_;
    unsigned rate_;
    Duration hold_, seen_{0};
    std::vector<std::int16_t> window_;
};

// Voice/silence by level against a floating noise floor.
class SilenceDetector {
public:
    explicit SilenceDetector(unsigned rate, double threshold_dbfs = -45)
        : rate_(rate), threshold_(threshold_dbfs) {}
    void push(ConstSamples frame);
    [[nodiscard]] Duration silent_for() const noexcept;
    [[nodiscard]] bool voice() const noexcept;
    [[nodiscard]] bool heard_anything() const noexcept;     // --expect-audio
    void set_rate(unsigned rate) noexcept { rate_ = rate; } // the codec changed; what was heard stays

private:
    unsigned rate_;
    double threshold_;
    double silent_ms_ = 0, voice_ms_ = 0;
    double floor_ = -60; // dBFS of the background
    bool heard_ = false, voice_ = false;
};

} // namespace offhook::media
