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
        bool passed = false; // no audio in it
        TimePoint arrival{};
        std::int64_t sequence = 0; // extended: what is missing between two of them did not come in time
    };
    struct Pull {
        enum class Kind : std::uint8_t {
            frame, // play it
            lost,  // conceal; `next` may hold the following packet for FEC
            empty  // nothing is flowing (before the start, DTX, the peer stopped): silence
        } kind = Kind::empty;
        Frame frame;
        const Frame *next = nullptr; // valid until the next call
    };
    struct Counters {
        std::uint64_t late = 0, duplicates = 0, concealed = 0, discarded = 0, resets = 0;
    };

    explicit JitterBuffer(Options options) : options_(options) {}
    [[nodiscard]] const Options &options() const noexcept { return options_; }
    void push(const RtpPacket &packet, TimePoint arrival);
    // A packet of the same stream that is no audio (telephone-event): a gap in the numbers, not in the sound.
    void pass(const RtpHeader &header);
    // The frame pulled last says that a pause begins: what comes next waits for its depth again, and no gap
    // is one until then.
    void pause() noexcept { restart(); }
    [[nodiscard]] bool idle() const noexcept { return !playing_ && frames_.empty(); } // paused, stopped
    std::int64_t skip(const RtpHeader &header); // a packet that is dealt with already: its extended number
    Pull pull(TimePoint now);                   // once per ptime
    void reset();                               // SSRC change, hold
    void set_ptime(unsigned ms) noexcept { options_.ptime_ms = ms; } // what the peer really sends
    [[nodiscard]] Duration delay() const noexcept;                   // current target depth
    [[nodiscard]] const Counters &counters() const noexcept { return counters_; }
    [[nodiscard]] std::size_t depth() const noexcept { return frames_.size(); }

private:
    Options options_;
    Counters counters_;
    [[nodiscard]] std::int64_t extend(std::uint16_t sequence) const noexcept;
    [[nodiscard]] Duration wanted() const noexcept;
    void measure(std::uint32_t timestamp, TimePoint arrival) noexcept;
    void restart() noexcept;
    void shrink_when_idle();
    void start_playing();
    void skip_passed();
    void settle_owed();
    Pull gap();

    std::map<std::int64_t, Frame> frames_; // by extended sequence number
    Frame following_;                      // what Pull::next points at
    std::optional<std::uint32_t> ssrc_;
    std::int64_t newest_ = 0, next_ = 0; // extended sequence: highest received, next to play
    bool playing_ = false;
    unsigned owed_ = 0; // frames concealed while nothing was there, so that their packets may still be lost
    unsigned gap_run_ = 0;  // pulls without a frame, in a row
    unsigned deep_run_ = 0; // pulls during which the buffer was deeper than wanted
    unsigned jump_run_ = 0; // packets in a row far from the expected sequence
    double jitter_ms_ = 0;  // smoothed |deviation| of the transit time, grows fast, falls slowly
    double transit_ms_ = 0; // of the packet before, relative
    bool has_transit_ = false;
    std::uint32_t last_timestamp_ = 0;
    TimePoint last_arrival_{};
};

} // namespace offhook::media
