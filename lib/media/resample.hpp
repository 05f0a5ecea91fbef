// Changing the sample rate (speexdsp), without allocation per frame; equal rates pass through untouched.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "media/device.hpp"

namespace offhook::media {

class Resampler {
public:
    Resampler(unsigned from, unsigned to);
    struct Progress {
        std::size_t consumed, produced;
    };
    // Turns as much of `in` into as much of `out` as possible. The filter's delay is taken off the start.
    Progress process(ConstSamples in, Samples out) noexcept;
    [[nodiscard]] unsigned from() const noexcept { return from_; }
    [[nodiscard]] unsigned to() const noexcept { return to_; }
    [[nodiscard]] std::size_t delay() const noexcept; // samples at `to` still inside when the input ends

private:
    struct Free {
        void operator()(void *state) const noexcept;
    };
    unsigned from_, to_;
    std::unique_ptr<void, Free> state_; // none: equal rates
};

// Reads a Source at whatever rate it has (it may change) and gives another rate.
class SourceConverter {
public:
    void read(Source &source, Samples out, unsigned rate);
    // The source has ended and nothing of it is left in here.
    [[nodiscard]] bool drained(const Source &source) const noexcept;
    void reset() noexcept; // for another source

private:
    bool refill(Source &source);

    std::unique_ptr<Resampler> resampler_;
    std::vector<std::int16_t> input_;
    std::size_t at_ = 0;   // of input_
    std::size_t tail_ = 0; // samples of silence still to push through after the end
    bool tail_known_ = false;
};

// Writes frames of one rate into a Sink of another.
class SinkConverter {
public:
    void write(Sink &sink, ConstSamples frame, unsigned rate);

private:
    std::unique_ptr<Resampler> resampler_;
    std::vector<std::int16_t> output_;
};

} // namespace offhook::media
