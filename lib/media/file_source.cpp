#include "media/file_source.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fd.hpp"
#include "media/pcm.hpp"
#include "media/pipe.hpp"
#include "media/sound_files.hpp"

namespace offhook::media {

namespace {

constexpr sf_count_t chunk_frames = 2048;
constexpr unsigned default_raw_rate = 16000;

struct Close {
    void operator()(SNDFILE *file) const noexcept { sound_files()->close(file); }
};
using SoundFile = std::unique_ptr<SNDFILE, Close>;

class FileSource final : public Source {
public:
    FileSource(Fd fd, SoundFile file, const SF_INFO &info, bool loop)
        : fd_(std::move(fd)), file_(std::move(file)), rate_(static_cast<unsigned>(info.samplerate)),
          channels_(static_cast<std::size_t>(info.channels)), loop_(loop),
          interleaved_(static_cast<std::size_t>(chunk_frames) * channels_) {
        refill();
    }
    [[nodiscard]] unsigned rate() const noexcept override { return rate_; }
    [[nodiscard]] bool ended() const noexcept override { return at_ >= mono_.size(); }

    void read(Samples frame) override {
        while (!frame.empty() && !ended()) {
            const std::size_t count = std::min(frame.size(), mono_.size() - at_);
            std::copy_n(mono_.begin() + static_cast<std::ptrdiff_t>(at_), count, frame.begin());
            frame = frame.subspan(count);
            at_ += count;
            if (at_ >= mono_.size()) refill(); // at once: ended() must be true with the last sample
        }
        silence(frame);
    }

private:
    void refill() {
        sf_count_t got = sound_files()->readf_float(file_.get(), interleaved_.data(), chunk_frames);
        if (got <= 0 && loop_ && sound_files()->seek(file_.get(), 0, SEEK_SET) == 0)
            got = sound_files()->readf_float(file_.get(), interleaved_.data(), chunk_frames);
        at_ = 0;
        mono_.resize(static_cast<std::size_t>(std::max<sf_count_t>(got, 0)));
        for (std::size_t i = 0; i < mono_.size(); ++i) {
            double sum = 0;
            for (std::size_t c = 0; c < channels_; ++c)
                sum += static_cast<double>(interleaved_[i * channels_ + c]);
            mono_[i] = to_sample(sum / static_cast<double>(channels_));
        }
    }

    Fd fd_; // libsndfile borrows it: told to close, it would do so even when it fails to open
    SoundFile file_;
    unsigned rate_;
    std::size_t channels_;
    bool loop_;
    std::vector<float> interleaved_;
    std::vector<std::int16_t> mono_;
    std::size_t at_ = 0;
};

} // namespace

Result<std::unique_ptr<Source>> open_file_source(const std::string &path, bool loop) {
    const auto unreadable = [&](const std::string &why) {
        return fail(Errc::device, path + ": " + why + expected_formats);
    };
    // O_NONBLOCK: opening a FIFO nobody writes to must not stop the phone.
    Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd) return unreadable(std::generic_category().message(errno));
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0 || S_ISDIR(status.st_mode))
        return unreadable(std::generic_category().message(EISDIR));
    if (!S_ISREG(status.st_mode) && loop)
        return fail(Errc::invalid_argument, path + ": a pipe cannot be played again and again");
    if (!S_ISREG(status.st_mode)) // a FIFO or <(command): as it comes
        return std::make_unique<PipeSource>(std::move(fd), default_raw_rate, true);
    const auto library = need_sound_files();
    if (!library) return fail(library.error());
    SF_INFO info{};
    SoundFile file((*library)->open_fd(fd.get(), SFM_READ, &info, SF_FALSE));
    if (!file) return unreadable(std::string("cannot be read as audio: ") + (*library)->strerror(nullptr));
    if (info.channels < 1 || info.samplerate < 1000 || info.samplerate > 384000)
        return unreadable("cannot be read as audio: sample rate " + std::to_string(info.samplerate));
    if (loop && (info.seekable == 0 || info.frames <= 0))
        return fail(Errc::invalid_argument, path + ": there is nothing in it to be played again and again");
    return std::make_unique<FileSource>(std::move(fd), std::move(file), info, loop);
}

} // namespace offhook::media
