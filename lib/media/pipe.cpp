#include "media/pipe.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstring>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "media/pcm.hpp"

namespace offhook::media {

namespace {

constexpr unsigned shortest_cushion_ms = 60, longest_cushion_ms = 500;
constexpr unsigned min_rate = 8000, max_rate = 192000, max_channels = 32;

std::uint32_t little(const std::uint8_t *p, unsigned bytes) noexcept {
    std::uint32_t value = 0;
    for (unsigned i = bytes; i-- > 0;)
        value = value << 8 | p[i];
    return value;
}

void drop_front(std::vector<std::uint8_t> &bytes, std::size_t count) {
    bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
}

bool ready(int fd, short events) noexcept {
    pollfd p{fd, events, 0};
    return ::poll(&p, 1, 0) == 1;
}

} // namespace

Result<unsigned> parse_pipe_format(std::string_view format) {
    constexpr std::string_view prefix = "s16le,";
    unsigned rate = 0;
    if (format.starts_with(prefix)) {
        const char *end = format.data() + format.size();
        const auto parsed = std::from_chars(format.data() + prefix.size(), end, rate);
        if (parsed.ec == std::errc{} && parsed.ptr == end && rate >= min_rate && rate <= max_rate)
            return rate;
    }
    return fail(Errc::invalid_argument,
                "'" + std::string(format) +
                    "' is not a sample format: s16le,RATE with RATE from 8000 to 192000 "
                    "expected (s16le,16000)");
}

WavHeaderParser::State WavHeaderParser::parse(std::vector<std::uint8_t> &bytes) {
    if (!riff_seen_) {
        constexpr std::string_view riff = "RIFF";
        const std::size_t count = std::min(bytes.size(), riff.size());
        const bool fits =
            std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count), riff.begin());
        if (fits && bytes.size() < 12) return State::more;
        if (!fits || std::memcmp(bytes.data() + 8, "WAVE", 4) != 0) return State::raw;
        riff_seen_ = true;
        drop_front(bytes, 12);
    }
    State state = State::more;
    do {
        const std::size_t skipped = std::min<std::size_t>(bytes.size(), skip_);
        drop_front(bytes, skipped);
        skip_ -= skipped;
        if (skip_ > 0) return State::more;
        const std::size_t before = bytes.size();
        state = chunk(bytes);
        if (state == State::more && bytes.size() == before) return state;
    } while (state == State::more);
    return state;
}

WavHeaderParser::State WavHeaderParser::chunk(std::vector<std::uint8_t> &bytes) {
    if (bytes.size() < 8) return State::more;
    const std::uint32_t size = little(bytes.data() + 4, 4);
    if (std::memcmp(bytes.data(), "data", 4) == 0) {
        drop_front(bytes, 8);
        return format_.rate != 0 ? State::data : State::broken;
    }
    if (std::memcmp(bytes.data(), "fmt ", 4) == 0) {
        constexpr std::uint32_t shortest = 16, longest = 256; // of the body, RFC 2361 and EXTENSIBLE
        if (size < shortest || size > longest) return State::broken;
        if (bytes.size() < 8 + size) return State::more;
        if (!read_format(bytes.data() + 8)) return State::broken;
    }
    drop_front(bytes, 8);
    skip_ = std::uint64_t{size} + size % 2; // chunks are padded to even sizes
    return State::more;
}

bool WavHeaderParser::read_format(const std::uint8_t *body) {
    constexpr std::uint32_t pcm = 1, ieee_float = 3, extensible = 0xfffe;
    std::uint32_t tag = little(body, 2);
    format_ = {little(body + 4, 4), little(body + 2, 2), little(body + 14, 2), tag == ieee_float};
    if (tag == extensible) tag = pcm; // sub-formats other than PCM are not written to pipes by anyone
    const bool bits = format_.floating ? format_.bits == 32
                                       : format_.bits == 8 || format_.bits == 16 || format_.bits == 24 ||
                                             format_.bits == 32;
    return (tag == pcm || tag == ieee_float) && bits && format_.channels >= 1 &&
           format_.channels <= max_channels && format_.rate >= 1000 && format_.rate <= max_rate;
}

PipeSource::PipeSource(Fd fd, unsigned raw_rate, bool detect_wav)
    : fd_(std::move(fd)), rate_(raw_rate), in_header_(detect_wav), format_{raw_rate, 1, 16, false} {}

// One read(2) at most per piece that poll(2) announced: never blocks, and needs no O_NONBLOCK, which would
// change the descriptor for the shell and every other process that shares it.
void PipeSource::fill(std::size_t wanted) {
    const std::size_t limit = std::size_t{rate_} * frame_bytes();
    std::array<std::uint8_t, 16384> piece{};
    while (!at_end_ && bytes_.size() - at_ < std::min(wanted, limit) && ready(fd_.get(), POLLIN)) {
        const std::size_t room =
            std::min(piece.size(), std::max<std::size_t>(limit - (bytes_.size() - at_), 1));
        const ssize_t got = ::read(fd_.get(), piece.data(), room);
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
        if (got <= 0) {
            at_end_ = true;
            return;
        }
        bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(at_));
        at_ = 0;
        bytes_.insert(bytes_.end(), piece.begin(), piece.begin() + got);
    }
}

void PipeSource::take_header() {
    if (bytes_.empty()) return;
    using State = WavHeaderParser::State;
    switch (header_.parse(bytes_)) {
    case State::more:
        if (at_end_) bytes_.clear();
        return;
    case State::broken:
        bytes_.clear();
        at_end_ = true;
        break;
    case State::data:
        format_ = header_.format();
        rate_ = format_.rate;
        break;
    case State::raw:
        break;
    }
    in_header_ = false;
}

