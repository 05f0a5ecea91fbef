#include "media/drift.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>

#include "media/pcm.hpp"
#include "media/saturate.hpp"

namespace offhook::media {

namespace {

constexpr std::size_t taps = 16, half = taps / 2, phases = 64;
constexpr double most = 0.005, most_far_off = 0.03;                   // change of speed
constexpr double wrong_s = 0.004, right_s = 0.0005, far_off_s = 0.03; // of the level
constexpr double settle_s = 8;                                        // in which a wrong level is put right
constexpr double averaging_s = 1;                                     // longer than any period of a card

using Row = std::array<float, taps>;

// A windowed sinc for every 64th of a sample; between the rows linearly, 70 dB below the sound.
std::array<Row, phases + 1> make_filter() {
    std::array<Row, phases + 1> filter{};
    for (std::size_t phase = 0; phase <= phases; ++phase) {
        double sum = 0;
        for (std::size_t tap = 0; tap < taps; ++tap) {
            const double x = static_cast<double>(tap) - (half - 1) - static_cast<double>(phase) / phases;
            const double t = std::numbers::pi * x;
            const double sinc = std::abs(x) < 1e-9 ? 1 : std::sin(t) / t;
            const double window = 0.42 + 0.5 * std::cos(t / half) + 0.08 * std::cos(2 * t / half); // Blackman
            filter[phase][tap] = static_cast<float>(std::abs(x) < half ? sinc * window : 0);
            sum += static_cast<double>(filter[phase][tap]);
        }
        for (float &tap : filter[phase])
            tap = static_cast<float>(static_cast<double>(tap) / sum);
    }
    return filter;
}

} // namespace

DriftReader::DriftReader(unsigned rate) : rate_(rate), samples_(half - 1, std::int16_t{0}), at_(half - 1) {}

Duration DriftReader::level() const noexcept {
    return Duration{static_cast<std::int64_t>(count() * 1000 / rate_)};
}

void DriftReader::push(ConstSamples frame) {
    samples_.insert(samples_.end(), frame.begin(), frame.end());
    const std::size_t most_samples = static_cast<std::size_t>(limit.count()) * rate_ / 1000;
    if (count() <= most_samples) return;
    ++counters_.cut;
    at_ = samples_.size() - static_cast<std::size_t>(target.count()) * rate_ / 1000;
    average_ = goal_ = static_cast<double>(count());
}

// Needs half - 1 samples before at_ and half behind it.
double DriftReader::interpolate() const noexcept {
    static const auto filter = make_filter();
    const double place = fraction_ * phases;
    const auto phase = static_cast<std::size_t>(place);
    const double weight = place - static_cast<double>(phase);
    const std::int16_t *x = samples_.data() + at_ - (half - 1);
    float a = 0;
    float b = 0;
    for (std::size_t i = 0; i < taps; ++i) {
        a += filter[phase][i] * static_cast<float>(x[i]);
        b += filter[phase + 1][i] * static_cast<float>(x[i]);
    }
    return static_cast<double>(a) * (1 - weight) + static_cast<double>(b) * weight;
}

// In steps rather than all the time: an echo canceller behind this has to learn every change anew.
void DriftReader::steer(std::size_t wanted) noexcept {
    const auto level = static_cast<double>(count());
    const double seconds = static_cast<double>(wanted) / rate_;
    average_ += (level - average_) * std::min(1.0, seconds / averaging_s);
    const double error_s = (average_ - goal_) / rate_;
    correcting_ = std::abs(error_s) > (correcting_ ? right_s : wrong_s);
    const double limit_now = std::abs(error_s) > far_off_s ? most_far_off : most;
    speed_ = correcting_ ? 1 + std::clamp(error_s / settle_s, -limit_now, limit_now) : 1;
}

bool DriftReader::pull(Samples frame) {
    if (!running_ && level() < target) {
        silence(frame);
        return false;
    }
    if (!std::exchange(running_, true)) average_ = goal_ = static_cast<double>(count());
    steer(frame.size());
    std::size_t done = 0;
    for (; done < frame.size() && count() > half; ++done) {
        frame[done] = speed_ == 1 && fraction_ == 0 ? samples_[at_] : saturated(interpolate());
        fraction_ += speed_;
        const auto whole = static_cast<std::size_t>(fraction_);
        at_ += whole;
        fraction_ -= static_cast<double>(whole);
    }
    silence(frame.subspan(done));
    if (done < frame.size()) {
        ++counters_.starved;
        running_ = false;
    }
    samples_.erase(samples_.begin(), samples_.begin() + static_cast<std::ptrdiff_t>(at_ - (half - 1)));
    at_ = half - 1;
    return done > 0;
}

} // namespace offhook::media
