#include "media/plc.hpp"

#include <algorithm>
#include <cmath>

#include "media/saturate.hpp"

namespace offhook::media {

namespace {

// In ms. Voices are between 66 and 400 Hz; Appendix I searches 5..15 ms.
constexpr unsigned shortest_period = 5, longest_period = 15, template_length = 10, history_length = 40;
constexpr unsigned full_level = 10, faded_out = 60, recovery = 5;

} // namespace

PacketLossConcealer::PacketLossConcealer(unsigned rate)
    : rate_(rate), history_(rate * history_length / 1000, std::int16_t{0}) {}

void PacketLossConcealer::remember(ConstSamples frame) {
    const ConstSamples last = frame.last(std::min(frame.size(), history_.size()));
    std::shift_left(history_.begin(), history_.end(), static_cast<std::ptrdiff_t>(last.size()));
    std::ranges::copy(last, history_.end() - static_cast<std::ptrdiff_t>(last.size()));
}

// The distance at which the last 10 ms resemble what came before most, by normalised correlation.
std::size_t PacketLossConcealer::pitch_period() const {
    const std::size_t length = rate_ * template_length / 1000, end = history_.size();
    const std::size_t shortest = rate_ * shortest_period / 1000, longest = rate_ * longest_period / 1000;
    const std::size_t step = rate_ / 8000; // comparing every 125 µs is enough for voice
    std::size_t best = shortest;
    double best_score = 0;
    for (std::size_t lag = shortest; lag <= longest; ++lag) {
        double product = 0, energy = 1;
        for (std::size_t i = end - length; i < end; i += step) {
            product += double{1} * history_[i] * history_[i - lag];
            energy += double{1} * history_[i - lag] * history_[i - lag];
        }
        const double score = product / std::sqrt(energy);
        if (score <= best_score) continue;
        best_score = score;
        best = lag;
    }
    return best;
}

void PacketLossConcealer::start_gap() {
    const std::size_t period = pitch_period(), overlap = period / 4, start = history_.size() - period;
    period_.assign(history_.end() - static_cast<std::ptrdiff_t>(period), history_.end());
    // The end of the period runs into its beginning: cross-fade it with what preceded the period.
    for (std::size_t i = 0; i < overlap; ++i) {
        const double weight = static_cast<double>(i + 1) / static_cast<double>(overlap);
        double &sample = period_[period - overlap + i];
        sample = sample * (1 - weight) + history_[start - overlap + i] * weight;
    }
    offset_ = double{1} * history_.back() - history_[start - 1];
    offset_step_ = offset_ / static_cast<double>(std::max<std::size_t>(overlap, 1));
    position_ = gap_ = 0;
}

double PacketLossConcealer::next_synthetic() {
    const double ms = static_cast<double>(gap_) * 1000 / rate_;
    const double gain = std::clamp((faded_out - ms) / (faded_out - full_level), 0.0, 1.0);
    const double sample = (period_[position_] + offset_) * gain;
    position_ = (position_ + 1) % period_.size();
    offset_ = std::abs(offset_) > std::abs(offset_step_) ? offset_ - offset_step_ : 0;
    ++gap_;
    return sample;
}

void PacketLossConcealer::conceal(Samples frame) {
    if (period_.empty()) start_gap();
    for (auto &sample : frame)
        sample = saturated(next_synthetic());
    remember(frame);
}

void PacketLossConcealer::good(Samples frame) {
    if (!period_.empty()) {
        const std::size_t overlap = std::min<std::size_t>(frame.size(), rate_ * recovery / 1000);
        for (std::size_t i = 0; i < overlap; ++i) {
            const double weight = static_cast<double>(i + 1) / static_cast<double>(overlap + 1);
            frame[i] = saturated(frame[i] * weight + next_synthetic() * (1 - weight));
        }
        period_.clear();
    }
    remember(frame);
}

} // namespace offhook::media
