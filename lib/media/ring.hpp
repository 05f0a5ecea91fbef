// Samples between an audio thread and the loop: bounded, never waits for long. The two run by different
// clocks; what that adds up to is taken out by reading a little faster or slower, never by a click.
#pragma once

#include <mutex>

#include "media/drift.hpp"

namespace offhook::media {

class SampleRing {
public:
    void set_rate(unsigned rate) {
        const std::lock_guard lock(mutex_);
        reader_ = DriftReader(rate);
    }
    void push(ConstSamples frame) {
        const std::lock_guard lock(mutex_);
        reader_.push(frame);
    }
    // Fills all of `frame`; what is missing is silence. False when nothing of it was there.
    bool pull(Samples frame) {
        const std::lock_guard lock(mutex_);
        return reader_.pull(frame);
    }
    [[nodiscard]] Duration level() {
        const std::lock_guard lock(mutex_);
        return reader_.level();
    }

private:
    std::mutex mutex_;
    DriftReader reader_{8000};
};

} // namespace offhook::media
