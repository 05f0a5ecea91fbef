// CallAudio: one call's sound. Every ptime, by the monotonic clock, it takes a frame from the device, a file
// or a tone, gives it to the leg, takes a frame from the leg and gives it to the device, the recorder and the
// detectors. One timer, no thread; ALSA's threads sit behind Source and Sink.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/loop.hpp"
#include "media/conference.hpp"
#include "media/detect.hpp"
#include "media/device.hpp"
#include "media/leg.hpp"
#include "media/voice.hpp"

namespace offhook::media {

class CallAudio {
public:
    struct Events {                       // all optional
        std::function<void()> play_ended; // the file of play() ran out
        std::function<void(const Error &)> record_failed;
        std::function<void()> source_ended;          // device source (pipe, file) ran out
        std::function<void(const DtmfEvent &)> dtmf; // heard in band, while listened for
    };
    // Both must outlive this object. The device belongs to the phone and may serve one call at a time.
    CallAudio(Loop &loop, MediaLeg &leg, Device *device, Events events);
    ~CallAudio();
    CallAudio(const CallAudio &) = delete;
    CallAudio &operator=(const CallAudio &) = delete;

    // The same sound over another leg: whoever is played, recorded or watched for goes on.
    void attach(MediaLeg &leg, Events events);
    void set_device(Device *device); // another one, or none
    // Mixed with others: what the peer says is given to the room, and the peer hears the room instead of the
    // microphone, which (where there is a device) is in the room too. nullptr: leaves it.
    void join(std::shared_ptr<Conference> room);

    void start(); // begins ticking; a late tick catches up at most 5 frames, then re-syncs
    void stop();

    // Replaces the microphone until it ends; play_ended tells.
    void play(std::unique_ptr<Source> source);
    void stop_play();
    [[nodiscard]] bool playing() const;
    // For the microphone of the device: echo, noise and level. None: as it comes.
    void set_voice(std::unique_ptr<VoiceProcessor> voice);
    void set_mute(bool mute); // the microphone and played files are sent as silence
    [[nodiscard]] bool muted() const;
    void set_echo(bool echo); // what arrives goes back (answer --echo)
    Result<> record(const std::string &path);
    void stop_record();
    [[nodiscard]] bool recording() const;
    void send_dtmf_inband(std::string_view digits);
    [[nodiscard]] bool dtmf_inband_busy() const;
    // Errors: not_supported (built without spandsp); only when switched on.
    Result<> listen_for_dtmf(bool on);

    // Local tones for the person at the device, while nothing arrives (ringback, busy).
    enum class LocalTone : std::uint8_t { none, ringback, busy, ring };
    void set_local_tone(LocalTone tone);

    [[nodiscard]] double sent_dbfs() const; // last frame
    [[nodiscard]] double received_dbfs() const;
    [[nodiscard]] const SilenceDetector &silence() const; // of what arrives
    // Told once when the tone has been heard. Replaces the last watch.
    void watch_tone(std::vector<double> hz, std::function<void()> heard);

private:
    struct Self;
    std::unique_ptr<Self> self_;
};

} // namespace offhook::media
