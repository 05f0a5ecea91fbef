#include "phone/call_media.hpp"

#include <algorithm>

namespace offhook {

namespace {
// The watch begins and looks up to 450 ms late: told within five seconds.
constexpr Duration lost_after{4'000};
constexpr Duration quality_every{5'000};
constexpr Duration keys_within{12'000}; // of a DTLS handshake, lost flights included

Result<std::vector<const media::CodecInfo *>> codecs_of(const std::vector<std::string> &keys) {
    std::string list;
    for (const auto &key : keys)
        list += (list.empty() ? "" : ",") + key;
    return media::parse_codec_list(list);
}

std::unique_ptr<media::VoiceProcessor> voice_for(const media::Device *device,
                                                 const media::VoiceOptions &options) {
    if (device == nullptr || !device->source || !device->sink) return nullptr;
    return media::make_voice_processor(options, device->watch != nullptr).value_or(nullptr);
}

} // namespace

CallMedia::CallMedia(CallHost &host, CallId call, const AccountSettings &account, Listener &listener)
    : host_(host), call_(call), account_(account), listener_(listener), watch_timer_(host.loop()) {}

CallMedia::~CallMedia() {
    stop();
}

Result<std::unique_ptr<CallMedia>> CallMedia::open(CallHost &host, CallId call, const Address &local_ip,
                                                   const AccountSettings &account, Listener &listener) {
    const auto &settings = host.settings();
    auto codecs = codecs_of(account.codecs.empty() ? settings.codecs : account.codecs);
    if (!codecs) return fail(codecs.error());
    std::unique_ptr<CallMedia> media(new CallMedia(host, call, account, listener));
    media::MediaLeg::Options options;
    options.local_ip = local_ip.with_port(0);
    options.public_ip = account.public_address;
    options.codecs = std::move(*codecs);
    options.port_min = settings.rtp_port_min;
    options.port_max = settings.rtp_port_max;
    options.ptime_ms = settings.ptime_ms;
    options.opus_complexity = settings.opus_complexity;
    options.pauses = settings.dtx;
    options.srtp = account.srtp;
    options.ice.ice = account.ice;
    options.ice.mapped_address = account.stun.given();
    options.ice.relay_only = account.relay_only;
    options.ice.public_ip = account.public_address;
    media::MediaLeg::Events events;
    events.dtmf = [&listener](const media::DtmfEvent &event) {
        if (event.kind == media::DtmfEvent::Kind::up) listener.on_digit(event.digit, event.length, "rfc4733");
    };
    events.first_packet = [&listener] { listener.on_media("first", Duration{0}); };
    events.transport_faltering = [&listener] { listener.on_transport_faltering(); };
    events.transport_failed = [&listener](const Error &error) { listener.on_transport_failed(error); };
    events.transport_trouble = [&listener](const std::string &what) { listener.on_transport_trouble(what); };
    events.look_up = [raw = media.get()](const std::string &name, auto found) {
        raw->look_up(name, std::move(found));
    };
    events.transport_changed = [raw = media.get()] {
        raw->expected_since_.reset(); // silence counts from here
        if (raw->leg_->transport_ready()) raw->listener_.on_media("connected", Duration{0});
    };
    auto leg = media::MediaLeg::open(host.loop(), std::move(options), std::move(events));
    if (!leg) return fail(leg.error());
    media->leg_ = std::move(*leg);
    if (host.rtp_tap()) media->leg_->set_tap(host.rtp_tap());
    return media;
}

media::CallAudio::Events CallMedia::audio_events() {
    media::CallAudio::Events events;
    events.play_ended = [this] { listener_.on_play_ended(playing_); };
    events.record_failed = [this](const Error &error) { listener_.on_record_failed(recording_, error); };
    events.dtmf = [this](const media::DtmfEvent &event) {
        if (event.kind == media::DtmfEvent::Kind::up) listener_.on_digit(event.digit, event.length, "inband");
    };
    return events;
}

void CallMedia::use_device(bool use) {
    if (!audio_) return;
    auto *device = use ? host_.borrow_device(call_) : nullptr;
    audio_->set_voice(voice_for(device, host_.settings().voice));
    audio_->set_device(device);
    if (!use) host_.return_device(call_);
}

void CallMedia::join(std::shared_ptr<media::Conference> room) {
    room_ = std::move(room);
    if (audio_) audio_->join(room_);
}

void CallMedia::take_over(CallMedia &old) {
    if (old.audio_) {
        audio_ = std::move(old.audio_);
        audio_->attach(*leg_, audio_events());
    }
    room_ = std::exchange(old.room_, nullptr);
    muted_ = old.muted_;
    playing_ = old.playing_;
    recording_ = old.recording_;
    tone_hz_ = old.tone_hz_;
    tone_heard_ = std::exchange(old.tone_heard_, {});
    std::swap(call_, old.call_);
    old.stop();
}

media::CallAudio &CallMedia::ensure_audio() {
    if (audio_) return *audio_;
    auto *device = host_.borrow_device(call_);
    audio_ = std::make_unique<media::CallAudio>(host_.loop(), *leg_, device, audio_events());
    if (tone_heard_) audio_->watch_tone(tone_hz_, tone_heard_);
    audio_->set_voice(voice_for(device, host_.settings().voice));
    return *audio_;
}

void CallMedia::start_early(media::CallAudio::LocalTone tone) {
    const bool running = audio_ != nullptr;
    auto &audio = ensure_audio();
    audio.set_mute(true);
    audio.set_local_tone(tone);
    if (!running) audio.start();
}

void CallMedia::start() {
    const bool running = audio_ != nullptr;
    auto &audio = ensure_audio();
    talking_ = true;
    audio.set_local_tone(media::CallAudio::LocalTone::none);
    audio.set_mute(muted_);
    if (!running) audio.start();
}

void CallMedia::watch_arrivals() {
    if (watch_timer_.running()) return;
    quality_at_ = host_.loop().now() + quality_every;
    transport_due_ = host_.loop().now() + keys_within;
    watch_timer_.start(watch_interval(), [this] { watch(); });
}

void CallMedia::stop() {
    watch_timer_.cancel();
    talking_ = false;
    if (!audio_) return;
    audio_->stop();
    audio_->stop_record();
    join(nullptr);
    host_.return_device(call_);
}

Duration CallMedia::watch_interval() const {
    const auto limit = host_.settings().rtp_timeout;
    return limit.count() > 0 ? std::clamp(limit / 8, Duration{20}, Duration{450}) : Duration{450};
}

void CallMedia::watch() {
    watch_timer_.start(watch_interval(), [this] { watch(); });
    const auto now = host_.loop().now();
    if (now >= quality_at_) {
        quality_at_ += quality_every;
        if (leg_->stats().received.packets > 0) listener_.on_quality();
    }
    watch_transport(now);
    if (leg_->receiving_expected() && !leg_->remote_hold())
        return watch_silence(now); // held calls may be silent
    expected_since_.reset();
}

void CallMedia::watch_silence(TimePoint now) {
    if (!expected_since_) expected_since_ = now;
    auto silent = std::chrono::duration_cast<Duration>(now - *expected_since_);
    const auto since = leg_->stats().since_last_packet;
    if (since.count() >= 0) silent = std::min(silent, since);
    if (!lost_told_ && silent >= lost_after) {
        lost_told_ = true;
        listener_.on_media("lost", silent);
    } else if (lost_told_ && since.count() >= 0 && since < lost_after) { // not because silence counts anew
        lost_told_ = false;
        listener_.on_media("resumed", silent);
    }
    const auto limit = host_.settings().rtp_timeout;
    if (limit.count() > 0 && silent >= limit) {
        watch_timer_.cancel();
        listener_.on_rtp_timeout(silent);
    }
}

void CallMedia::set_mute(bool mute) {
    muted_ = mute;
    if (audio_ && talking_) audio_->set_mute(mute);
}

Result<> CallMedia::need_audio() const {
    if (audio_) return {};
    return fail(Errc::invalid_argument, "the call has no audio yet");
}

Result<> CallMedia::play(const std::string &path, bool again) {
    if (auto ready = need_audio(); !ready) return ready;
    if (again && path == "-") return fail(Errc::invalid_argument, "standard input cannot be played again");
    auto source = path == "-" ? media::open_stdin_source(host_.settings().pipe_format)
                              : media::open_file_source(path, again);
    if (!source) return fail(source.error());
    playing_ = path;
    audio_->play(std::move(*source));
    return {};
}

Result<> CallMedia::record(const std::string &path) {
    if (auto ready = need_audio(); !ready) return ready;
    if (auto started = audio_->record(path); !started) return started;
    recording_ = path;
    return {};
}

Result<std::string> CallMedia::stop_record() {
    if (!recording()) return fail(Errc::invalid_argument, "the call is not being recorded");
    audio_->stop_record();
    return recording_;
}

Result<> CallMedia::set_echo(bool on) {
    if (auto ready = need_audio(); !ready) return ready;
    audio_->set_echo(on);
    return {};
}

void CallMedia::watch_tone(std::vector<double> hz, std::function<void()> heard) {
    tone_hz_ = std::move(hz);
    tone_heard_ = heard ? std::move(heard) : [] {};
    if (audio_) audio_->watch_tone(tone_hz_, tone_heard_);
}

Result<> CallMedia::listen_inband(bool on) {
    if (!on && !audio_) return {};
    if (auto ready = need_audio(); !ready) return ready;
    return audio_->listen_for_dtmf(on);
}

Result<> CallMedia::send_inband(char digit) {
    if (auto ready = need_audio(); !ready) return ready;
    audio_->send_dtmf_inband(std::string(1, digit));
    return {};
}

std::string CallMedia::codec() const {
    const auto &agreed = leg_->negotiated();
    if (!agreed || agreed->codec == nullptr) return {};
    return std::string(agreed->codec->encoding) + "/" + std::to_string(agreed->codec->clock_rate);
}

std::string CallMedia::remote_rtp() const {
    if (const auto pair = leg_->ice_pair(); !pair.empty()) return pair.substr(pair.rfind(' ') + 1);
    const auto &agreed = leg_->negotiated();
    return agreed && agreed->rtp.is_set() ? agreed->rtp.to_string() : std::string{};
}

std::string CallMedia::local_rtp() const {
    if (const auto pair = leg_->ice_pair(); !pair.empty()) return pair.substr(0, pair.find(" to "));
    return leg_->local_rtp().to_string();
}

} // namespace offhook
