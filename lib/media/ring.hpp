// Samples between an audio thread and the loop: bounded, never waits for long, drops the oldest.
#pragma once

#include <algorithm>
#include <mutex>
#include <vector>

#include "media/pcm.hpp"

namespace offhook::media {

class SampleRing {
public:
    // Keeps at most `limit` samples; when there are more, drops to `resume` so that delay does not stay.
    void set_limits(std::size_t limit, std::size_t resume) {
        const std::lock_guard lock(mutex_);
        data_.assign(limit, 0);
        resume_ = std::min(resume, limit);
        count_ = at_ = 0;
    }
    void push(ConstSamples frame) {
        const std::lock_guard lock(mutex_);
        if (data_.empty()) return;
        for (const std::int16_t sample : frame) {
            if (count_ == data_.size()) {
                at_ = (at_ + count_ - resume_) % data_.size();
                count_ = resume_;
            }
            data_[(at_ + count_++) % data_.size()] = sample;
        }
    }
    // Takes what is there; the rest of `frame` is silence. Returns what was there.
    std::size_t pull(Samples frame) {
        const std::lock_guard lock(mutex_);
        const std::size_t count = std::min(frame.size(), count_);
        for (std::size_t i = 0; i < count; ++i)
            frame[i] = data_[(at_ + i) % data_.size()];
        if (!data_.empty()) at_ = (at_ + count) % data_.size();
        count_ -= count;
        silence(frame.subspan(count));
        return count;
    }

private:
    std::mutex mutex_;
    std::vector<std::int16_t> data_;
    std::size_t resume_ = 0, at_ = 0, count_ = 0;
};

} // namespace offhook::media
