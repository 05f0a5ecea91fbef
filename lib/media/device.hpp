// Where PCM comes from and goes to: sound cards, files, pipes, tones, nothing. Signed 16 bit mono.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "media/codec.hpp"

namespace offhook::media {

// Never blocks: what is not there yet is silence.
class Source {
public:
    virtual ~Source() = default;
    [[nodiscard]] virtual unsigned rate() const noexcept = 0;           // samples/s, 8000..48000
    virtual void read(Samples frame) = 0;                               // fills all of it
    [[nodiscard]] virtual bool ended() const noexcept { return false; } // file or pipe ran out (for good)
    // How old a sample is that read() gives now: for echo cancellation.
    [[nodiscard]] virtual Duration delay() { return Duration{0}; }
};

// Never blocks: what does not fit is dropped.
class Sink {
public:
    virtual ~Sink() = default;
    [[nodiscard]] virtual unsigned rate() const noexcept = 0;
    virtual void write(ConstSamples frame) = 0;
    // A write that failed for good (disk full): told once, the call goes on.
    [[nodiscard]] virtual const Error *failure() const noexcept { return nullptr; }
    // How long until a sample that write() takes now is heard.
    [[nodiscard]] virtual Duration delay() { return Duration{0}; }
};

class DeviceWatch;

struct Device { // both directions; either may be absent
    std::unique_ptr<Source> source;
    std::unique_ptr<Sink> sink;
    std::string name;                   // "none", "alsa:default", …
    std::shared_ptr<DeviceWatch> watch; // of a device that may vanish (device_watch.hpp)
};

// --audio: "auto", "none", "alsa:NAME", "file:IN,OUT" (either may be empty), "pipe" (stdin/stdout, raw s16le
// of `pipe_format` "s16le,16000"). auto without a usable card gives none and sets `warning`.
// Errors: Errc::device (cannot open), Errc::invalid_argument.
Result<Device> open_device(std::string_view spec, std::string_view pipe_format, std::string &warning);

// WAV, FLAC, Ogg … of any rate and channel count (mixed down), by libsndfile. Errors: Errc::device
// ("prompt.wav: not an audio file I can read"). `loop`: again and again; Errc::invalid_argument for a pipe.
Result<std::unique_ptr<Source>> open_file_source(const std::string &path, bool loop = false);
// stdin as WAV (by its header) or raw in `format`.
Result<std::unique_ptr<Source>> open_stdin_source(std::string_view format);
std::unique_ptr<Source> make_tone_source(double hz, double hz2 = 0,
                                         double level_dbfs = -12); // endless, 48 kHz
// Converts to another rate (speexdsp) behind the same interface.
std::unique_ptr<Source> resampled(std::unique_ptr<Source> source, unsigned rate);
std::unique_ptr<Sink> resampled_sink(std::unique_ptr<Sink> sink, unsigned rate);

// Stereo recording: left what we sent, right what we received (RFC-less but fixed by cli.md).
class Recorder {
public:
    virtual ~Recorder() = default;
    virtual void write(ConstSamples sent,
                       ConstSamples received) = 0; // same length, at the rate given to open
    [[nodiscard]] virtual const Error *failure() const noexcept = 0;
    [[nodiscard]] virtual const std::string &path() const noexcept = 0;
};
// Format by suffix (.wav, .flac, .ogg/.opus); "-" is WAV on stdout. The file is readable at any moment
// (header rewritten every second) and closed properly by the destructor.
Result<std::unique_ptr<Recorder>> open_recorder(const std::string &path, unsigned rate);

struct DeviceInfo {
    std::string name;        // what --audio takes: "alsa:hw:CARD=Device,DEV=0"
    std::string description; // of the card
    bool capture = false, playback = false;
};
std::vector<DeviceInfo> list_devices(); // empty, without noise on stderr, where there is no card

} // namespace offhook::media
