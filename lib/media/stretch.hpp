// Takes a pitch period out of a piece of sound, or puts one in, without changing its pitch: how a receiver
// catches up with a sender, or waits for it, unheard. Pure.
#pragma once

#include <vector>

#include "base/clock.hpp"
#include "media/codec.hpp"

namespace offhook::media {

enum class Stretch : std::uint8_t { none, shorter, longer };

// Changes `pcm` (one packet, at least 10 ms) in place. False, and nothing done, where it would be heard: no
// period resembles the next one. `insist`: take the best there is.
bool stretch(std::vector<std::int16_t> &pcm, unsigned rate, Stretch how, bool insist);

// When to do so. The age of each packet when it is played tells how much time there was to spare: the
// smallest of the last second is to stay between 4 and 30 ms, whatever jitter, loss and the clocks do.
class PlayoutControl {
public:
    // A packet is played `age` after it came; too late for its turn: 0. Returns what to do with its sound.
    Stretch played(Duration age, unsigned ptime_ms);
    void done();  // it was stretched: see how that works out
    void reset(); // another stream
    [[nodiscard]] bool insist() const noexcept { return refused_ > 25; }

private:
    static constexpr unsigned window_ms = 1000, hurry_ms = 200; // too little time is found out sooner

    Duration smallest_{1'000'000};
    unsigned seen_ms_ = 0, refused_ = 0;
};

} // namespace offhook::media
