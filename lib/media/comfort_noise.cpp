#include "media/comfort_noise.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "media/pcm.hpp"

namespace offhook::media {

namespace {

constexpr double softest_db = -127, loudest_noise_db = -40;
constexpr double nothing_db = -85, softest_floor_db = -70;
constexpr double margin_db = 6;           // above the floor: speech
constexpr double rise_db_per_s = 3;       // of the floor: a fan that starts is noise after a while
constexpr double another_db = 3;          // so much louder or softer is to be told
constexpr unsigned hangover_ms = 200;     // the soft ends of words are theirs
constexpr unsigned again_after_ms = 400;  // a description may be lost, and NATs forget
constexpr double steps = 258.0 / 32768.0; // §3.2: k = 258 (N - 127) / 32768

double decibels(double power) noexcept { // of a mean square, relative to the overload point
    return power <= 0 ? softest_db : std::max(softest_db, 10 * std::log10(power / (full_scale * full_scale)));
}

template <std::size_t N>
std::array<double, N> correlate(ConstSamples frame) noexcept {
    std::array<double, N> out{};
    for (std::size_t lag = 0; lag < N && lag < frame.size(); ++lag) {
        double sum = 0;
        for (std::size_t i = lag; i < frame.size(); ++i)
            sum += static_cast<double>(frame[i]) * frame[i - lag];
        out[lag] = sum / static_cast<double>(frame.size());
    }
    return out;
}

// Levinson and Durbin: reflection coefficients of the predictor 1 + k1 z^-1 …
template <std::size_t N>
void reflect(const std::array<double, N> &correlation, std::span<double> reflection) noexcept {
    double error = correlation[0];
    std::array<double, N> predictor{1};
    for (std::size_t m = 1; m < N && error > 0; ++m) {
        double sum = 0;
        for (std::size_t i = 0; i < m; ++i)
            sum += predictor[i] * correlation[m - i];
        const double k = std::clamp(-sum / error, -0.999, 0.999);
        const auto before = predictor;
        for (std::size_t i = 1; i <= m; ++i)
            predictor[i] = before[i] + k * before[m - i];
        reflection[m - 1] = k;
        error *= 1 - k * k;
    }
}

std::uint8_t quantised(double k) noexcept {
    return static_cast<std::uint8_t>(std::clamp(std::lrint(k / steps) + 127, 0L, 254L));
}

} // namespace

NoiseProfile NoiseProfile::parse(std::span<const std::uint8_t> payload) noexcept {
    NoiseProfile out;
    if (payload.empty()) return out;
    out.level = payload[0] & 0x7FU;
    const std::size_t count = std::min(payload.size() - 1, most_coefficients);
    for (std::size_t i = 0; i < count; ++i)
        out.reflection[i] = (std::min<int>(payload[i + 1], 254) - 127) * steps;
    return out;
}

std::vector<std::uint8_t> NoiseProfile::encode(std::size_t coefficients) const {
    std::vector<std::uint8_t> out{static_cast<std::uint8_t>(std::min(level, 127U))};
    for (std::size_t i = 0; i < std::min(coefficients, most_coefficients); ++i)
        out.push_back(quantised(reflection[i]));
    return out;
}

void NoiseGenerator::describe(const NoiseProfile &profile) noexcept {
    reflection_ = profile.reflection;
    double power = full_scale * full_scale * std::pow(10, -0.1 * profile.level);
    for (const double k : reflection_)
        power *= 1 - k * k;            // what the filter adds to it
    amplitude_ = std::sqrt(3 * power); // of a uniform distribution
}

void NoiseGenerator::fill(Samples frame) noexcept {
    for (std::int16_t &sample : frame) {
        random_ ^= random_ << 13U;
        random_ ^= random_ >> 17U;
        random_ ^= random_ << 5U;
        double value = amplitude_ * (random_ / 2147483648.0 - 1);
        for (std::size_t i = reflection_.size(); i-- > 0;) { // a lattice is stable whatever the coefficients
            value -= reflection_[i] * state_[i];
            if (i + 1 < state_.size()) state_[i + 1] = state_[i] + reflection_[i] * value;
        }
        state_[0] = value;
        sample = to_sample(value / full_scale);
    }
}

bool VoiceActivity::voiced(double level) noexcept {
    if (level < nothing_db) return false; // muted, or not begun: that says nothing of the noise to come
    if (!std::exchange(any_, true)) floor_ = level;
    floor_ = std::max(softest_floor_db, std::min(level, floor_ + rise_db_per_s * ptime_ms_ / 1000));
    return level > loudest_noise_db || level > floor_ + margin_db;
}

VoiceActivity::Verdict VoiceActivity::judge(ConstSamples frame) noexcept {
    const auto heard = correlate<order + 1>(frame);
    if (voiced(decibels(heard[0]))) {
        quiet_ms_ = 0;
        fresh_ = true;
        pausing_ = false;
        return Verdict::voice;
    }
    for (std::size_t i = 0; i < heard.size(); ++i)
        correlation_[i] = fresh_ ? heard[i] : correlation_[i] + (heard[i] - correlation_[i]) / 8;
    fresh_ = false;
    quiet_ms_ = std::min(quiet_ms_ + ptime_ms_, hangover_ms + 1);
    if (quiet_ms_ <= hangover_ms) return Verdict::voice;
    const double level = decibels(correlation_[0]);
    described_ms_ += ptime_ms_;
    if (pausing_ && described_ms_ < again_after_ms && std::abs(level - described_) < another_db)
        return Verdict::pause;
    pausing_ = true;
    described_ms_ = 0;
    described_ = level;
    return Verdict::describe;
}

std::vector<std::uint8_t> VoiceActivity::payload() const {
    NoiseProfile out;
    out.level = static_cast<unsigned>(std::lrint(-decibels(correlation_[0])));
    reflect(correlation_, out.reflection);
    return out.encode(order);
}

} // namespace offhook::media
