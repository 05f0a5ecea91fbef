#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>

#include "media/file_source.hpp"
#include "media/pcm.hpp"
#include "media/pipe.hpp"
#include "media/resample.hpp"
#include "media/sound_files.hpp"

namespace offhook::media {

namespace {

constexpr unsigned sink_rate = 48000; // loses nothing of any codec

int format_of(const std::string &path) noexcept {
    const auto has = [&](std::string_view suffix) {
        return path.size() > suffix.size() &&
               std::equal(suffix.rbegin(), suffix.rend(), path.rbegin(),
                          [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b + 32 : b); });
    };
    if (has(".flac")) return SF_FORMAT_FLAC | SF_FORMAT_PCM_16;
    if (has(".opus")) return SF_FORMAT_OGG | SF_FORMAT_OPUS;
    if (has(".ogg") || has(".oga")) return SF_FORMAT_OGG | SF_FORMAT_VORBIS;
    if (has(".wav") || path == "-") return SF_FORMAT_WAV | SF_FORMAT_PCM_16;
    return 0;
}

// An audio file being written. One write(2) and one new header a second: a process that is killed leaves a
// playable file that lacks its last second at most.
class WrittenFile {
public:
    static Result<WrittenFile> open(const std::string &path, Fd fd, unsigned rate, unsigned channels) {
        const auto library = need_sound_files();
        if (!library) return fail(library.error());
        const int format = format_of(path);
        SF_INFO info{};
        info.samplerate = static_cast<int>(rate);
        info.channels = static_cast<int>(channels);
        info.format = format;
        if (format == 0 || (*library)->format_check(&info) == 0)
            return fail(Errc::invalid_argument,
                        path + ": cannot record in this format; a name ending in .wav, .flac, "
                               ".ogg or .opus expected");
        if (!fd) fd = Fd(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
        if (!fd)
            return fail(Errc::device,
                        path + ": cannot be written: " + std::generic_category().message(errno));
        File file((*library)->open_fd(fd.get(), SFM_WRITE, &info, SF_FALSE));
        if (!file) return fail(Errc::device, path + ": cannot be written: " + (*library)->strerror(nullptr));
        WrittenFile written(path, std::move(fd), std::move(file), rate, channels);
        written.rewritable_ = (format & SF_FORMAT_TYPEMASK) == SF_FORMAT_WAV;
        return written;
    }
    WrittenFile(WrittenFile &&) noexcept = default;
    WrittenFile(const WrittenFile &) = delete;
    WrittenFile &operator=(const WrittenFile &) = delete;
    WrittenFile &operator=(WrittenFile &&) = delete;
    ~WrittenFile() {
        if (file_) flush();
    }

    void append(std::int16_t sample) { pending_.push_back(sample); }
    void flush_if_due() {
        if (pending_.size() >= std::size_t{rate_} * channels_) flush();
    }
    [[nodiscard]] const Error *failure() const noexcept { return failure_.get(); }
    [[nodiscard]] const std::string &path() const noexcept { return path_; }

private:
    struct Close {
        void operator()(SNDFILE *file) const noexcept { sound_files()->close(file); }
    };
    using File = std::unique_ptr<SNDFILE, Close>;

    WrittenFile(std::string path, Fd fd, File file, unsigned rate, unsigned channels)
        : path_(std::move(path)), fd_(std::move(fd)), file_(std::move(file)), rate_(rate),
          channels_(channels) {
        pending_.reserve(std::size_t{rate} * channels + rate);
    }

    void flush() {
        if (!failure_ && !pending_.empty()) {
            const auto frames = static_cast<sf_count_t>(pending_.size() / channels_);
            if (sound_files()->writef_short(file_.get(), pending_.data(), frames) != frames) fail_now();
            // Only WAV's header names a length; libsndfile would start an Ogg stream anew.
            if (rewritable_) sound_files()->command(file_.get(), SFC_UPDATE_HEADER_NOW, nullptr, 0);
        }
        pending_.clear();
    }

    void fail_now() {
        std::string why = sound_files()->strerror(file_.get());
        constexpr std::string_view prefix = "System error : ";
        if (why.starts_with(prefix)) why.erase(0, prefix.size());
        while (!why.empty() && (why.back() == '.' || why.back() == '\n'))
            why.pop_back();
        failure_ = std::make_unique<Error>(Error{Errc::device, path_ + ": " + why + ": recording stopped"});
    }

    std::string path_;
    Fd fd_;
    File file_;
    unsigned rate_, channels_;
    bool rewritable_ = false;
    std::vector<std::int16_t> pending_;
    std::unique_ptr<Error> failure_;
};

class FileRecorder final : public Recorder {
public:
    explicit FileRecorder(WrittenFile file) : file_(std::move(file)) {}
    void write(ConstSamples sent, ConstSamples received) override {
        if (file_.failure() != nullptr) return;
        for (std::size_t i = 0; i < std::min(sent.size(), received.size()); ++i) {
            file_.append(sent[i]);
            file_.append(received[i]);
        }
        file_.flush_if_due();
    }
    [[nodiscard]] const Error *failure() const noexcept override { return file_.failure(); }
    [[nodiscard]] const std::string &path() const noexcept override { return file_.path(); }

private:
    WrittenFile file_;
};

// Two mono files for "{side}" in the name, which stands for "sent" and "received".
class SplitRecorder final : public Recorder {
public:
    SplitRecorder(std::string path, WrittenFile sent, WrittenFile received)
        : path_(std::move(path)), sent_(std::move(sent)), received_(std::move(received)) {}
    void write(ConstSamples sent, ConstSamples received) override {
        if (failure() != nullptr) return;
        for (const std::int16_t sample : sent)
            sent_.append(sample);
        for (const std::int16_t sample : received)
            received_.append(sample);
        sent_.flush_if_due();
        received_.flush_if_due();
    }
    [[nodiscard]] const Error *failure() const noexcept override {
        return sent_.failure() != nullptr ? sent_.failure() : received_.failure();
    }
    [[nodiscard]] const std::string &path() const noexcept override { return path_; }

private:
    std::string path_;
    WrittenFile sent_, received_;
};

constexpr std::string_view side = "{side}";

std::string for_side(std::string path, std::string_view name) {
    return path.replace(path.find(side), side.size(), name);
}

class FileSink final : public Sink {
public:
    explicit FileSink(WrittenFile file) : file_(std::move(file)) {}
    [[nodiscard]] unsigned rate() const noexcept override { return sink_rate; }
    void write(ConstSamples frame) override {
        if (file_.failure() != nullptr) return;
        for (const std::int16_t sample : frame)
            file_.append(sample);
        file_.flush_if_due();
    }
    [[nodiscard]] const Error *failure() const noexcept override { return file_.failure(); }

private:
    WrittenFile file_;
};

} // namespace

Result<std::unique_ptr<Recorder>> open_recorder(const std::string &path, unsigned rate) {
    Fd fd;
    if (path == "-") {
        fd = Fd(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
        if (!fd) return fail(Errc::device, "stdout: " + std::generic_category().message(errno));
        struct stat status {};
        const int flags = ::fcntl(fd.get(), F_GETFL);
        const bool rewritable = ::fstat(fd.get(), &status) == 0 && S_ISREG(status.st_mode) && flags >= 0 &&
                                (flags & O_APPEND) == 0 && ::lseek(fd.get(), 0, SEEK_CUR) == 0;
        if (!rewritable) return std::make_unique<StreamRecorder>(std::move(fd), rate);
    }
    if (path.find(side) != std::string::npos) {
        auto sent = WrittenFile::open(for_side(path, "sent"), {}, rate, 1);
        if (!sent) return fail(sent.error());
        auto received = WrittenFile::open(for_side(path, "received"), {}, rate, 1);
        if (!received) return fail(received.error());
        return std::make_unique<SplitRecorder>(path, std::move(*sent), std::move(*received));
    }
    auto file = WrittenFile::open(path, std::move(fd), rate, 2);
    if (!file) return fail(file.error());
    return std::make_unique<FileRecorder>(std::move(*file));
}

Result<std::unique_ptr<Sink>> open_file_sink(const std::string &path) {
    auto file = WrittenFile::open(path, Fd{}, sink_rate, 1);
    if (!file) return fail(file.error());
    return std::make_unique<FileSink>(std::move(*file));
}

} // namespace offhook::media
