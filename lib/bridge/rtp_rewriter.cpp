#include "bridge/rtp_rewriter.hpp"

#include <algorithm>
#include <utility>

namespace offhook::bridge {

namespace {

constexpr int furthest_ahead = 3'000, furthest_behind = 100; // beyond: another source in the same SSRC
constexpr std::uint32_t seconds_of_jump = 10;
constexpr Duration pause{1'000}; // nothing is late by more than that

} // namespace

bool RtpRewriter::same_source(const media::RtpHeader &in, unsigned source, TimePoint now) const noexcept {
    if (!started_ || source != source_ || in.ssrc != source_ssrc_) return false;
    const auto step = static_cast<std::int16_t>(in.sequence - source_newest_);
    if (step <= 0 && now - sent_at_ > pause) return false; // it counts anew, or once around during a hold
    return step < furthest_ahead && step > -furthest_behind;
}

std::uint32_t RtpRewriter::clock(unsigned clock_rate, TimePoint now) const {
    if (!started_) return timestamp_;
    const auto passed = std::chrono::duration_cast<std::chrono::microseconds>(now - sent_at_).count();
    return timestamp_ + static_cast<std::uint32_t>(passed * clock_rate / 1'000'000);
}

// Receivers want timestamps that agree with the time that has passed: a clock that stood still during a hold
// looks like packets that are minutes late.
bool RtpRewriter::clock_jumped(const media::RtpHeader &in, unsigned clock_rate, TimePoint now) const {
    const bool paused = now - sent_at_ > pause;
    const std::uint32_t expected = paused ? clock(clock_rate, now) : timestamp_;
    const auto off = static_cast<std::int32_t>(in.timestamp + timestamp_offset_ - expected);
    const auto most = static_cast<std::int32_t>(paused ? clock_rate : seconds_of_jump * clock_rate);
    return off > most || off < -most;
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
    places_ = 0;
    started_ = true;
    sequence_ = static_cast<std::uint16_t>(next - 1);
    timestamp_ = time;
    sent_at_ = now;
}

std::optional<media::RtpHeader> RtpRewriter::rewrite(const media::RtpHeader &in, unsigned source,
                                                     unsigned clock_rate, TimePoint now) {
    bool fresh = !same_source(in, source, now);
    if (fresh) adopt(in, source, clock_rate, now);
    const auto step = static_cast<std::int16_t>(in.sequence - source_newest_);
    if (step < -places_) return {};
    if (!fresh && step > 0 && clock_jumped(in, clock_rate, now)) {
        timestamp_offset_ = clock(clock_rate, now) - in.timestamp;
        places_ = 0;
        fresh = true;
    }
    media::RtpHeader out = in;
    out.ssrc = ssrc_;
    out.sequence = static_cast<std::uint16_t>(in.sequence + sequence_offset_);
    out.timestamp = in.timestamp + timestamp_offset_;
    if (fresh) out.marker = true; // tells the jitter buffer to start anew (RFC 3551 §4.1)
    if (step >= 0) {
        source_newest_ = in.sequence;
        places_ = std::min(places_ + step, furthest_behind);
        sequence_ = out.sequence;
        timestamp_ = out.timestamp;
        sent_at_ = now;
    }
    return out;
}

media::RtpHeader RtpRewriter::insert(std::uint8_t payload_type, std::uint32_t timestamp, bool marker,
                                     TimePoint now) {
    media::RtpHeader out;
    out.payload_type = payload_type;
    out.marker = marker;
    out.ssrc = ssrc_;
    out.sequence = started_ ? static_cast<std::uint16_t>(sequence_ + 1) : sequence_;
    out.timestamp = timestamp;
    sequence_ = out.sequence;
    ++sequence_offset_; // the source's packets follow
    places_ = 0;
    if (!std::exchange(started_, true)) { // the clock begins to run
        timestamp_ = timestamp;
        sent_at_ = now;
    }
    return out;
}

void RtpRewriter::skip(const media::RtpHeader &in) {
    if (!started_ || in.ssrc != source_ssrc_) return;
    const auto step = static_cast<std::int16_t>(in.sequence - source_newest_);
    if (step <= 0) return;
    source_newest_ = in.sequence;
    places_ = 0;
    sequence_offset_ = static_cast<std::uint16_t>(sequence_offset_ - step);
}

} // namespace offhook::bridge
