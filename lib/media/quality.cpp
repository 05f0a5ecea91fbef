#include "media/quality.hpp"

#include <algorithm>
#include <cmath>

namespace offhook::media {

namespace {

// R0 - Is of G.107 with all defaults: what is left for delay, codec and loss to take away.
constexpr double r_best = 93.2;

// Idd, the impairment by absolute delay (G.107 eq. 7-27); nothing below 100 ms.
double delay_impairment(double ms) noexcept {
    if (ms <= 100) return 0;
    const double x = std::log2(ms / 100);
    return 25 * (std::pow(1 + std::pow(x, 6), 1.0 / 6) - 3 * std::pow(1 + std::pow(x / 3, 6), 1.0 / 6) + 2);
}

// Ie-eff (G.107 eq. 7-29).
double loss_impairment(const QualityInput &in) noexcept {
    const double loss = std::clamp(in.loss_percent, 0.0, 100.0);
    const double burst = std::max(in.burst_ratio, 1.0);
    const double divisor = loss / burst + in.bpl;
    return divisor <= 0 ? in.ie : in.ie + (95 - in.ie) * loss / divisor;
}

} // namespace

double r_factor(const QualityInput &input) noexcept {
    return std::clamp(r_best - delay_impairment(input.one_way_delay_ms) - loss_impairment(input), 0.0,
                      r_best);
}

double mos(double r) noexcept {
    if (r <= 0) return 1.0;
    if (r >= 100) return 4.5;
    return std::clamp(1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6, 1.0, 4.5);
}

double mos(const QualityInput &input) noexcept {
    return mos(r_factor(input));
}

} // namespace offhook::media
