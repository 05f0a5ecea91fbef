// Measures a sound card by itself: how long what it plays takes to come back through its microphone, and how
// much quieter it is then. Pure.
#pragma once

#include <vector>

#include "media/codec.hpp"

namespace offhook::media {

class LoopMeasure {
public:
    static constexpr unsigned rate = 16000;
    static constexpr double quiet_s = 0.5, sounding_s = 1.5,
                            tail_s = 1.0; // what is played: nothing, noise, nothing
    static constexpr double level_dbfs = -20;

    LoopMeasure();
    [[nodiscard]] ConstSamples to_play() const noexcept { return played_; }

    struct Result {
        bool heard = false;        // something of it came back
        double round_trip_ms = 0;  // from handing a sample to the card to reading it
        double return_loss_db = 0; // played minus returned level
        double noise_dbfs = 0;     // while nothing was played
    };
    // `recorded`: what was read in the same ticks, from the first one on.
    [[nodiscard]] Result result(ConstSamples recorded) const;

private:
    std::vector<std::int16_t> played_;
};

} // namespace offhook::media
