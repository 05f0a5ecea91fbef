// PCM through standard input and output: raw s16le, or WAV by its header. Without a watch on the descriptor:
// each read() takes what is there, so nothing wakes the loop but the call's own tick.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.hpp"
#include "media/device.hpp"

namespace offhook::media {

// "s16le,16000" → 16000. Errors: invalid_argument naming the format and what was expected.
Result<unsigned> parse_pipe_format(std::string_view format);

// What a WAV header says; pure.
struct WavFormat {
    unsigned rate = 0, channels = 0, bits = 0;
    bool floating = false;
};

// Reads a WAV header that arrives in pieces.
class WavHeaderParser {
public:
    enum class State : std::uint8_t { more, data, raw, broken };
    // Takes bytes off the front of `bytes` while it is in the header. raw: it does not begin with RIFF, and
    // nothing was taken. Chunks before the data are skipped, whatever their size.
    State parse(std::vector<std::uint8_t> &bytes);
    [[nodiscard]] const WavFormat &format() const noexcept { return format_; }

private:
    State chunk(std::vector<std::uint8_t> &bytes);
    bool read_format(const std::uint8_t *body);

    WavFormat format_;
    std::uint64_t skip_ = 0;
    bool riff_seen_ = false;
};

// Holds at most one second; does not read on while it is full, so that a fast writer is paced. A writer at
// the pace of sound comes in pieces: once they were late, some are kept in hand before they are played, more
// each time, up to half a second. A pause of a second or more is meant.
class PipeSource final : public Source {
public:
    PipeSource(Fd fd, unsigned raw_rate, bool detect_wav);
    [[nodiscard]] unsigned rate() const noexcept override { return rate_; } // changes when a WAV header comes
    void read(Samples frame) override;
    [[nodiscard]] bool ended() const noexcept override {
        return at_end_ && bytes_.size() - at_ < frame_bytes();
    }

private:
    void fill(std::size_t wanted);
    void take_header();
    [[nodiscard]] bool waits(std::size_t samples) noexcept;
    [[nodiscard]] std::size_t frame_bytes() const noexcept {
        return std::size_t{format_.channels} * (format_.bits / 8U);
    }
    [[nodiscard]] std::int16_t next_sample() noexcept;
    [[nodiscard]] double value(std::size_t at) const noexcept;

    Fd fd_;
    unsigned rate_;
    bool in_header_, at_end_ = false, played_ = false, dry_ = false;
    unsigned cushion_ms_ = 0;
    std::size_t dry_for_ = 0, waited_ = 0; // samples: without anything, then with too little
    WavHeaderParser header_;
    WavFormat format_;
    std::vector<std::uint8_t> bytes_;
    std::size_t at_ = 0;
};

// Writes without blocking: whole pieces that do not fit are dropped. A closed reader is a failure.
class PipeWriter {
public:
    explicit PipeWriter(Fd fd);
    void write(ConstSamples samples, std::string_view name);
    void write_bytes(const void *data, std::size_t size, std::string_view name);
    [[nodiscard]] const Error *failure() const noexcept { return failure_ ? failure_.get() : nullptr; }
    [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_; } // bytes

private:
    Fd fd_;
    bool socket_ = false;
    std::unique_ptr<Error> failure_;
    std::uint64_t dropped_ = 0;
};

class PipeSink final : public Sink {
public:
    PipeSink(Fd fd, unsigned rate) : writer_(std::move(fd)), rate_(rate) {}
    [[nodiscard]] unsigned rate() const noexcept override { return rate_; }
    void write(ConstSamples frame) override { writer_.write(frame, "stdout"); }
    [[nodiscard]] const Error *failure() const noexcept override { return writer_.failure(); }

private:
    PipeWriter writer_;
    unsigned rate_;
};

// WAV of unknown length on a pipe: sizes are the largest possible, as ffmpeg and sox read and write it.
class StreamRecorder final : public Recorder {
public:
    StreamRecorder(Fd fd, unsigned rate);
    void write(ConstSamples sent, ConstSamples received) override;
    [[nodiscard]] const Error *failure() const noexcept override { return writer_.failure(); }
    [[nodiscard]] const std::string &path() const noexcept override { return path_; }

private:
    std::string path_ = "-";
    PipeWriter writer_;
    std::vector<std::int16_t> stereo_;
};

std::array<std::uint8_t, 44> streaming_wav_header(unsigned rate, unsigned channels) noexcept;

} // namespace offhook::media
