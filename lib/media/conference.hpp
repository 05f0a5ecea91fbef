// Conference: the sound of several parties mixed by us. Everybody gives what they say, frame by frame at
// their own rate, and takes what all others said; nobody hears themselves. Each party keeps its own pace:
// short queues between every two even out the phases. Saturating; no clock, no I/O.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "media/codec.hpp"
#include "media/resample.hpp"

namespace offhook::media {

class Conference {
public:
    using Member = std::uint32_t;

    Member join();
    void leave(Member member);
    [[nodiscard]] std::size_t size() const noexcept { return members_.size(); }

    // `frame` of what `from` said, at `rate`.
    void give(Member from, ConstSamples frame, unsigned rate);
    // Adds to `frame` what everybody but `reader` has said since the last time, at `rate`. What is late is
    // silence, what is older than 80 ms is dropped.
    void add_to(Member reader, Samples frame, unsigned rate);

private:
    struct Queue { // of one speaker to one reader, at the reader's rate
        std::unique_ptr<Resampler> resampler;
        std::vector<std::int16_t> samples;
        bool flowing = false; // enough has gathered to begin

        void put(ConstSamples frame, unsigned from, unsigned to);
        void add_to(Samples frame, unsigned rate);
    };

    Member next_ = 1;
    std::map<Member, unsigned> members_;                // with the rate each reads at; 0: not known yet
    std::map<std::pair<Member, Member>, Queue> queues_; // speaker, reader
};

} // namespace offhook::media
