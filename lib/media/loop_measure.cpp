#include "media/loop_measure.hpp"

#include <algorithm>
#include <cmath>
#include <random>

#include "media/detect.hpp"
#include "media/pcm.hpp"

namespace offhook::media {

namespace {

constexpr std::size_t samples_of(double seconds) {
    return static_cast<std::size_t>(seconds * LoopMeasure::rate);
}

constexpr double longest_s = 0.8;      // round trip that is looked for
constexpr double stands_out = 8;       // peak of the correlation over its mean deviation
constexpr std::size_t compared = 8000; // samples: half a second

} // namespace

LoopMeasure::LoopMeasure() : played_(samples_of(quiet_s + sounding_s + tail_s), std::int16_t{0}) {
    std::mt19937 random(1); // the same noise every time: it resembles nothing but itself
    std::normal_distribution<double> noise(0, std::pow(10, level_dbfs / 20) / std::sqrt(2));
    double before = 0;
    for (std::size_t i = samples_of(quiet_s); i < samples_of(quiet_s + sounding_s); ++i) {
        const double value = noise(random);
        played_[i] =
            to_sample((value + before) / std::sqrt(2)); // less of what small loudspeakers cannot play
        before = value;
    }
}

LoopMeasure::Result LoopMeasure::result(ConstSamples recorded) const {
    Result out;
    const std::size_t from = samples_of(quiet_s);
    const std::size_t lags = samples_of(longest_s);
    if (recorded.size() < from + compared + lags) return out;
    out.noise_dbfs = media::level_dbfs(recorded.subspan(from / 2, from / 2));
    double best = 0;
    double sum = 0;
    std::size_t best_lag = 0;
    for (std::size_t lag = 0; lag < lags; ++lag) {
        double product = 0;
        for (std::size_t i = 0; i < compared; ++i)
            product += double{1} * played_[from + i] * recorded[from + i + lag];
        const double strength = std::abs(product);
        sum += strength;
        if (strength <= best) continue;
        best = strength;
        best_lag = lag;
    }
    out.heard = best > 0 && best > stands_out * sum / static_cast<double>(lags);
    if (!out.heard) return out;
    out.round_trip_ms = 1000.0 * static_cast<double>(best_lag) / rate;
    const double power = std::pow(10, media::level_dbfs(recorded.subspan(from + best_lag, compared)) / 10);
    const double noise = std::pow(10, out.noise_dbfs / 10);
    const double returned = 10 * std::log10(std::max(power - noise, 1e-10));
    out.return_loss_db = media::level_dbfs(ConstSamples(played_).subspan(from, compared)) - returned;
    return out;
}

} // namespace offhook::media
