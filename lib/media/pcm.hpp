// Arithmetic on 16 bit samples that saturates instead of wrapping.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "media/codec.hpp"

namespace offhook::media {

constexpr double full_scale = 32768.0; // a sine of this amplitude has 0 dBFS

inline std::int16_t saturate(int value) noexcept {
    return static_cast<std::int16_t>(std::clamp(value, -32768, 32767));
}

// `value` in -1..1 (more is clipped).
inline std::int16_t to_sample(double value) noexcept {
    return static_cast<std::int16_t>(std::lrint(std::clamp(value * full_scale, -32768.0, 32767.0)));
}

inline void mix_into(Samples frame, ConstSamples added) noexcept {
    const std::size_t count = std::min(frame.size(), added.size());
    for (std::size_t i = 0; i < count; ++i)
        frame[i] = saturate(frame[i] + added[i]);
}

inline void silence(Samples frame) noexcept {
    std::fill(frame.begin(), frame.end(), std::int16_t{0});
}

} // namespace offhook::media
