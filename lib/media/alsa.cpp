#include "media/alsa.hpp"

#include <array>
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <thread>

#include <alsa/asoundlib.h>

#include "media/ring.hpp"

namespace offhook::media {

namespace {

using namespace std::chrono_literals;

constexpr unsigned ring_ms = 160, resume_ms = 40; // what a stopped other side may delay
constexpr unsigned period_ms = 20, buffer_ms = 80;
constexpr auto first_retry = 1s, longest_retry = 30s;

struct Close {
    void operator()(snd_pcm_t *pcm) const noexcept { snd_pcm_close(pcm); }
};
using Pcm = std::unique_ptr<snd_pcm_t, Close>;

void quiet(const char *, int, const char *, int, const char *, ...) {}

void silence_alsa() {
    // alsa-lib explains every failed open on stderr; our one line says it better.
    static const bool done = [] { return snd_lib_error_set_handler(quiet) == 0; }();
    (void)done;
}

struct Card { // an open PCM and what was agreed on
    Pcm pcm;
    unsigned rate = 0, channels = 0;
    snd_pcm_uframes_t period = 0;
};

struct HwParams {
    snd_pcm_hw_params_t *get = nullptr;
    HwParams() { snd_pcm_hw_params_malloc(&get); }
    ~HwParams() { snd_pcm_hw_params_free(get); }
    HwParams(const HwParams &) = delete;
    HwParams &operator=(const HwParams &) = delete;
};

int configure(Card &card) {
    HwParams hw;
    snd_pcm_t *pcm = card.pcm.get();
    int err = snd_pcm_hw_params_any(pcm, hw.get);
    if (err < 0) return err;
    if ((err = snd_pcm_hw_params_set_access(pcm, hw.get, SND_PCM_ACCESS_RW_INTERLEAVED)) < 0) return err;
    if ((err = snd_pcm_hw_params_set_format(pcm, hw.get, SND_PCM_FORMAT_S16)) < 0) return err;
    card.channels = 1;
    if ((err = snd_pcm_hw_params_set_channels_near(pcm, hw.get, &card.channels)) < 0) return err;
    for (const unsigned wished : {48000U, 16000U, 8000U}) {
        card.rate = wished;
        if (snd_pcm_hw_params_test_rate(pcm, hw.get, wished, 0) == 0) break;
        card.rate = 48000; // none of them: the nearest, our resampler does the rest
    }
    if ((err = snd_pcm_hw_params_set_rate_near(pcm, hw.get, &card.rate, nullptr)) < 0) return err;
    card.period = card.rate * period_ms / 1000;
    snd_pcm_uframes_t buffer = card.rate * buffer_ms / 1000;
    snd_pcm_hw_params_set_period_size_near(pcm, hw.get, &card.period, nullptr);
    snd_pcm_hw_params_set_buffer_size_near(pcm, hw.get, &buffer);
    if ((err = snd_pcm_hw_params(pcm, hw.get)) < 0) return err;
    snd_pcm_hw_params_get_period_size(hw.get, &card.period, nullptr);
    return card.channels >= 1 && card.period >= 1 ? 0 : -EINVAL;
}

Result<Card> open_card(const std::string &name, snd_pcm_stream_t stream) {
    snd_pcm_t *pcm = nullptr;
    int err = snd_pcm_open(&pcm, name.c_str(), stream, SND_PCM_NONBLOCK); // a busy card: say so, do not wait
    Card card{Pcm(pcm), 0, 0, 0};
    if (err >= 0) err = configure(card);
    if (err >= 0) err = snd_pcm_nonblock(pcm, 0);
    if (err < 0) return fail(Errc::device, name + ": " + snd_strerror(err));
    return card;
}

// One direction of a card: its thread blocks in ALSA, reopens what was lost, and paces itself by the
// monotonic clock as well, because `null` and `file` PCMs never block.
class Stream {
public:
    Stream(std::string name, snd_pcm_stream_t direction, Card card)
        : name_(std::move(name)), direction_(direction), card_(std::move(card)) {
        adopt();
        sigset_t all, before; // signals belong to the loop's thread
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        thread_ = std::thread([this] { run(); });
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }
    Stream(const Stream &) = delete;
    Stream &operator=(const Stream &) = delete;
    ~Stream() {
        {
            const std::lock_guard lock(mutex_);
            stop_ = true;
        }
        wake_.notify_all();
        thread_.join();
    }
    [[nodiscard]] unsigned rate() const noexcept { return rate_.load(std::memory_order_relaxed); }
    SampleRing ring;

private:
    void adopt() {
        rate_ = card_.rate;
        ring.set_limits(card_.rate * ring_ms / 1000, card_.rate * resume_ms / 1000);
        mono_.assign(card_.period, 0);
        interleaved_.assign(card_.period * card_.channels, 0);
        next_ = std::chrono::steady_clock::now();
    }

