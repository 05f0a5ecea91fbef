#include "bridge/rtp_rewriter.hpp"

namespace offhook::bridge {

namespace {

constexpr int furthest_ahead = 3'000, furthest_behind = 100; // beyond: another source in the same SSRC
constexpr std::uint32_t seconds_of_jump = 10;

} // namespace

bool RtpRewriter::same_source(const media::RtpHeader &in, unsigned source) const noexcept {
    if (!started_ || source != source_ || in.ssrc != source_ssrc_) return false;
    const auto step = static_cast<std::int16_t>(in.sequence - source_newest_);
    return step < furthest_ahead && step > -furthest_behind;
}

std::uint32_t RtpRewriter::clock(unsigned clock_rate, TimePoint now) const {
    if (!started_) return timestamp_;
    const auto passed = std::chrono::duration_cast<std::chrono::microseconds>(now - sent_at_).count();
    return timestamp_ + static_cast<std::uint32_t>(passed * clock_rate / 1'000'000);
}

void RtpRewriter::adopt(const media::RtpHeader &in, unsigned source, unsigned clock_rate, TimePoint now) {
    const std::uint16_t next = started_ ? static_cast<std::uint16_t>(sequence_ + 1) : sequence_;
    std::uint32_t time = clock(clock_rate, now);
    if (started_ && time == timestamp_) time += clock_rate / 50; // at once: one usual frame later
    sequence_offset_ = static_cast<std::uint16_t>(next - in.sequence);
    timestamp_offset_ = time - in.timestamp;
    source_ = source;
    source_ssrc_ = in.ssrc;
    source_newest_ = in.sequence;
    started_ = true;
    sequence_ = static_cast<std::uint16_t>(next - 1);
    timestamp_ = time;
    sent_at_ = now;
}

std::optional<media::RtpHeader> RtpRewriter::rewrite(const media::RtpHeader &in, unsigned source,
                                                     unsigned clock_rate, TimePoint now) {
    const bool fresh = !same_source(in, source);
    if (fresh) adopt(in, source, clock_rate, now);
    const auto ahead = static_cast<std::int32_t>(in.timestamp + timestamp_offset_ - timestamp_);
    if (!fresh && (ahead > static_cast<std::int32_t>(seconds_of_jump * clock_rate) ||
                   ahead < -static_cast<std::int32_t>(seconds_of_jump * clock_rate)))
        timestamp_offset_ = clock(clock_rate, now) - in.timestamp; // its clock jumped, ours does not
    media::RtpHeader out = in;
    out.ssrc = ssrc_;
    out.sequence = static_cast<std::uint16_t>(in.sequence + sequence_offset_);
    out.timestamp = in.timestamp + timestamp_offset_;
    if (fresh) out.marker = true; // tells the jitter buffer to start anew (RFC 3551 §4.1)
    if (static_cast<std::int16_t>(in.sequence - source_newest_) >= 0) {
        source_newest_ = in.sequence;
        sequence_ = out.sequence;
        timestamp_ = out.timestamp;
        sent_at_ = now;
    }
    return out;
}

media::RtpHeader RtpRewriter::insert(std::uint8_t payload_type, std::uint32_t timestamp, bool marker) {
    media::RtpHeader out;
    out.payload_type = payload_type;
    out.marker = marker;
    out.ssrc = ssrc_;
    out.sequence = started_ ? static_cast<std::uint16_t>(sequence_ + 1) : sequence_;
    out.timestamp = timestamp;
    sequence_ = out.sequence;
    ++sequence_offset_; // the source's packets follow
    started_ = true;
    return out;
}

void RtpRewriter::skip(const media::RtpHeader &in) {
    if (!started_ || in.ssrc != source_ssrc_) return;
    const auto step = static_cast<std::int16_t>(in.sequence - source_newest_);
    if (step <= 0) return;
    source_newest_ = in.sequence;
    sequence_offset_ = static_cast<std::uint16_t>(sequence_offset_ - step);
}

} // namespace offhook::bridge
