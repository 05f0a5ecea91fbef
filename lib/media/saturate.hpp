#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace offhook::media {

// To 16 bit without wrap-around: a wrapped sample is a click at full level.
inline std::int16_t saturated(double sample) noexcept {
    return static_cast<std::int16_t>(std::lrint(std::clamp(sample, -32768.0, 32767.0)));
}

inline std::int16_t saturated_sum(std::int16_t a, std::int16_t b) noexcept {
    return static_cast<std::int16_t>(std::clamp(int{a} + int{b}, -32768, 32767));
}

} // namespace offhook::media
