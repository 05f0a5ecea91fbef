// Packet-loss concealment for waveform codecs in the manner of G.711 Appendix I: the last pitch period is
// repeated, faded out, and cross-faded into what comes after the gap. Pure; adds no delay.
#pragma once

#include <cstdint>
#include <vector>

#include "media/codec.hpp"

namespace offhook::media {

class PacketLossConcealer {
public:
    explicit PacketLossConcealer(unsigned rate);

    // A decoded frame: remembered; its start is changed in place when it follows a gap.
    void good(Samples frame);
    // A frame for the gap: silence after 60 ms of it, and when nothing was ever heard.
    void conceal(Samples frame);

private:
    void remember(ConstSamples frame);
    [[nodiscard]] std::size_t pitch_period() const;
    void start_gap();
    [[nodiscard]] double next_synthetic();

    unsigned rate_;
    std::vector<std::int16_t> history_;   // the last 40 ms, oldest first
    std::vector<double> period_;          // what is repeated; empty outside a gap
    std::size_t position_ = 0;            // in period_
    std::size_t gap_ = 0;                 // samples since the gap began
    double offset_ = 0, offset_step_ = 0; // closes the step where the gap begins
};

} // namespace offhook::media
