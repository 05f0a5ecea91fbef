// The E-model (ITU-T G.107) reduced to what a phone can measure: loss, jitter buffer and network delay,
// codec.
#pragma once

#include "media/codec.hpp"

namespace offhook::media {

struct QualityInput {
    double loss_percent = 0;     // of packets, after the jitter buffer (lost + late)
    double burst_ratio = 1.0;    // 1 = random loss
    double one_way_delay_ms = 0; // network (rtt / 2) + jitter buffer + packetisation
    double ie = 0, bpl = 25.1;   // of the codec
};

double r_factor(const QualityInput &input) noexcept; // 0..93.2
double mos(double r) noexcept;                       // 1.0..4.5 (G.107 Annex B)
double mos(const QualityInput &input) noexcept;

} // namespace offhook::media