    void run() {
        while (!stopping())
            if (!transfer()) reopen();
    }

    [[nodiscard]] bool stopping() {
        const std::lock_guard lock(mutex_);
        return stop_;
    }

    void wait_until(TimePoint when) {
        std::unique_lock lock(mutex_);
        wake_.wait_until(lock, when, [this] { return stop_; });
    }

    // One period. False: the card is gone.
    bool transfer() {
        const auto period = std::chrono::nanoseconds(std::int64_t{1000000000} *
                                                     static_cast<std::int64_t>(card_.period) / card_.rate);
        const snd_pcm_sframes_t done = direction_ == SND_PCM_STREAM_CAPTURE ? capture() : play();
        if (done < 0 && !recover(static_cast<int>(done))) return false;
        // A real card never runs ahead by more than its buffer; what does is no clock.
        const auto now = std::chrono::steady_clock::now();
        next_ = std::max(next_ + period, now - 2 * period);
        if (next_ - now > std::chrono::milliseconds(buffer_ms))
            wait_until(next_ - std::chrono::milliseconds(buffer_ms));
        return true;
    }

    snd_pcm_sframes_t capture() {
        // A `null` PCM reports samples it never wrote: old memory must not go out as sound.
        std::fill(interleaved_.begin(), interleaved_.end(), std::int16_t{0});
        const snd_pcm_sframes_t got = snd_pcm_readi(card_.pcm.get(), interleaved_.data(), card_.period);
        if (got <= 0) return got == 0 ? -EIO : got;
        for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
            int sum = 0;
            for (unsigned c = 0; c < card_.channels; ++c)
                sum += interleaved_[i * card_.channels + c];
            mono_[i] = saturate(sum / static_cast<int>(std::max(card_.channels, 1U)));
        }
        ring.push(ConstSamples(mono_).first(static_cast<std::size_t>(got)));
        return got;
    }

    snd_pcm_sframes_t play() {
        ring.pull(mono_);
        for (std::size_t i = 0; i < mono_.size(); ++i)
            std::fill_n(interleaved_.begin() + static_cast<std::ptrdiff_t>(i * card_.channels),
                        card_.channels, mono_[i]);
        std::size_t at = 0;
        while (at < mono_.size()) {
            const snd_pcm_sframes_t put =
                snd_pcm_writei(card_.pcm.get(), interleaved_.data() + at * card_.channels, mono_.size() - at);
            if (put <= 0) return put == 0 ? -EIO : put;
            at += static_cast<std::size_t>(put);
        }
        return static_cast<snd_pcm_sframes_t>(at);
    }

    // Overrun and suspend are got over; anything else (ENODEV, EBADFD, EIO) means the card is lost.
    // Recovering without a transfer between must not spin either.
    bool recover(int err) {
        const auto now = std::chrono::steady_clock::now();
        if (err == -EINTR) return true;
        if (err != -EPIPE && err != -ESTRPIPE && err != -EAGAIN) return false;
        wait_until(now + std::chrono::milliseconds(period_ms / 4));
        if (err == -ESTRPIPE)
            while ((err = snd_pcm_resume(card_.pcm.get())) == -EAGAIN && !stopping())
                wait_until(std::chrono::steady_clock::now() + 100ms);
        return err == 0 || err == -EAGAIN || snd_pcm_prepare(card_.pcm.get()) >= 0;
    }

    void reopen() {
        card_.pcm.reset();
        std::chrono::steady_clock::duration pause = first_retry;
        while (!stopping()) {
            wait_until(std::chrono::steady_clock::now() + pause);
            if (stopping()) return;
            snd_config_update_free_global(); // the card may come back under the same name as a new one
            if (auto again = open_card(name_, direction_)) {
                card_ = std::move(*again);
                return adopt();
            }
            pause = std::min<std::chrono::steady_clock::duration>(pause * 2, longest_retry);
        }
    }

