// Tones made of sines: test tones, call progress tones, DTMF. A level in dBFS is that of one sine relative to
// a full-scale sine (amplitude 10^(dBFS/20)); of two tones each has the level.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/clock.hpp"
#include "media/codec.hpp"

namespace offhook::media {

// A sine whose phase runs on over frames and changes of rate.
class Oscillator {
public:
    explicit Oscillator(double hz, double dbfs) noexcept;
    [[nodiscard]] double next(double seconds_per_sample) noexcept; // -1..1
    void restart() noexcept { phase_ = 0; }

private:
    double hz_, amplitude_;
    double phase_ = 0; // in turns, 0..1
};

// Adds `tones` to `frame`, saturating.
void add_tones(std::span<Oscillator> tones, Samples frame, unsigned rate) noexcept;

struct Beat {               // one part of a cadence
    double hz = 0, hz2 = 0; // 0: no tone
    Duration length{0};
};

// A repeated sequence of tones and pauses with soft edges (3 ms), so that nothing clicks.
class Cadence {
public:
    Cadence(std::vector<Beat> beats, double dbfs, bool repeat = true);
    void add_to(Samples frame, unsigned rate) noexcept;
    [[nodiscard]] bool finished() const noexcept { return at_ >= beats_.size(); }

private:
    void enter(std::size_t at) noexcept;
    [[nodiscard]] double edge(double seconds) const noexcept;

    std::vector<Beat> beats_;
    double dbfs_;
    bool repeat_;
    std::size_t at_ = 0;
    double position_ = 0; // seconds into the beat
    Oscillator first_, second_;
};

Cadence ringback_cadence(); // 425 Hz, 1 s on, 4 s off (ETSI TR 101 041-2, most of Europe)
Cadence busy_cadence();     // 425 Hz, 0.5 s on, 0.5 s off
Cadence ring_cadence();     // for an incoming call: a two-tone chime every three seconds

} // namespace offhook::media
