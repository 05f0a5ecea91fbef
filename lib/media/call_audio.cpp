#include "media/call_audio.hpp"

#include <utility>

#include "media/dtmf_detector.hpp"
#include "media/inband_dtmf.hpp"
#include "media/pcm.hpp"
#include "media/resample.hpp"
#include "media/tone.hpp"

namespace offhook::media {

namespace {

constexpr int most_late_frames = 5;
constexpr unsigned rate_before_negotiation = 48000; // of recordings: any codec may come

// What one direction carried in the last tick, and the level of it when somebody asks.
struct Buffer {
    std::vector<std::int16_t> samples;
    [[nodiscard]] double dbfs() const noexcept { return level_dbfs(samples); }
};

std::optional<Cadence> cadence_of(CallAudio::LocalTone tone) {
    switch (tone) {
    case CallAudio::LocalTone::ringback:
        return ringback_cadence();
    case CallAudio::LocalTone::busy:
        return busy_cadence();
    case CallAudio::LocalTone::ring:
        return ring_cadence();
    case CallAudio::LocalTone::none:
        break;
    }
    return std::nullopt;
}

// A recording and the conversion to its rate, which stays while the codec may change.
class Recording {
public:
    Recording(std::unique_ptr<Recorder> recorder, unsigned rate)
        : recorder_(std::move(recorder)), rate_(rate) {}
    void write(ConstSamples sent, ConstSamples received, unsigned rate) {
        if (rate == rate_) return recorder_->write(sent, received);
        recorder_->write(sent_.convert(sent, rate, rate_), received_.convert(received, rate, rate_));
    }
    [[nodiscard]] const Error *failure() const noexcept { return recorder_->failure(); }

private:
    struct Side {
        std::optional<Resampler> resampler;
        std::vector<std::int16_t> out;
        ConstSamples convert(ConstSamples in, unsigned from, unsigned to) {
            if (!resampler || resampler->from() != from || resampler->to() != to) resampler.emplace(from, to);
            out.resize(in.size() * to / from + 1);
            return ConstSamples(out).first(resampler->process(in, out).produced);
        }
    };
    std::unique_ptr<Recorder> recorder_;
    unsigned rate_;
    Side sent_, received_;
};

} // namespace

struct CallAudio::Self {
    ~Self() { leave_room(); }
    Self(const Self &) = delete;
    Self &operator=(const Self &) = delete;
    Self(Loop &l, MediaLeg &m, Device *d, Events e)
        : loop(l), leg(&m), device(d), events(std::move(e)), timer(l), silence_detector(m.pcm_rate()) {}

    Loop &loop;
    MediaLeg *leg;
    Device *device;
    Events events;
    Timer timer;
    TimePoint next{};
    bool running = false, mute = false, echo = false, source_told = false;
    unsigned rate = 0;
    Buffer sent, received;
    std::vector<std::int16_t> speaker;
    std::unique_ptr<Source> file;
    SourceConverter file_converter, device_converter;
    SinkConverter sink_converter;
    std::optional<Recording> recording;
    std::shared_ptr<Conference> room;
    Conference::Member peer = 0, local = 0; // in it; 0: not there
    InbandDtmf dtmf;
    std::unique_ptr<DtmfDetector> dtmf_detector;
    std::unique_ptr<VoiceProcessor> voice;
    LocalTone tone = LocalTone::none;
    std::optional<Cadence> cadence;
    SilenceDetector silence_detector;
    std::vector<double> watched_hz;
    std::function<void()> heard;
    std::optional<ToneDetector> tone_detector;
    std::shared_ptr<bool> alive = std::make_shared<bool>(true);

    void later(std::function<void()> call) {
        if (!call) return;
        loop.post([watch = std::weak_ptr<bool>(alive), call = std::move(call)] {
            if (!watch.expired()) call();
        });
    }

    void expired() {
        const auto ptime =
            std::chrono::microseconds(std::uint64_t{leg->frame_samples()} * 1000000 / leg->pcm_rate());
        const TimePoint now = loop.now();
        int frames = 0;
        for (; running && next <= now && frames < most_late_frames; next += ptime, ++frames)
            tick();
        if (!running) return;                // stopped from one of the leg's events
        if (next <= now) next = now + ptime; // later than we can make up for: start anew from here
        timer.start_at(next, [this] { expired(); });
    }

    void follow_codec() {
        if (rate != leg->pcm_rate()) {
            rate = leg->pcm_rate();
            silence_detector.set_rate(rate);
            if (tone_detector) tone_detector.emplace(watched_hz, rate);
        }
        sent.samples.resize(leg->frame_samples());
        received.samples.resize(leg->frame_samples());
    }

    void tick() {
        follow_codec();
        leg->receive(received.samples);
        take_received();
        media::silence(sent.samples);
        // While keys are sent as events, or nothing may be sent, files and the microphone wait: nothing of
        // them is lost.
        const bool may_send = leg->sending_allowed() && !leg->dtmf_busy();
        if (may_send || local != 0) make_sent(); // the others in the room hear the microphone all the same
        if (may_send)
            leg->send(sent.samples);
        else
            leg->skip();
        record_tick();
    }

    void leave_room() {
        if (!room) return;
        for (Conference::Member *member : {&peer, &local})
            if (*member != 0) room->leave(std::exchange(*member, 0));
        room.reset();
    }

    void enter_room(std::shared_ptr<Conference> other) {
        leave_room();
        room = std::move(other);
        if (!room) return;
        peer = room->join();
        if (device != nullptr) local = room->join();
    }

