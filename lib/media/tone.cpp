#include "media/tone.hpp"

#include <cmath>
#include <memory>
#include <numbers>

#include "media/device.hpp"
#include "media/pcm.hpp"

namespace offhook::media {

namespace {

constexpr double edge_seconds = 0.003;
constexpr unsigned tone_rate = 48000;

class ToneSource final : public Source {
public:
    explicit ToneSource(std::vector<Oscillator> tones) : tones_(std::move(tones)) {}
    [[nodiscard]] unsigned rate() const noexcept override { return tone_rate; }
    void read(Samples frame) override {
        silence(frame);
        add_tones(tones_, frame, tone_rate);
    }

private:
    std::vector<Oscillator> tones_;
};

} // namespace

Oscillator::Oscillator(double hz, double dbfs) noexcept : hz_(hz), amplitude_(std::pow(10.0, dbfs / 20)) {}

double Oscillator::next(double seconds_per_sample) noexcept {
    const double value = amplitude_ * std::sin(2 * std::numbers::pi * phase_);
    phase_ += hz_ * seconds_per_sample;
    phase_ -= std::floor(phase_);
    return value;
}

void add_tones(std::span<Oscillator> tones, Samples frame, unsigned rate) noexcept {
    const double step = 1.0 / rate;
    for (auto &sample : frame) {
        double sum = sample / full_scale;
        for (auto &tone : tones)
            sum += tone.next(step);
        sample = to_sample(sum);
    }
}

Cadence::Cadence(std::vector<Beat> beats, double dbfs, bool repeat)
    : beats_(std::move(beats)), dbfs_(dbfs), repeat_(repeat), first_(0, dbfs), second_(0, dbfs) {
    enter(0);
}

void Cadence::enter(std::size_t at) noexcept {
    at_ = at == beats_.size() && repeat_ ? 0 : at;
    position_ = 0;
    if (finished()) return;
    first_ = Oscillator(beats_[at_].hz, dbfs_);
    second_ = Oscillator(beats_[at_].hz2, dbfs_);
}

double Cadence::edge(double seconds) const noexcept {
    const double length = static_cast<double>(beats_[at_].length.count()) / 1000;
    return std::clamp(std::min(seconds, length - seconds) / edge_seconds, 0.0, 1.0);
}

void Cadence::add_to(Samples frame, unsigned rate) noexcept {
    const double step = 1.0 / rate;
    for (auto &sample : frame) {
        if (finished()) return;
        const Beat &beat = beats_[at_];
        if (beat.hz > 0) {
            double value = first_.next(step);
            if (beat.hz2 > 0) value += second_.next(step);
            sample = to_sample(sample / full_scale + value * edge(position_));
        }
        position_ += step;
        // Half a sample of tolerance, so that rounding never adds one to a beat.
        if (position_ + step / 2 >= static_cast<double>(beat.length.count()) / 1000) enter(at_ + 1);
    }
}

Cadence ringback_cadence() {
    return Cadence({{425, 0, Duration{1000}}, {0, 0, Duration{4000}}}, -18);
}

Cadence busy_cadence() {
    return Cadence({{425, 0, Duration{500}}, {0, 0, Duration{500}}}, -18);
}

Cadence ring_cadence() {
    constexpr double d5 = 587.33, fis5 = 739.99; // a major third
    constexpr Duration note{200};
    return Cadence({{d5, 0, note}, {fis5, 0, note}, {d5, 0, note}, {fis5, 0, note}, {0, 0, Duration{2200}}},
                   -15);
}

std::unique_ptr<Source> make_tone_source(double hz, double hz2, double level_dbfs) {
    std::vector<Oscillator> tones{Oscillator(hz, level_dbfs)};
    if (hz2 > 0) tones.emplace_back(hz2, level_dbfs);
    return std::make_unique<ToneSource>(std::move(tones));
}

} // namespace offhook::media
