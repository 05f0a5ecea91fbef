#include "media/jitter.hpp"

#include <algorithm>
#include <cmath>

namespace offhook::media {

namespace {

constexpr std::int64_t far = 1000;     // a sequence number this far off is a jump, not a late packet
constexpr unsigned jump_packets = 3;   // so many in a row mean that the sender restarted
constexpr unsigned stop_after = 10;    // pulls without a frame: the stream has stopped, start anew
constexpr unsigned drop_after = 100;   // pulls (2 s) of a buffer deeper than needed before a frame is dropped
constexpr std::size_t max_frames = 64; // whatever the clock says

} // namespace

std::int64_t JitterBuffer::extend(std::uint16_t sequence) const noexcept {
    const auto delta = static_cast<std::int16_t>(sequence - static_cast<std::uint16_t>(newest_));
    return newest_ + delta;
}

// How deep the buffer should be: two deviations above the frame that is being played.
Duration JitterBuffer::wanted() const noexcept {
    const Duration target{static_cast<std::int64_t>(2 * jitter_ms_)};
    return std::clamp(target, options_.min_delay, options_.max_delay);
}

Duration JitterBuffer::delay() const noexcept {
    return wanted();
}

void JitterBuffer::reset() {
    frames_.clear();
    ssrc_.reset();
    restart();
    has_transit_ = false;
}

void JitterBuffer::restart() noexcept {
    playing_ = false;
    gap_run_ = deep_run_ = jump_run_ = owed_ = 0;
}

// Deviation of the spacing of arrivals from the spacing of timestamps: up at once, down slowly, so that the
// depth follows a jittery network within a few packets and does not breathe with every quiet second.
void JitterBuffer::measure(std::uint32_t timestamp, TimePoint arrival) noexcept {
    if (has_transit_) {
        const auto units = static_cast<std::int32_t>(timestamp - last_timestamp_);
        const double media_ms = units * 1000.0 / options_.clock_rate;
        const double clock_ms = std::chrono::duration<double, std::milli>(arrival - last_arrival_).count();
        if (std::abs(media_ms) < 2000 && clock_ms < 2000) {
            const double deviation = std::abs(clock_ms - media_ms);
            jitter_ms_ += (deviation - jitter_ms_) * (deviation > jitter_ms_ ? 0.25 : 1.0 / 128);
        }
    }
    has_transit_ = true;
    last_timestamp_ = timestamp;
    last_arrival_ = arrival;
}

void JitterBuffer::push(const RtpPacket &packet, TimePoint arrival) {
    if (ssrc_ != packet.header.ssrc) {
        if (ssrc_) ++counters_.resets;
        reset();
        ssrc_ = packet.header.ssrc;
        newest_ = 0x10000 + packet.header.sequence;
    }
    std::int64_t at = extend(packet.header.sequence);
    if (std::abs(at - newest_) > far) {
        if (++jump_run_ < jump_packets) return void(++counters_.discarded);
        frames_.clear();
        restart();
        has_transit_ = false;
        ++counters_.resets;
        newest_ = at = 0x10000 + packet.header.sequence;
    }
    jump_run_ = 0;
    measure(packet.header.timestamp, arrival);
    newest_ = std::max(newest_, at);
    if (playing_ && at < next_) return void(++counters_.late);
    Frame frame{packet.header.payload_type,
                packet.header.timestamp,
                std::vector<std::uint8_t>(packet.payload.begin(), packet.payload.end()),
                false,
                arrival,
                at};
    if (!frames_.emplace(at, std::move(frame)).second) ++counters_.duplicates;
    while (frames_.size() > max_frames ||
           Duration{static_cast<std::int64_t>(frames_.size() * options_.ptime_ms)} >
               options_.max_delay + Duration{2 * options_.ptime_ms}) {
        next_ = frames_.begin()->first + 1;
        frames_.erase(frames_.begin());
        ++counters_.discarded;
    }
}

JitterBuffer::Pull JitterBuffer::gap() {
    ++gap_run_;
    Pull pull;
    if (frames_.empty() && gap_run_ > stop_after) {
        counters_.concealed -= owed_; // DTX, hold, or the peer has gone: nothing was lost,
        restart();                    // and the next packet starts afresh
        return pull;
    }
    pull.kind = Pull::Kind::lost;
    ++counters_.concealed;
    if (frames_.empty()) { // late rather than lost: next_ waits for it
        ++owed_;
        return pull;
    }
    ++next_;
    if (frames_.begin()->first == next_) {
        following_ = frames_.begin()->second;
        pull.next = &following_;
    }
    return pull;
}

void JitterBuffer::pass(const RtpHeader &header) {
    if (ssrc_ != header.ssrc) return;
    const std::int64_t at = extend(header.sequence);
    if (std::abs(at - newest_) > far || (playing_ && at < next_)) return;
    newest_ = std::max(newest_, at);
    has_transit_ = false; // the timestamp of an event stands still
    if (frames_.size() < max_frames)
        frames_.emplace(at, Frame{.payload = {}, .passed = true, .sequence = at});
}

std::int64_t JitterBuffer::skip(const RtpHeader &header) {
    const std::int64_t at = extend(header.sequence);
    if (ssrc_ == header.ssrc && std::abs(at - newest_) <= far) newest_ = std::max(newest_, at);
    return at;
}

// A clean network needs no more than one frame in hand; what jitter, or a reader that was late, once asked
// for is given back by dropping frames: one in two seconds, more often the deeper the buffer is.
void JitterBuffer::shrink_when_idle() {
    const Duration held{static_cast<std::int64_t>(frames_.size() * options_.ptime_ms)};
    const Duration excess = held - wanted() - Duration{options_.ptime_ms};
    if (excess.count() <= 0)
        deep_run_ = 0;
    else
        deep_run_ += 1 + static_cast<unsigned>(excess.count()) / options_.ptime_ms;
    if (deep_run_ < drop_after) return;
    deep_run_ = 0;
    next_ = frames_.begin()->first + 1;
    frames_.erase(frames_.begin());
    ++counters_.discarded;
}

// What came before anyone listened is too old to be worth its delay.
void JitterBuffer::start_playing() {
    while (frames_.size() > 1 &&
           Duration{static_cast<std::int64_t>((frames_.size() - 1) * options_.ptime_ms)} >= wanted()) {
        frames_.erase(frames_.begin());
        ++counters_.discarded;
    }
    playing_ = true;
    gap_run_ = 0;
    next_ = frames_.begin()->first;
}

// What was taken for late was lost after all when a later packet is there: its gap has been filled already,
// and filling it again would add to the delay.
void JitterBuffer::settle_owed() {
    if (frames_.empty()) return;
    const auto missing =
        static_cast<unsigned>(std::clamp<std::int64_t>(frames_.begin()->first - next_, 0, far));
    next_ += std::min(owed_, missing);
    owed_ = 0;
}

// The three ends of a telephone-event may come at once: they take up numbers but no time.
void JitterBuffer::skip_passed() {
    while (frames_.size() > 1 && frames_.begin()->first == next_ && frames_.begin()->second.passed &&
           Duration{static_cast<std::int64_t>((frames_.size() - 1) * options_.ptime_ms)} >= wanted()) {
        frames_.erase(frames_.begin());
        ++next_;
    }
}

JitterBuffer::Pull JitterBuffer::pull(TimePoint) {
    if (!playing_) {
        const Duration held{static_cast<std::int64_t>(frames_.size() * options_.ptime_ms)};
        if (frames_.empty() || held < wanted()) return {};
        start_playing();
    }
    settle_owed();
    shrink_when_idle();
    skip_passed();
    const auto first = frames_.begin();
    if (first == frames_.end() || first->first != next_) return gap();
    Pull pull{first->second.passed ? Pull::Kind::empty : Pull::Kind::frame, std::move(first->second),
              nullptr};
    frames_.erase(first);
    ++next_;
    gap_run_ = 0;
    return pull;
}

} // namespace offhook::media
