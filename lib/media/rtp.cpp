#include "media/rtp.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "media/wire.hpp"

namespace offhook::media {

namespace {

constexpr std::uint8_t version_2 = 2 << 6;
constexpr std::uint32_t sequence_modulus = 1 << 16;
constexpr std::uint16_t max_dropout = 3000, max_misorder = 100; // RFC 3550 A.1

} // namespace

std::optional<RtpPacket> parse_rtp(Bytes datagram) noexcept {
    if (datagram.size() < rtp_header_size || (datagram[0] & 0xc0) != version_2) return std::nullopt;
    RtpPacket packet;
    packet.header.marker = (datagram[1] & 0x80) != 0;
    packet.header.payload_type = datagram[1] & 0x7f;
    packet.header.sequence = read_u16(datagram, 2);
    packet.header.timestamp = read_u32(datagram, 4);
    packet.header.ssrc = read_u32(datagram, 8);
    std::size_t start = rtp_header_size + 4U * (datagram[0] & 0x0f);
    if ((datagram[0] & 0x10) != 0) { // header extension
        if (datagram.size() < start + 4) return std::nullopt;
        start += 4 + 4U * read_u16(datagram, start + 2);
    }
    std::size_t end = datagram.size();
    if (start > end) return std::nullopt;
    if ((datagram[0] & 0x20) != 0) { // padding: its last byte counts it
        const std::size_t padding = datagram[end - 1];
        if (padding == 0 || padding > end - start) return std::nullopt;
        end -= padding;
    }
    packet.payload = datagram.subspan(start, end - start);
    return packet;
}

void write_rtp_header(const RtpHeader &header, std::span<std::uint8_t, rtp_header_size> out) noexcept {
    out[0] = version_2;
    out[1] = static_cast<std::uint8_t>((header.marker ? 0x80 : 0) | (header.payload_type & 0x7f));
    write_u16(out, 2, header.sequence);
    write_u32(out, 4, header.timestamp);
    write_u32(out, 8, header.ssrc);
}

bool looks_like_rtcp(Bytes datagram) noexcept {
    return datagram.size() >= 4 && (datagram[0] & 0xc0) == version_2 && datagram[1] >= 192 &&
           datagram[1] <= 223;
}

void ReceiverStats::restart(const RtpHeader &header) noexcept {
    if (started_) expected_before_ += expected_now();
    started_ = true;
    ssrc_ = header.ssrc;
    base_sequence_ = max_sequence_ = header.sequence;
    bad_sequence_ = sequence_modulus + 1;
    cycles_ = 0;
    has_transit_ = false;
}

// RFC 3550 A.1 without the probation: a packet that gets here has passed the address check already.
bool ReceiverStats::update_sequence(const RtpHeader &header) noexcept {
    const auto delta = static_cast<std::uint16_t>(header.sequence - max_sequence_);
    if (delta < max_dropout) {
        if (header.sequence < max_sequence_) cycles_ += sequence_modulus;
        max_sequence_ = header.sequence;
    } else if (delta <= sequence_modulus - max_misorder) {
        if (header.sequence != bad_sequence_) { // a jump: believed when the next packet follows it
            bad_sequence_ = (header.sequence + 1U) & (sequence_modulus - 1);
            return false;
        }
        restart(header);
    }
    return true;
}

void ReceiverStats::received(const RtpHeader &header, std::size_t payload_bytes, TimePoint arrival) {
    ++packets_;
    bytes_ += payload_bytes;
    if (!started_ || header.ssrc != ssrc_) restart(header);
    if (!update_sequence(header)) {
        ++expected_before_; // it did come, and belongs to no run of numbers
        return;
    }
    update_jitter(header.timestamp, arrival);
}

// RFC 3550 A.8. Packets of one timestamp (telephone-events) count once, and a jump of the timestamp is not
// jitter.
void ReceiverStats::update_jitter(std::uint32_t timestamp, TimePoint arrival) noexcept {
    if (has_transit_ && timestamp == last_timestamp_) return;
    if (has_transit_) {
        const double elapsed = std::chrono::duration<double>(arrival - last_arrival_).count() * clock_rate_;
        const double stamped = static_cast<std::int32_t>(timestamp - last_timestamp_);
        const double difference = std::abs(elapsed - stamped);
        if (difference < 2.0 * clock_rate_) jitter_ += (difference - jitter_) / 16;
    }
    has_transit_ = true;
    last_timestamp_ = timestamp;
    last_arrival_ = arrival;
}

std::uint64_t ReceiverStats::expected_now() const noexcept {
    return started_ ? std::uint64_t{cycles_} + max_sequence_ - base_sequence_ + 1 : 0;
}

std::int64_t ReceiverStats::lost() const noexcept {
    return static_cast<std::int64_t>(expected_before_ + expected_now()) - static_cast<std::int64_t>(packets_);
}

double ReceiverStats::jitter_ms() const noexcept {
    return jitter_ * 1000 / clock_rate_;
}

std::uint32_t ReceiverStats::extended_sequence() const noexcept {
    return cycles_ + max_sequence_;
}

std::uint32_t ReceiverStats::jitter_units() const noexcept {
    return static_cast<std::uint32_t>(jitter_);
}

std::uint8_t ReceiverStats::fraction_lost_since_last() noexcept {
    const std::uint64_t expected = expected_before_ + expected_now();
    const auto expected_interval = static_cast<std::int64_t>(expected - expected_prior_);
    const auto received_interval = static_cast<std::int64_t>(packets_ - received_prior_);
    expected_prior_ = expected;
    received_prior_ = packets_;
    const std::int64_t lost_interval = expected_interval - received_interval;
    if (expected_interval <= 0 || lost_interval <= 0) return 0;
    return static_cast<std::uint8_t>(std::min<std::int64_t>(lost_interval * 256 / expected_interval, 255));
}

void ReceiverStats::set_clock_rate(unsigned clock_rate) noexcept {
    if (clock_rate == clock_rate_) return;
    jitter_ = jitter_ * clock_rate / clock_rate_;
    clock_rate_ = clock_rate;
    has_transit_ = false;
}

} // namespace offhook::media
