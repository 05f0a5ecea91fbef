// A queue of samples whose writer and reader run by different clocks (a sound card and the loop). Pure.
//
// The fill level, averaged over a second, is held where it was when reading began (about `target`) by
// resampling: 0.5 % faster or slower, which nobody hears, or 3 % after a stall. Cards are off by 100 ppm and
// more; without this something would be cut or missing every few minutes.
#pragma once

#include <cstdint>
#include <vector>

#include "base/clock.hpp"
#include "media/codec.hpp"

namespace offhook::media {

class DriftReader {
public:
    static constexpr Duration target{50}, limit{200}; // more than that is cut back to the target
    struct Counters {
        std::uint64_t starved = 0, cut = 0; // times that samples were missing, or dropped
    };

    explicit DriftReader(unsigned rate);
    void push(ConstSamples frame);
    bool pull(Samples frame); // see SampleRing
    [[nodiscard]] Duration level() const noexcept;
    [[nodiscard]] const Counters &counters() const noexcept { return counters_; }
    [[nodiscard]] double speed() const noexcept { return speed_; } // samples taken for one given

private:
    [[nodiscard]] std::size_t count() const noexcept { return samples_.size() - at_; }
    [[nodiscard]] double interpolate() const noexcept;
    void steer(std::size_t wanted) noexcept;

    unsigned rate_;
    std::vector<std::int16_t> samples_; // the ones before at_ are used up but for the filter's memory
    std::size_t at_ = 0;
    double fraction_ = 0;                       // between samples_[at_] and the next
    double speed_ = 1, average_ = 0, goal_ = 0; // levels, in samples; the goal is that at the start
    bool running_ = false;                      // false: filling up to the target
    bool correcting_ = false;
    Counters counters_;
};

} // namespace offhook::media
