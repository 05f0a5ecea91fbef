// Jitter buffer: packets in by sequence number, one frame out per tick. Adapts its depth to the measured
// jitter, bounded. Pure: the caller gives the time.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/clock.hpp"
#include "media/rtp.hpp"

namespace offhook::media {

class JitterBuffer {
public:
    struct Options {
        Duration min_delay{20}, max_delay{200};
        unsigned clock_rate = 8000;
        unsigned ptime_ms = 20;
    };
    struct Frame {
        std::uint8_t payload_type = 0;
        std::uint32_t timestamp = 0;
        std::vector<std::uint8_t> payload;
    };
    struct Pull {
        enum class Kind : std::uint8_t {
            frame,  // play it
            lost,   // conceal; `next` may hold the following packet for FEC
            empty   // nothing is flowing (before the start, DTX, the peer stopped): silence
        } kind = Kind::empty;
        Frame frame;
        const Frame *next = nullptr; // valid until the next call
    };
    struct Counters {
        std::uint64_t late = 0, duplicates = 0, concealed = 0, discarded = 0, resets = 0;
    };

    explicit JitterBuffer(Options options) : options_(options) {}
    void push(const RtpPacket &packet, TimePoint arrival);
    Pull pull(TimePoint now); // once per ptime
    void reset();             // SSRC change, hold
    [[nodiscard]] Duration delay() const noexcept; // current target depth
    [[nodiscard]] const Counters &counters() const noexcept { return counters_; }
    [[nodiscard]] std::size_t depth() const noexcept { return frames_.size(); }

private:
    Options options_;
    Counters counters_;
    std::map<std::uint64_t, Frame> frames_; // by extended sequence number
    // The implementation adds what it needs.
};

} // namespace offhook::media
