#include "media/dtmf_detector.hpp"

#ifdef HAVE_SPANDSP
#include "base/shared_library.hpp"

// librem exports functions of the same names (goertzel_init …): its headers cannot be included beside these,
// and the program must not be linked with it; -Wl,--as-needed keeps it out while nothing of it is used.
// clang-format off
#include <spandsp/telephony.h> // first: the others need what it and those before them define
#include <spandsp/complex.h>
#include <spandsp/logging.h>
#include <spandsp/queue.h>
#include <spandsp/tone_generate.h>
#include <spandsp/tone_detect.h>
#include <spandsp/super_tone_rx.h>
#include <spandsp/dtmf.h>
// clang-format on
#endif

namespace offhook::media {

namespace {

constexpr unsigned detector_rate = 8000;
constexpr std::uint64_t shortest_gap = 20 * detector_rate / 1000;

} // namespace

#ifdef HAVE_SPANDSP

namespace {

// Q.24: digits of -29 to 0 dBm; twist as most administrations have it. spandsp's own default of -42 dBm0
// hears what is left of an echo.
constexpr int twist_db = 8, reverse_twist_db = 4, quietest_dbm0 = -36;

dtmf_rx_state_t *receiver(void *state) noexcept {
    return static_cast<dtmf_rx_state_t *>(state);
}

// Loaded for the first call that listens, like the codec (g722.cpp).
struct Spandsp {
    decltype(&dtmf_rx_init) init = nullptr;
    decltype(&dtmf_rx_free) free = nullptr;
    decltype(&dtmf_rx_parms) parms = nullptr;
    decltype(&dtmf_rx_set_realtime_callback) set_callback = nullptr;
    decltype(&dtmf_rx) rx = nullptr;
    bool complete = false;
};

const Spandsp &spandsp() noexcept {
    static const Spandsp loaded = [] {
        Spandsp library;
        SharedLibrary shared("libspandsp.so.2");
        shared.bind(library.init, "dtmf_rx_init");
        shared.bind(library.free, "dtmf_rx_free");
        shared.bind(library.parms, "dtmf_rx_parms");
        shared.bind(library.set_callback, "dtmf_rx_set_realtime_callback");
        shared.bind(library.rx, "dtmf_rx");
        library.complete = shared.complete();
        return library;
    }();
    return loaded;
}

} // namespace

void DtmfDetector::Release::operator()(void *state) const noexcept {
    spandsp().free(receiver(state));
}

Result<std::unique_ptr<DtmfDetector>> DtmfDetector::make() {
    std::unique_ptr<DtmfDetector> detector(new DtmfDetector);
    if (!spandsp().complete) return fail(Errc::not_supported, "hearing DTMF in band needs libspandsp2");
    detector->state_.reset(spandsp().init(nullptr, nullptr, nullptr));
    if (!detector->state_) return fail(Errc::internal, "cannot start the detector of in-band DTMF");
    spandsp().parms(receiver(detector->state_.get()), 0, twist_db, reverse_twist_db, quietest_dbm0);
    spandsp().set_callback(
        receiver(detector->state_.get()),
        [](void *self, int code, int, int) {
            static_cast<DtmfDetector *>(self)->changed(static_cast<char>(code));
        },
        detector.get());
    return detector;
}

std::vector<DtmfEvent> DtmfDetector::push(ConstSamples frame, unsigned rate) {
    if (rate != detector_rate) {
        if (!resampler_ || resampler_->from() != rate) resampler_.emplace(rate, detector_rate);
        narrow_.resize(frame.size() * detector_rate / rate + 16);
        frame = ConstSamples(narrow_).first(resampler_->process(frame, narrow_).produced);
    }
    // In pieces, so that the time of a change is known to within 10 ms.
    constexpr std::size_t piece = 80;
    while (!frame.empty()) {
        const auto now = frame.first(std::min(piece, frame.size()));
        (void)spandsp().rx(receiver(state_.get()), now.data(), static_cast<int>(now.size()));
        samples_ += now.size();
        frame = frame.subspan(now.size());
        if (digit_ != '\0' && !sounding_ && samples_ - ended_ >= shortest_gap) finish();
    }
    return std::exchange(events_, {});
}

#else

void DtmfDetector::Release::operator()(void *) const noexcept {}

Result<std::unique_ptr<DtmfDetector>> DtmfDetector::make() {
    return fail(Errc::not_supported, "hearing DTMF in band is not built in (it needs spandsp)");
}

std::vector<DtmfEvent> DtmfDetector::push(ConstSamples, unsigned) {
    return {};
}

#endif

DtmfDetector::~DtmfDetector() = default;

void DtmfDetector::finish() {
    const auto ms = static_cast<std::int64_t>((ended_ - began_) * 1000 / detector_rate);
    events_.push_back({DtmfEvent::Kind::up, std::exchange(digit_, '\0'), Duration{ms}});
}

void DtmfDetector::changed(char digit) {
    if (sounding_) ended_ = samples_;
    sounding_ = digit != '\0';
    if (!sounding_ || digit == digit_) return; // it goes on behind an interruption (Q.24: 10 ms and less)
    if (digit_ != '\0') finish();
    digit_ = digit;
    began_ = samples_;
    events_.push_back({DtmfEvent::Kind::down, digit});
}

} // namespace offhook::media
