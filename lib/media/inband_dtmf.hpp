// DTMF as sound (ITU-T Q.23, Q.24), for peers without telephone-events. Pure.
#pragma once

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "media/tone.hpp"

namespace offhook::media {

// The low and the high frequency of 0-9 * # A-D a-d.
std::optional<std::pair<double, double>> dtmf_frequencies(char digit) noexcept;

class InbandDtmf {
public:
    // Queues digits, each 100 ms of tone and 100 ms of silence; ',' and 'w' pause for 500 ms. Others are
    // skipped.
    void send(std::string_view digits);
    [[nodiscard]] bool busy() const noexcept { return !parts_.empty(); }
    void fill(Samples frame, unsigned rate) noexcept; // overwrites all of it

private:
    struct Part {
        Oscillator low, high;
        bool sounding = false;
        double seconds = 0;
    };
    std::vector<Part> parts_; // the first is being sent
    double position_ = 0;
};

} // namespace offhook::media
