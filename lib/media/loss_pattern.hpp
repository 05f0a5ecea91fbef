// Which packets were there when they were to be played, and how the missing ones cluster (RFC 3611 §4.7.2): a
// second of loss at once is heard otherwise than the same loss strewn over a call. Pure.
#pragma once

#include <cstdint>

namespace offhook::media {

class LossPattern {
public:
    void played(std::uint64_t lost_before = 0); // a packet, after so many that did not come in time

    [[nodiscard]] std::uint64_t packets() const noexcept { return received_ + lost_; }
    [[nodiscard]] std::uint64_t lost() const noexcept { return lost_; }
    [[nodiscard]] double loss_percent() const noexcept;
    // BurstR of G.107: mean length of the losses over that of random loss of the same rate; 1 or more.
    [[nodiscard]] double burst_ratio() const noexcept;

    // Bursts in the sense of RFC 3611: begin and end with a loss, without 16 packets in a row received
    // between.
    struct Bursts {
        double burst_density = 0, gap_density = 0; // share of packets lost in them
        double burst_packets = 0, gap_packets = 0; // mean length
    };
    [[nodiscard]] Bursts bursts() const noexcept;

private:
    static constexpr std::uint64_t gap_min = 16; // Gmin
    void loss(std::uint64_t run);
    void end_burst() noexcept;

    std::uint64_t received_ = 0, lost_ = 0, runs_ = 0;
    std::uint64_t since_loss_ = 0;           // received since the last loss
    std::uint64_t open_lost_ = 0, open_ = 0; // of the burst that may go on: lost, and all its packets
    std::uint64_t burst_lost_ = 0, burst_packets_ = 0, bursts_ = 0;
};

} // namespace offhook::media
