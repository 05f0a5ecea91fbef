// Makes a microphone beside a loudspeaker fit for a call: echo cancellation, noise suppression and gain
// control, or a voice switch that lets one side through at a time. One per call, on the device's side; runs
// in the call's ticks.
#pragma once

#include <memory>
#include <string_view>

#include "base/clock.hpp"
#include "media/codec.hpp"

namespace offhook::media {

enum class EchoMode : std::uint8_t {
    automatic,  // cancel on sound cards, if built in
    off,        //
    cancel,     // webrtc-audio-processing
    half_duplex // voice switch: works with any loudspeaker in any room
};
// "auto", "off", "cancel", "half-duplex". Errors: invalid_argument saying so.
Result<EchoMode> parse_echo_mode(std::string_view text);

class VoiceProcessor {
public:
    virtual ~VoiceProcessor() = default;
    // What goes to the loudspeaker next; may be made quieter. Then, for the same tick, what came from the
    // microphone. Both of 10, 20, 30 … ms at `rate`. `delay`: from the one to its echo in the other, without
    // the air.
    virtual void playing(Samples far, unsigned rate) = 0;
    virtual void captured(Samples near, unsigned rate, Duration delay) = 0;
};

struct VoiceOptions {
    EchoMode echo = EchoMode::automatic;
    bool noise_suppression = true, gain_control = true; // need webrtc-audio-processing
};
// Nothing when there is nothing to do (off; automatic on no sound card). Errors: not_supported (cancel, built
// without webrtc-audio-processing).
Result<std::unique_ptr<VoiceProcessor>> make_voice_processor(const VoiceOptions &options, bool sound_card);

// The parts. The canceller is nullptr when built without it; `name` says which library that is, or is empty.
std::unique_ptr<VoiceProcessor> make_echo_canceller(bool noise_suppression, bool gain_control);
std::string_view echo_canceller_name() noexcept;
std::unique_ptr<VoiceProcessor> make_voice_switch();

} // namespace offhook::media
