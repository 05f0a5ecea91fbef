#include "media/voice.hpp"

#include <algorithm>
#include <cmath>

#include "media/detect.hpp"
#include "media/pcm.hpp"

namespace offhook::media {

namespace {

// Half-duplex: the side that speaks has the line until it has been quiet for a moment. The other one is
// turned down by 46 dB, so that no echo of it comes back, however loud the loudspeaker.
class VoiceSwitch final : public VoiceProcessor {
public:
    void playing(Samples far, unsigned rate) override {
        far_.push(far, rate);
        decide(1000.0 * static_cast<double>(far.size()) / rate);
        fade(far, rate, far_gain_, turn_ == Turn::near ? quiet : 1);
    }
    void captured(Samples near, unsigned rate, Duration) override {
        // While the far side is heard, so is its echo: the near one may take the line only in its pauses.
        if (turn_ != Turn::far) near_.push(near, rate);
        fade(near, rate, near_gain_, turn_ == Turn::far ? quiet : 1);
    }

private:
    static constexpr double quiet = 0.005, speech_dbfs = -42;
    static constexpr double echo_tail_ms = 350; // buffers of a card, the air and the walls of a room
    static constexpr double near_hold_ms = 250;
    static constexpr double fade_ms = 5;
    enum class Turn : std::uint8_t { none, far, near };

    struct Side {
        double since_voice_ms = 1e9;
        void push(ConstSamples frame, unsigned rate) {
            const double ms = 1000.0 * static_cast<double>(frame.size()) / rate;
            since_voice_ms = level_dbfs(frame) > speech_dbfs ? 0 : since_voice_ms + ms;
        }
    };

    void decide(double ms) {
        if (turn_ == Turn::far) near_.since_voice_ms += ms; // not listened to
        if (turn_ == Turn::far && far_.since_voice_ms < echo_tail_ms) return;
        if (turn_ == Turn::near && near_.since_voice_ms < near_hold_ms) return;
        turn_ = far_.since_voice_ms == 0              ? Turn::far
                : near_.since_voice_ms < near_hold_ms ? Turn::near
                                                      : Turn::none;
    }
    static void fade(Samples frame, unsigned rate, double &gain, double wanted) {
        const double step = 1000.0 / (fade_ms * rate);
        for (auto &sample : frame) {
            gain += std::clamp(wanted - gain, -step, step);
            sample = static_cast<std::int16_t>(std::lrint(sample * gain));
        }
    }

    Side far_, near_;
    Turn turn_ = Turn::none;
    double far_gain_ = 1, near_gain_ = 1;
};

} // namespace

Result<EchoMode> parse_echo_mode(std::string_view text) {
    if (text == "auto") return EchoMode::automatic;
    if (text == "off") return EchoMode::off;
    if (text == "cancel") return EchoMode::cancel;
    if (text == "half-duplex") return EchoMode::half_duplex;
    return fail(Errc::invalid_argument,
                "\"" + std::string(text) + "\": auto, off, cancel or half-duplex expected");
}

std::unique_ptr<VoiceProcessor> make_voice_switch() {
    return std::make_unique<VoiceSwitch>();
}

Result<std::unique_ptr<VoiceProcessor>> make_voice_processor(const VoiceOptions &options, bool sound_card) {
    if (options.echo == EchoMode::half_duplex) return make_voice_switch();
    if (options.echo == EchoMode::off || (options.echo == EchoMode::automatic && !sound_card))
        return std::unique_ptr<VoiceProcessor>();
    auto canceller = make_echo_canceller(options.noise_suppression, options.gain_control);
    if (!canceller && options.echo == EchoMode::cancel)
        return fail(Errc::not_supported,
                    "echo cancellation is not built in (it needs webrtc-audio-processing); "
                    "half-duplex always works");
    return canceller;
}

} // namespace offhook::media