    std::string name_;
    snd_pcm_stream_t direction_;
    Card card_;
    std::vector<std::int16_t> mono_, interleaved_;
    TimePoint next_;
    std::atomic<unsigned> rate_{0};
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stop_ = false;
    std::thread thread_;
};

class AlsaSource final : public Source {
public:
    AlsaSource(std::string name, Card card)
        : stream_(std::move(name), SND_PCM_STREAM_CAPTURE, std::move(card)) {}
    [[nodiscard]] unsigned rate() const noexcept override { return stream_.rate(); }
    void read(Samples frame) override { stream_.ring.pull(frame); }

private:
    Stream stream_;
};

class AlsaSink final : public Sink {
public:
    AlsaSink(std::string name, Card card)
        : stream_(std::move(name), SND_PCM_STREAM_PLAYBACK, std::move(card)) {}
    [[nodiscard]] unsigned rate() const noexcept override { return stream_.rate(); }
    void write(ConstSamples frame) override { stream_.ring.push(frame); }

private:
    Stream stream_;
};

bool has_stream(snd_ctl_t *ctl, int device, snd_pcm_stream_t stream, std::string &description) {
    snd_pcm_info_t *info = nullptr;
    if (snd_pcm_info_malloc(&info) < 0) return false;
    snd_pcm_info_set_device(info, static_cast<unsigned>(device));
    snd_pcm_info_set_stream(info, stream);
    const bool there = snd_ctl_pcm_info(ctl, info) >= 0;
    if (there) description = snd_pcm_info_get_name(info);
    snd_pcm_info_free(info);
    return there;
}

void list_card(int number, std::vector<DeviceInfo> &devices) {
    snd_ctl_t *ctl = nullptr;
    if (snd_ctl_open(&ctl, ("hw:" + std::to_string(number)).c_str(), 0) < 0) return;
    const std::unique_ptr<snd_ctl_t, int (*)(snd_ctl_t *)> closing(ctl, snd_ctl_close);
    snd_ctl_card_info_t *info = nullptr;
    if (snd_ctl_card_info_malloc(&info) < 0) return;
    const std::unique_ptr<snd_ctl_card_info_t, void (*)(snd_ctl_card_info_t *)> freeing(
        info, snd_ctl_card_info_free);
    if (snd_ctl_card_info(ctl, info) < 0) return;
    for (int device = -1; snd_ctl_pcm_next_device(ctl, &device) >= 0 && device >= 0;) {
        DeviceInfo found;
        std::string what;
        found.playback = has_stream(ctl, device, SND_PCM_STREAM_PLAYBACK, what);
        found.capture = has_stream(ctl, device, SND_PCM_STREAM_CAPTURE, what);
        found.name =
            std::string("alsa:hw:CARD=") + snd_ctl_card_info_get_id(info) + ",DEV=" + std::to_string(device);
        found.description = std::string(snd_ctl_card_info_get_name(info)) + ", " + what;
        devices.push_back(std::move(found));
    }
}

} // namespace

Result<Device> open_alsa(const std::string &name) {
    silence_alsa();
    auto playback = open_card(name, SND_PCM_STREAM_PLAYBACK);
    auto capture = open_card(name, SND_PCM_STREAM_CAPTURE);
    if (!playback && !capture) return fail(playback.error());
    Device device{nullptr, nullptr, "alsa:" + name};
    if (capture) device.source = std::make_unique<AlsaSource>(name, std::move(*capture));
    if (playback) device.sink = std::make_unique<AlsaSink>(name, std::move(*playback));
    return device;
}

std::vector<DeviceInfo> list_devices() {
    silence_alsa();
    std::vector<DeviceInfo> devices;
    for (int card = -1; snd_card_next(&card) >= 0 && card >= 0;)
        list_card(card, devices);
    if (!devices.empty()) {
        DeviceInfo usual{"alsa:default", "the system's default device", false, false};
        for (const auto &device : devices) {
            usual.capture = usual.capture || device.capture;
            usual.playback = usual.playback || device.playback;
        }
        devices.insert(devices.begin(), std::move(usual));
    }
    return devices;
}

} // namespace offhook::media
