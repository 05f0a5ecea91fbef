// Hears DTMF in the sound itself (ITU-T Q.23, Q.24), by spandsp: for peers without telephone-events.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "media/codec.hpp"
#include "media/dtmf.hpp"
#include "media/resample.hpp"

namespace offhook::media {

class DtmfDetector {
public:
    // Errors: not_supported when built without spandsp.
    static Result<std::unique_ptr<DtmfDetector>> make();
    ~DtmfDetector();
    DtmfDetector(const DtmfDetector &) = delete;
    DtmfDetector &operator=(const DtmfDetector &) = delete;

    // Sound as it comes, at `rate` samples/s (it may change). A digit gives one down and one up; tones
    // shorter than about 30 ms are none (Q.24: 23 ms must be refused, 40 ms accepted).
    std::vector<DtmfEvent> push(ConstSamples frame, unsigned rate);

private:
    struct Release {
        void operator()(void *state) const noexcept;
    };
    DtmfDetector() = default;
    void changed(char digit); // '\0': none sounds any more
    void finish();            // the digit that sounded last is over

    std::unique_ptr<void, Release> state_;
    std::optional<Resampler> resampler_;
    std::vector<std::int16_t> narrow_; // at 8 kHz
    std::vector<DtmfEvent> events_;
    std::uint64_t samples_ = 0, began_ = 0, ended_ = 0; // at 8 kHz
    char digit_ = '\0';                                 // told as down, not yet as up
    bool sounding_ = false;
};

} // namespace offhook::media
