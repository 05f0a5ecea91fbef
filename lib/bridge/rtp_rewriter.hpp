// One outgoing RTP stream with a single SSRC, contiguous sequence numbers and a clock that never goes back,
// whatever the sources behind it do: forks, transfers, music on hold, restarts, long holds. Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.hpp"
#include "media/rtp.hpp"

namespace offhook::bridge {

class RtpRewriter {
public:
    RtpRewriter(std::uint32_t ssrc, std::uint16_t first_sequence, std::uint32_t first_timestamp)
        : ssrc_(ssrc), sequence_(first_sequence), timestamp_(first_timestamp) {}

    // The header to send instead of `in`. `source` tells sources apart beside their SSRC (a fork's number).
    // Nothing for a packet that is too old to find its place.
    std::optional<media::RtpHeader> rewrite(const media::RtpHeader &in, unsigned source, unsigned clock_rate,
                                            TimePoint now);
    // A packet of our own between the others. `timestamp`: from clock().
    media::RtpHeader insert(std::uint8_t payload_type, std::uint32_t timestamp, bool marker, TimePoint now);
    void skip(const media::RtpHeader &in); // this packet is not sent and leaves no gap
    // The stream's time now.
    [[nodiscard]] std::uint32_t clock(unsigned clock_rate, TimePoint now) const;

    [[nodiscard]] std::uint32_t ssrc() const noexcept { return ssrc_; }
    [[nodiscard]] bool started() const noexcept { return started_; }

private:
    [[nodiscard]] bool same_source(const media::RtpHeader &in, unsigned source, TimePoint now) const noexcept;
    [[nodiscard]] bool clock_jumped(const media::RtpHeader &in, unsigned clock_rate, TimePoint now) const;
    void adopt(const media::RtpHeader &in, unsigned source, unsigned clock_rate, TimePoint now);

    std::uint32_t ssrc_;
    bool started_ = false;
    unsigned source_ = 0;
    std::uint32_t source_ssrc_ = 0;
    std::uint16_t source_newest_ = 0, sequence_offset_ = 0;
    int places_ = 0; // so many before source_newest_ may still come: their numbers are free
    std::uint32_t timestamp_offset_ = 0;
    std::uint16_t sequence_;  // last sent (next to send before the first)
    std::uint32_t timestamp_; // of the newest sent
    TimePoint sent_at_{};
};

} // namespace offhook::bridge