double PipeSource::value(std::size_t at) const noexcept {
    const std::uint8_t *p = bytes_.data() + at;
    switch (format_.bits) {
    case 8:
        return (*p - 128) / 128.0;
    case 16:
        return static_cast<std::int16_t>(little(p, 2)) / full_scale;
    case 24:
        return static_cast<std::int32_t>(little(p, 3) << 8) / 2147483648.0;
    default: {
        const std::uint32_t word = little(p, 4);
        float f = 0;
        std::memcpy(&f, &word, sizeof f);
        if (format_.floating) return f == f ? f : 0.0;
        return static_cast<std::int32_t>(word) / 2147483648.0;
    }
    }
}

std::int16_t PipeSource::next_sample() noexcept {
    double sum = 0;
    const std::size_t width = format_.bits / 8;
    for (unsigned i = 0; i < format_.channels; ++i, at_ += width)
        sum += value(at_);
    return to_sample(sum / format_.channels);
}

// True while it is better to be silent than to play the little that is there.
bool PipeSource::waits(std::size_t samples) noexcept {
    if (!dry_) return false;
    const std::size_t held = (bytes_.size() - at_) / frame_bytes();
    if (held == 0 && !at_end_) {
        dry_for_ += samples;
        return true;
    }
    if (waited_ == 0 && dry_for_ < rate_)
        cushion_ms_ = std::clamp(2 * cushion_ms_, shortest_cushion_ms, longest_cushion_ms);
    const std::size_t wanted = std::size_t{rate_} / 1000 * cushion_ms_;
    waited_ += samples;
    dry_ = !at_end_ && held < wanted && waited_ <= wanted;
    return dry_;
}

void PipeSource::read(Samples frame) {
    const unsigned rate_before = rate_;
    if (in_header_) {
        fill(SIZE_MAX);
        take_header();
    }
    // A header that changed the rate is no sound yet: the caller asks again at the new rate.
    if (in_header_ || rate_ != rate_before) return silence(frame);
    // One more, to know about the end together with the last sample.
    const std::size_t cushion = dry_ ? std::size_t{rate_} / 1000 * longest_cushion_ms : 0;
    fill(std::max(frame.size() + 1, cushion) * frame_bytes());
    if (waits(frame.size())) return silence(frame);
    std::size_t done = 0;
    while (done < frame.size() && bytes_.size() - at_ >= frame_bytes())
        frame[done++] = next_sample();
    played_ |= done > 0;
    silence(frame.subspan(done));
    if (done == frame.size() || at_end_ || (done == 0 && !played_)) return;
    dry_ = true;
    dry_for_ = waited_ = 0;
}

PipeWriter::PipeWriter(Fd fd) : fd_(std::move(fd)) {
    struct stat status {};
    socket_ = ::fstat(fd_.get(), &status) == 0 && S_ISSOCK(status.st_mode);
}

void PipeWriter::write(ConstSamples samples, std::string_view name) {
    write_bytes(samples.data(), samples.size_bytes(),
                name); // every platform of Debian's is little-endian here
}

// A pipe that poll(2) calls writable takes PIPE_BUF bytes at once (pipe(7)), a smaller piece never blocks.
void PipeWriter::write_bytes(const void *data, std::size_t size, std::string_view name) {
    const auto *at = static_cast<const std::uint8_t *>(data);
    while (size > 0 && !failure_) {
        const std::size_t piece = std::min<std::size_t>(size, PIPE_BUF);
        if (!ready(fd_.get(), POLLOUT)) {
            dropped_ += size;
            return;
        }
        const ssize_t put = socket_ ? ::send(fd_.get(), at, piece, MSG_DONTWAIT | MSG_NOSIGNAL)
                                    : ::write(fd_.get(), at, piece);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0 && errno == EAGAIN) {
            dropped_ += size;
            return;
        }
        if (put < 0) {
            failure_ = std::make_unique<Error>(
                Error{Errc::device, std::string(name) + ": " + std::generic_category().message(errno)});
            return;
        }
        at += put;
        size -= static_cast<std::size_t>(put);
    }
}

std::array<std::uint8_t, 44> streaming_wav_header(unsigned rate, unsigned channels) noexcept {
    std::array<std::uint8_t, 44> header{};
    const auto text = [&](std::size_t at, const char *four) { std::memcpy(header.data() + at, four, 4); };
    const auto number = [&](std::size_t at, std::uint32_t value, unsigned bytes) {
        for (unsigned i = 0; i < bytes; ++i)
            header[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
    };
    text(0, "RIFF");
    number(4, 0xffffffff, 4);
    text(8, "WAVE");
    text(12, "fmt ");
    number(16, 16, 4);
    number(20, 1, 2);
    number(22, channels, 2);
    number(24, rate, 4);
    number(28, rate * channels * 2, 4);
    number(32, channels * 2, 2);
    number(34, 16, 2);
    text(36, "data");
    number(40, 0xffffffff, 4);
    return header;
}

StreamRecorder::StreamRecorder(Fd fd, unsigned rate) : writer_(std::move(fd)) {
    const auto header = streaming_wav_header(rate, 2);
    writer_.write_bytes(header.data(), header.size(), "stdout");
}

void StreamRecorder::write(ConstSamples sent, ConstSamples received) {
    stereo_.clear();
    for (std::size_t i = 0; i < std::min(sent.size(), received.size()); ++i) {
        stereo_.push_back(sent[i]);
        stereo_.push_back(received[i]);
    }
    writer_.write(stereo_, "stdout");
}

} // namespace offhook::media
