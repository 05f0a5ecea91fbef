// RTCP extended reports: the VoIP metrics block (RFC 3611 §4.7). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "media/rtp.hpp"

namespace offhook::media {

struct VoipMetrics { // of the stream that the reporter receives
    std::uint32_t ssrc = 0;
    double loss_rate = 0, discard_rate = 0;        // share of packets, 0..1 in steps of 1/256
    double burst_density = 0, gap_density = 0;     //
    unsigned burst_ms = 0, gap_ms = 0;             // mean length
    unsigned round_trip_ms = 0, end_system_ms = 0; // 0: unknown
    std::optional<int> signal_dbm0, noise_dbm0;
    std::optional<unsigned> r_factor;     // 0..100
    std::optional<double> mos_lq, mos_cq; // 1.0..5.0
    bool adaptive = true;                 // the jitter buffer
    unsigned buffer_ms = 0, buffer_most_ms = 0, buffer_limit_ms = 0;
};

// A packet for the end of a compound (before BYE): XR of `sender_ssrc` with one block.
void append_voip_metrics(std::vector<std::uint8_t> &compound, std::uint32_t sender_ssrc,
                         const VoipMetrics &metrics);
// The VoIP metrics in a compound that parse_rtcp() took.
std::vector<VoipMetrics> voip_metrics_of(Bytes compound);
// `body` of an XR packet, behind its common header. Blocks of other kinds are passed over; nothing when
// malformed.
std::optional<std::vector<VoipMetrics>> read_voip_metrics(Bytes body);

} // namespace offhook::media
