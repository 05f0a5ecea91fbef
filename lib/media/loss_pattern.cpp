#include "media/loss_pattern.hpp"

#include <algorithm>

namespace offhook::media {

void LossPattern::played(std::uint64_t lost_before) {
    if (lost_before > 0) loss(lost_before);
    ++received_;
    ++since_loss_;
    if (since_loss_ == gap_min) end_burst();
}

void LossPattern::loss(std::uint64_t run) {
    lost_ += run;
    ++runs_;
    if (open_lost_ > 0) open_ += since_loss_; // fewer than Gmin: the burst goes on
    open_lost_ += run;
    open_ += run;
    since_loss_ = 0;
}

// A single loss between two gaps is no burst: it belongs to the gap.
void LossPattern::end_burst() noexcept {
    if (open_lost_ > 1) {
        burst_lost_ += open_lost_;
        burst_packets_ += open_;
        ++bursts_;
    }
    open_lost_ = open_ = 0;
}

double LossPattern::loss_percent() const noexcept {
    return packets() == 0 ? 0 : 100 * static_cast<double>(lost_) / static_cast<double>(packets());
}

double LossPattern::burst_ratio() const noexcept {
    if (runs_ == 0) return 1;
    const double mean = static_cast<double>(lost_) / static_cast<double>(runs_);
    return std::max(1.0, mean * (1 - loss_percent() / 100));
}

LossPattern::Bursts LossPattern::bursts() const noexcept {
    LossPattern whole = *this;
    whole.end_burst();
    Bursts out;
    const auto ratio = [](std::uint64_t a, std::uint64_t b) {
        return b == 0 ? 0.0 : static_cast<double>(a) / static_cast<double>(b);
    };
    const std::uint64_t gap_packets = packets() - whole.burst_packets_;
    out.burst_density = ratio(whole.burst_lost_, whole.burst_packets_);
    out.gap_density = ratio(lost_ - whole.burst_lost_, gap_packets);
    out.burst_packets = ratio(whole.burst_packets_, whole.bursts_);
    out.gap_packets = ratio(gap_packets, whole.bursts_ + 1);
    return out;
}

} // namespace offhook::media
