// RTP and RTCP on the wire (RFC 3550): parsing, building, statistics. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.hpp"

namespace offhook::media {

using Bytes = std::span<const std::uint8_t>;

struct RtpHeader {
    bool marker = false;
    std::uint8_t payload_type = 0;
    std::uint16_t sequence = 0;
    std::uint32_t timestamp = 0;
    std::uint32_t ssrc = 0;
};

struct RtpPacket {
    RtpHeader header;
    Bytes payload; // CSRCs, extension and padding taken off
};

constexpr std::size_t rtp_header_size = 12;
std::optional<RtpPacket> parse_rtp(Bytes datagram) noexcept; // nothing for anything malformed
void write_rtp_header(const RtpHeader &header, std::span<std::uint8_t, rtp_header_size> out) noexcept;
bool looks_like_rtcp(Bytes datagram) noexcept; // RFC 5761 §4: packet types 192..223

// Reception statistics of one source (RFC 3550 §6.4, Appendix A.1, A.3, A.8).
class ReceiverStats {
public:
    explicit ReceiverStats(unsigned clock_rate = 8000) : clock_rate_(clock_rate) {}
    void received(const RtpHeader &header, std::size_t payload_bytes, TimePoint arrival);

    [[nodiscard]] std::uint64_t packets() const noexcept { return packets_; }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::int64_t lost() const noexcept; // expected - received; may be negative with duplicates
    [[nodiscard]] double jitter_ms() const noexcept;
    [[nodiscard]] std::uint32_t extended_sequence() const noexcept;
    [[nodiscard]] std::uint32_t jitter_units() const noexcept;
    // Fraction lost since the last call, in 1/256 (for reports).
    std::uint8_t fraction_lost_since_last() noexcept;
    void set_clock_rate(unsigned clock_rate) noexcept; // another codec: the jitter is carried over

private:
    void restart(const RtpHeader &header) noexcept; // another SSRC, or numbers that start anew
    bool update_sequence(const RtpHeader &header) noexcept;
    void update_jitter(std::uint32_t timestamp, TimePoint arrival) noexcept;
    [[nodiscard]] std::uint64_t expected_now() const noexcept;

    unsigned clock_rate_;
    bool started_ = false, has_transit_ = false;
    std::uint16_t max_sequence_ = 0;
    std::uint32_t ssrc_ = 0, cycles_ = 0, base_sequence_ = 0, bad_sequence_ = 0, last_timestamp_ = 0;
    std::uint64_t packets_ = 0, bytes_ = 0, expected_before_ = 0, expected_prior_ = 0, received_prior_ = 0;
    TimePoint last_arrival_;
    double jitter_ = 0;
};

struct ReportBlock { // RFC 3550 §6.4.1
    std::uint32_t ssrc = 0;
    std::uint8_t fraction_lost = 0;
    std::int32_t cumulative_lost = 0;
    std::uint32_t extended_sequence = 0, jitter = 0, last_sr = 0, delay_since_sr = 0;
};

struct SenderInfo {
    std::uint64_t ntp = 0;
    std::uint32_t rtp_timestamp = 0, packets = 0, octets = 0;
};

struct RtcpReport {
    std::uint32_t sender_ssrc = 0;
    std::optional<SenderInfo> sender;
    std::vector<ReportBlock> blocks;
    std::vector<std::uint32_t> byes;
};

std::optional<RtcpReport> parse_rtcp(Bytes compound) noexcept; // tolerant; nothing when malformed
// A compound packet: SR or RR, SDES CNAME, and BYE when `bye`.
std::vector<std::uint8_t> build_rtcp(const RtcpReport &report, const std::string &cname, bool bye);
void append_bye(std::vector<std::uint8_t> &compound, std::uint32_t ssrc); // the last packet of it
std::uint64_t ntp_now() noexcept;
std::uint32_t ntp_middle(std::uint64_t ntp) noexcept; // the 32 bits of LSR and DLSR arithmetic

} // namespace offhook::media
