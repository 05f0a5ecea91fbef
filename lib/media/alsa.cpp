#include "media/alsa.hpp"

#include <array>
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <thread>

#include <alsa/asoundlib.h>

#include "media/device_watch.hpp"
#include "media/pcm.hpp"
#include "media/ring.hpp"

namespace offhook::media {

namespace {

using namespace std::chrono_literals;

constexpr unsigned period_ms = 20, buffer_ms = 80;
// Sound is to be back within two seconds of the card's return, so the back-off ends early.
constexpr std::chrono::steady_clock::duration first_retry = 250ms, longest_retry = 1500ms;
constexpr auto stuck_after =
    2s;                      // a card that moves nothing for so long is lost (alsa-lib #137: dmix, unplugged)
constexpr int wait_ms = 100; // so long a thread may take to notice that it is to end

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

// alsa-lib's configuration is one for the process, and re-read when a card comes back.
std::mutex config_mutex;

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
    const std::lock_guard lock(config_mutex);
    snd_pcm_t *pcm = nullptr;
    int err = snd_pcm_open(&pcm, name.c_str(), stream, SND_PCM_NONBLOCK); // a busy card: say so, do not wait
    Card card{Pcm(pcm), 0, 0, 0};
    if (err >= 0) err = configure(card);
    if (err < 0) return fail(Errc::device, name + ": " + snd_strerror(err));
    return card;
}

// One direction of a card: its thread waits for ALSA, reopens what was lost, and paces itself by the
// monotonic clock as well, because `null` and `file` PCMs never make anybody wait.
class Stream {
public:
    Stream(std::string name, snd_pcm_stream_t direction, Card card, std::shared_ptr<DeviceWatch> watch)
        : name_(std::move(name)), direction_(direction), card_(std::move(card)), watch_(std::move(watch)) {
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
    [[nodiscard]] Duration delay() {
        return ring.level() + Duration{in_card_ms_.load(std::memory_order_relaxed)};
    }
    SampleRing ring;

private:
    void adopt() {
        rate_ = card_.rate;
        ring.set_rate(card_.rate);
        mono_.assign(card_.period, 0);
        interleaved_.assign(card_.period * card_.channels, 0);
        next_ = moved_ = std::chrono::steady_clock::now();
    }

    void run() {
        while (!stopping())
            if (const int err = transfer(); err < 0) reopen(err);
    }

    [[nodiscard]] bool stopping() {
        const std::lock_guard lock(mutex_);
        return stop_;
    }

    void wait_until(TimePoint when) {
        std::unique_lock lock(mutex_);
        wake_.wait_until(lock, when, [this] { return stop_; });
    }

    // One period. An error: the card is gone.
    int transfer() {
        const auto period = std::chrono::nanoseconds(std::int64_t{1000000000} *
                                                     static_cast<std::int64_t>(card_.period) / card_.rate);
        const snd_pcm_sframes_t done = direction_ == SND_PCM_STREAM_CAPTURE ? capture() : play();
        if (done < 0) return recover(static_cast<int>(done));
        note_delay();
        // A real card never runs ahead by more than its buffer; what does is no clock.
        const auto now = std::chrono::steady_clock::now();
        next_ = std::max(next_ + period, now - 2 * period);
        if (next_ - now > std::chrono::milliseconds(buffer_ms))
            wait_until(next_ - std::chrono::milliseconds(buffer_ms));
        return 0;
    }

    void note_delay() noexcept {
        moved_ = std::chrono::steady_clock::now();
        snd_pcm_sframes_t frames = 0;
        if (snd_pcm_delay(card_.pcm.get(), &frames) < 0 || frames < 0) frames = 0;
        in_card_ms_ = static_cast<int>(frames * 1000 / static_cast<snd_pcm_sframes_t>(card_.rate));
    }

    // Until the card has samples, or room for them. Errors: as ALSA's; EIO when it is stuck.
    [[nodiscard]] int wait_for_card() {
        const int ready = snd_pcm_wait(card_.pcm.get(), wait_ms);
        if (ready < 0 && ready != -EIO)
            return ready; // EIO says no more than "try": the transfer knows better
        return std::chrono::steady_clock::now() - moved_ > stuck_after ? -EIO : 0;
    }

    snd_pcm_sframes_t capture() {
        // A `null` PCM reports samples it never wrote: old memory must not go out as sound.
        std::fill(interleaved_.begin(), interleaved_.end(), std::int16_t{0});
        snd_pcm_sframes_t got = snd_pcm_readi(card_.pcm.get(), interleaved_.data(), card_.period);
        while (got == -EAGAIN && !stopping()) {
            if (const int err = wait_for_card(); err < 0) return err;
            got = snd_pcm_readi(card_.pcm.get(), interleaved_.data(), card_.period);
        }
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
        (void)ring.pull(mono_);
        for (std::size_t i = 0; i < mono_.size(); ++i)
            std::fill_n(interleaved_.begin() + static_cast<std::ptrdiff_t>(i * card_.channels),
                        card_.channels, mono_[i]);
        std::size_t at = 0;
        while (at < mono_.size()) {
            const snd_pcm_sframes_t put =
                snd_pcm_writei(card_.pcm.get(), interleaved_.data() + at * card_.channels, mono_.size() - at);
            if (put == -EAGAIN && stopping()) return 0;
            if (const int err = put == -EAGAIN ? wait_for_card() : put == 0 ? -EIO : 0; err < 0) return err;
            if (put < 0 && put != -EAGAIN) return put;
            at += static_cast<std::size_t>(std::max<snd_pcm_sframes_t>(put, 0));
        }
        return static_cast<snd_pcm_sframes_t>(at);
    }

    // Overrun and suspend are got over; anything else (ENODEV, EBADFD, EIO) means the card is lost, and so
    // does an overrun after another with nothing moved between. Never at once, or it would spin.
    int recover(int err) {
        if (err == -EINTR || err == -EAGAIN) return 0;
        if (err != -EPIPE && err != -ESTRPIPE) return err;
        const auto now = std::chrono::steady_clock::now();
        if (err == -EPIPE && now - moved_ > stuck_after) return -EIO;
        wait_until(now + std::chrono::milliseconds(period_ms / 4));
        if (err == -ESTRPIPE) {
            while ((err = snd_pcm_resume(card_.pcm.get())) == -EAGAIN && !stopping())
                wait_until(std::chrono::steady_clock::now() + 100ms);
            moved_ = std::chrono::steady_clock::now();
        }
        return err < 0 ? snd_pcm_prepare(card_.pcm.get()) : 0;
    }

    void reopen(int err) {
        card_.pcm.reset();
        in_card_ms_ = 0;
        watch_->report_lost(snd_strerror(err));
        auto pause = first_retry;
        while (!stopping()) {
            wait_until(std::chrono::steady_clock::now() + pause);
            if (stopping()) return;
            if (auto again = open_card(name_, direction_)) {
                card_ = std::move(*again);
                adopt();
                return watch_->report_back();
            }
            pause = std::min(pause * 2, longest_retry);
        }
    }

    std::string name_;
    snd_pcm_stream_t direction_;
    Card card_;
    std::shared_ptr<DeviceWatch> watch_;
    std::vector<std::int16_t> mono_, interleaved_;
    TimePoint next_, moved_; // when the next period is due; when the last one was moved
    std::atomic<int> in_card_ms_{0};
    std::atomic<unsigned> rate_{0};
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stop_ = false;
    std::thread thread_;
};

class AlsaSource final : public Source {
public:
    AlsaSource(std::string name, Card card, std::shared_ptr<DeviceWatch> watch)
        : stream_(std::move(name), SND_PCM_STREAM_CAPTURE, std::move(card), std::move(watch)) {}
    [[nodiscard]] unsigned rate() const noexcept override { return stream_.rate(); }
    void read(Samples frame) override { (void)stream_.ring.pull(frame); }
    [[nodiscard]] Duration delay() override { return stream_.delay(); }

private:
    Stream stream_;
};

class AlsaSink final : public Sink {
public:
    AlsaSink(std::string name, Card card, std::shared_ptr<DeviceWatch> watch)
        : stream_(std::move(name), SND_PCM_STREAM_PLAYBACK, std::move(card), std::move(watch)) {}
    [[nodiscard]] unsigned rate() const noexcept override { return stream_.rate(); }
    void write(ConstSamples frame) override { stream_.ring.push(frame); }
    [[nodiscard]] Duration delay() override { return stream_.delay(); }

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
    Device device{nullptr, nullptr, "alsa:" + name, std::make_shared<DeviceWatch>()};
    if (capture) device.source = std::make_unique<AlsaSource>(name, std::move(*capture), device.watch);
    if (playback) device.sink = std::make_unique<AlsaSink>(name, std::move(*playback), device.watch);
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