    // What the peer gets to hear: everybody else in the room, the microphone among them.
    void mix_sent() {
        if (local != 0) {
            room->give(local, sent.samples, rate);
            media::silence(sent.samples);
        }
        room->add_to(peer, sent.samples, rate);
    }

    void take_received() {
        if (room) room->give(peer, received.samples, rate);
        silence_detector.push(received.samples);
        if (tone_detector && tone_detector->push(received.samples)) {
            tone_detector.reset();
            later(std::exchange(heard, {}));
        }
        if (dtmf_detector)
            for (const DtmfEvent &event : dtmf_detector->push(received.samples, rate))
                later([this, event] {
                    if (events.dtmf) events.dtmf(event);
                });
        if (device == nullptr || !device->sink) return;
        speaker = received.samples;
        if (local != 0) {
            media::silence(speaker);
            room->add_to(local, speaker, rate);
        }
        if (cadence) cadence->add_to(speaker, rate);
        if (voice) voice->playing(speaker, rate);
        sink_converter.write(*device->sink, speaker, rate);
    }

    void make_sent() {
        if (dtmf.busy()) return dtmf.fill(sent.samples, rate);
        if (file) {
            file_converter.read(*file, sent.samples, rate);
            if (file_converter.drained(*file)) {
                file.reset();
                later(events.play_ended);
            }
        } else if (echo) {
            sent.samples = received.samples;
        } else {
            read_device();
        }
        if (mute) media::silence(sent.samples);
        if (room) mix_sent();
    }

    void read_device() {
        if (device == nullptr || !device->source) return;
        device_converter.read(*device->source, sent.samples, rate);
        if (voice)
            voice->captured(sent.samples, rate,
                            device->source->delay() + (device->sink ? device->sink->delay() : Duration{0}));
        if (source_told || !device_converter.drained(*device->source)) return;
        source_told = true;
        later(events.source_ended);
    }

    void record_tick() {
        if (!recording) return;
        recording->write(sent.samples, received.samples, rate);
        const Error *failure = recording->failure();
        if (failure == nullptr) return;
        later([this, error = *failure] {
            if (events.record_failed) events.record_failed(error);
        });
        recording.reset();
    }
};

CallAudio::CallAudio(Loop &loop, MediaLeg &leg, Device *device, Events events)
    : self_(std::make_unique<Self>(loop, leg, device, std::move(events))) {}

CallAudio::~CallAudio() {
    stop();
}

void CallAudio::attach(MediaLeg &leg, Events events) {
    self_->leg->set_ticking(false);
    self_->leg = &leg;
    self_->leg->set_ticking(self_->running);
    self_->events = std::move(events);
}

void CallAudio::set_device(Device *device) {
    if (self_->device == device) return;
    self_->device = device;
    self_->enter_room(self_->room); // with or without a seat for the microphone
}

void CallAudio::join(std::shared_ptr<Conference> room) {
    self_->enter_room(std::move(room));
}

void CallAudio::start() {
    if (std::exchange(self_->running, true)) return;
    self_->leg->set_ticking(true);
    self_->next = self_->loop.now();
    self_->timer.start_at(self_->next, [self = self_.get()] { self->expired(); });
}

void CallAudio::stop() {
    if (std::exchange(self_->running, false)) self_->leg->set_ticking(false);
    self_->timer.cancel();
}

void CallAudio::play(std::unique_ptr<Source> source) {
    self_->file = std::move(source);
    self_->file_converter.reset();
}

void CallAudio::stop_play() {
    self_->file.reset();
}

bool CallAudio::playing() const {
    return self_->file != nullptr;
}

void CallAudio::set_voice(std::unique_ptr<VoiceProcessor> voice) {
    self_->voice = std::move(voice);
}

void CallAudio::set_mute(bool mute) {
    self_->mute = mute;
}

bool CallAudio::muted() const {
    return self_->mute;
}

void CallAudio::set_echo(bool echo) {
    self_->echo = echo;
}

Result<> CallAudio::record(const std::string &path) {
    const unsigned rate = self_->leg->negotiated() ? self_->leg->pcm_rate() : rate_before_negotiation;
    auto recorder = open_recorder(path, rate);
    if (!recorder) return fail(recorder.error());
    self_->recording.emplace(std::move(*recorder), rate);
    return {};
}

void CallAudio::stop_record() {
    self_->recording.reset();
}

bool CallAudio::recording() const {
    return self_->recording.has_value();
}

void CallAudio::send_dtmf_inband(std::string_view digits) {
    self_->dtmf.send(digits);
}

bool CallAudio::dtmf_inband_busy() const {
    return self_->dtmf.busy();
}

Result<> CallAudio::listen_for_dtmf(bool on) {
    if (on == (self_->dtmf_detector != nullptr)) return {};
    self_->dtmf_detector.reset();
    if (!on) return {};
    auto detector = DtmfDetector::make();
    if (!detector) return fail(detector.error());
    self_->dtmf_detector = std::move(*detector);
    return {};
}

void CallAudio::set_local_tone(LocalTone tone) {
    if (tone == self_->tone) return;
    self_->tone = tone;
    self_->cadence = cadence_of(tone);
}

double CallAudio::sent_dbfs() const {
    return self_->sent.dbfs();
}

double CallAudio::received_dbfs() const {
    return self_->received.dbfs();
}

const SilenceDetector &CallAudio::silence() const {
    return self_->silence_detector;
}

void CallAudio::watch_tone(std::vector<double> hz, std::function<void()> heard) {
    self_->watched_hz = std::move(hz);
    self_->heard = std::move(heard);
    self_->tone_detector.emplace(self_->watched_hz, self_->leg->pcm_rate());
}

} // namespace offhook::media
