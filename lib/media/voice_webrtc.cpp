// webrtc-audio-processing behind VoiceProcessor: 0.3 of Debian 12 and 1.3 of Debian 13, whose interfaces
// differ.
#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <vector>

#include "media/saturate.hpp"
#include "media/voice.hpp"

#if defined(HAVE_WEBRTC_AUDIO_PROCESSING_1)
#include <modules/audio_processing/include/audio_processing.h>
#elif defined(HAVE_WEBRTC_AUDIO_PROCESSING)
#include <webrtc/common.h>
#include <webrtc/modules/audio_processing/include/audio_processing.h>

#include "base/shared_library.hpp"
#endif

namespace offhook::media {

#if defined(HAVE_WEBRTC_AUDIO_PROCESSING_1) || defined(HAVE_WEBRTC_AUDIO_PROCESSING)

namespace {

constexpr unsigned blocks_per_second = 100;
constexpr std::size_t longest_delay_blocks = 60;
constexpr std::int64_t early_ms = 10; // the echo must never come before its reference
constexpr unsigned move_ms = 40;
constexpr float scale = 32768.0F; // its floats are ±1

#if defined(HAVE_WEBRTC_AUDIO_PROCESSING_1)

using Processing = rtc::scoped_refptr<webrtc::AudioProcessing>;

Processing make_processing(bool noise, bool gain) {
    Processing made(webrtc::AudioProcessingBuilder().Create());
    if (!made) return made;
    webrtc::AudioProcessing::Config config;
    config.echo_canceller.enabled = true;
    config.high_pass_filter.enabled = true;
    config.noise_suppression.enabled = noise;
    config.noise_suppression.level = webrtc::AudioProcessing::Config::NoiseSuppression::kModerate;
    config.gain_controller1.enabled = gain;
    config.gain_controller1.mode = webrtc::AudioProcessing::Config::GainController1::kAdaptiveDigital;
    made->ApplyConfig(config);
    return made;
}

#else

using Processing = std::unique_ptr<webrtc::AudioProcessing>;
using Create = webrtc::AudioProcessing *(const webrtc::Config &);

// The one function of the library that is not virtual or in its headers. Loaded for the first call on a sound
// card.
Create *create() noexcept {
    static Create *const loaded = [] {
        Create *function = nullptr;
        SharedLibrary("libwebrtc_audio_processing.so.1")
            .bind(function, "_ZN6webrtc15AudioProcessing6CreateERKNS_6ConfigE");
        return function;
    }();
    return loaded;
}

Processing make_processing(bool noise, bool gain) {
    if (create() == nullptr) return {};
    webrtc::Config config; // takes over what it is given
    config.Set<webrtc::ExtendedFilter>(new webrtc::ExtendedFilter(true));
    config.Set<webrtc::DelayAgnostic>(new webrtc::DelayAgnostic(true)); // what the card says is a guess
    Processing made(create()(config));
    if (!made) return made;
    auto *echo = made->echo_cancellation();
    echo->enable_drift_compensation(false);
    echo->set_suppression_level(webrtc::EchoCancellation::kHighSuppression);
    echo->Enable(true);
    made->high_pass_filter()->Enable(true);
    made->noise_suppression()->set_level(webrtc::NoiseSuppression::kModerate);
    made->noise_suppression()->Enable(noise);
    made->gain_control()->set_mode(webrtc::GainControl::kAdaptiveDigital);
    made->gain_control()->Enable(gain);
    return made;
}

#endif

class EchoCanceller final : public VoiceProcessor {
public:
    explicit EchoCanceller(Processing processing) : processing_(std::move(processing)) {}

    void playing(Samples far, unsigned rate) override {
        if (rate != rate_) {
            rate_ = rate;
            reference_.clear();
            delay_.reset();
        }
        reference_.insert(reference_.end(), far.begin(), far.end());
        const std::size_t most = rate / blocks_per_second * longest_delay_blocks;
        if (reference_.size() > most)
            reference_.erase(reference_.begin(), reference_.end() - static_cast<std::ptrdiff_t>(most));
    }

    void captured(Samples near, unsigned rate, Duration delay) override {
        if (rate != rate_) return; // nothing was played: there is no echo
        align(delay);
        for (std::size_t at = 0; at + block(rate) <= near.size(); at += block(rate)) {
            listen_to_reference(near.size() - at);
            const Samples piece = near.subspan(at, block(rate));
            load(piece);
            float *out = out_.data();
            const float *in = in_.data();
            (void)processing_->set_stream_delay_ms(0);
            if (processing_->ProcessStream(&in, config(rate), config(rate), &out) != 0) continue;
            for (std::size_t i = 0; i < piece.size(); ++i)
                piece[i] = saturated(static_cast<double>(out_[i] * scale));
        }
    }

private:
    // The canceller finds an echo up to about 150 ms behind its reference. So the reference is what is being
    // played now, not what was handed to the card: kept back as long as the buffers keep it. Moved only when
    // the buffers have really changed, since each move has to be learnt anew.
    void align(Duration delay) {
        const auto wanted =
            static_cast<std::size_t>(std::max<std::int64_t>(delay.count() - early_ms, 0)) * rate_ / 1000;
        const std::size_t slack = rate_ * move_ms / 1000;
        if (!delay_ || (wanted > *delay_ ? wanted - *delay_ : *delay_ - wanted) > slack) delay_ = wanted;
    }
    // The block of the reference that belongs to the block `from_end` samples before the end of the tick.
    void listen_to_reference(std::size_t from_end) {
        const std::size_t back = *delay_ + from_end;
        std::vector<std::int16_t> piece(block(rate_), std::int16_t{0});
        if (back <= reference_.size())
            std::copy_n(reference_.end() - static_cast<std::ptrdiff_t>(back), piece.size(), piece.begin());
        load(piece);
        float *out = out_.data();
        const float *in = in_.data();
        (void)processing_->ProcessReverseStream(&in, config(rate_), config(rate_), &out);
    }
    static std::size_t block(unsigned rate) { return rate / blocks_per_second; }
    static webrtc::StreamConfig config(unsigned rate) { return {static_cast<int>(rate), 1}; }
    void load(ConstSamples piece) {
        in_.resize(piece.size());
        out_.resize(piece.size());
        std::ranges::transform(piece, in_.begin(),
                               [](std::int16_t s) { return static_cast<float>(s) / scale; });
    }

    Processing processing_;
    unsigned rate_ = 0;
    std::vector<std::int16_t> reference_; // what was played last, the newest at the end
    std::optional<std::size_t> delay_;    // samples
    std::vector<float> in_, out_;
};

} // namespace

std::unique_ptr<VoiceProcessor> make_echo_canceller(bool noise_suppression, bool gain_control) {
    auto processing = make_processing(noise_suppression, gain_control);
    if (!processing) return nullptr;
    return std::make_unique<EchoCanceller>(std::move(processing));
}

std::string_view echo_canceller_name() noexcept {
#if defined(HAVE_WEBRTC_AUDIO_PROCESSING_1)
    return "webrtc-audio-processing 1";
#else
    return "webrtc-audio-processing 0.3";
#endif
}

#else

std::unique_ptr<VoiceProcessor> make_echo_canceller(bool, bool) {
    return nullptr;
}

std::string_view echo_canceller_name() noexcept {
    return {};
}

#endif

} // namespace offhook::media
