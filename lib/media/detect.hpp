// What is in the sound: tones, voice and silence, levels. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.hpp"
#include "media/codec.hpp"

namespace offhook::media {

double level_dbfs(ConstSamples frame) noexcept; // RMS relative to full scale; -96 for silence

// Goertzel: power of `hz` in `frame` relative to the whole frame's power, 0..1.
double tone_share(ConstSamples frame, unsigned rate, double hz) noexcept;

// True for a frame in which all of the frequencies stand out (`--expect-tone`, `wait tone`), held for `hold`.
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
    explicit SilenceDetector(unsigned rate, double threshold_dbfs = -45) : rate_(rate), threshold_(threshold_dbfs) {}
    void push(ConstSamples frame);
    [[nodiscard]] Duration silent_for() const noexcept;
    [[nodiscard]] bool voice() const noexcept;
    [[nodiscard]] bool heard_anything() const noexcept; // --expect-audio

private:
    unsigned rate_;
    double threshold_;
    double silent_ms_ = 0;
    bool heard_ = false;
};

} // namespace offhook::media
