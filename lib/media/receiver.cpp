#include "media/receiver.hpp"

#include <algorithm>

namespace offhook::media {

namespace {

constexpr std::size_t longest_packet_ms = 120; // Opus' longest; others are cut there

} // namespace

void Receiver::configure(const Negotiated &agreed) {
    const bool same = agreed_.codec == agreed.codec && buffer_;
    agreed_ = agreed;
    noise_.reset();
    pcm_rate_ = agreed.codec->pcm_rate;
    stats_.set_clock_rate(agreed.codec->clock_rate);
    if (agreed.receive_events.empty())
        dtmf_.reset();
    else if (!dtmf_) // else a digit under way goes on, and its late packets stay known
        dtmf_.emplace();
    if (same) return;
    buffer_ = std::make_unique<JitterBuffer>(
        JitterBuffer::Options{.clock_rate = agreed.codec->clock_rate, .ptime_ms = agreed.ptime_ms});
    decoding_ = nullptr;
    decoder_.reset();
    ready_.clear();
    playout_.reset();
    last_sequence_.reset();
    late_before_ = resets_before_ = 0;
}

const CodecInfo *Receiver::codec_of(std::uint8_t payload_type) const noexcept {
    for (const auto &[type, codec] : agreed_.receivable)
        if (type == payload_type) return codec;
    return nullptr;
}

unsigned Receiver::event_rate_of(std::uint8_t payload_type) const noexcept {
    for (const auto &[type, rate] : agreed_.receive_events)
        if (type == payload_type) return rate;
    return 0;
}

bool Receiver::takes(std::uint8_t payload_type) const noexcept {
    return buffer_ && (codec_of(payload_type) != nullptr || event_rate_of(payload_type) != 0 ||
                       payload_type == agreed_.receive_noise_payload_type);
}

std::vector<DtmfEvent> Receiver::packet(const RtpPacket &packet, TimePoint now) {
    if (!takes(packet.header.payload_type)) return {};
    const unsigned event_rate = event_rate_of(packet.header.payload_type);
    ssrc_ = packet.header.ssrc;
    last_packet_ = now;
    stats_.received(packet.header, packet.payload.size(), now);
    if (event_rate != 0) {
        buffer_->pass(packet.header); // its sequence number is used up, not lost
        return dtmf_->received(packet, now, event_rate);
    }
    // In its turn, unless there is no turn to wait for.
    if (packet.header.payload_type == agreed_.receive_noise_payload_type && noise_ && buffer_->idle()) {
        note_losses(buffer_->skip(packet.header));
        take_noise(packet.payload);
        return {};
    }
    buffer_->push(packet, now);
    return {};
}

std::vector<DtmfEvent> Receiver::poll(TimePoint now) {
    return dtmf_ ? dtmf_->poll(now) : std::vector<DtmfEvent>{};
}

bool Receiver::use_codec(std::uint8_t payload_type) {
    const CodecInfo *codec = codec_of(payload_type);
    if (codec == nullptr) return false;
    if (codec == decoding_) return true;
    auto decoder = make_decoder(*codec, {.fmtp = agreed_.fmtp});
    if (!decoder) return false;
    decoder_ = std::move(*decoder);
    decoding_ = codec;
    decoded_.resize(std::size_t{codec->pcm_rate} / 1000 * longest_packet_ms);
    packet_samples_ = std::size_t{codec->pcm_rate} / 1000 * agreed_.ptime_ms;
    resampler_ =
        codec->pcm_rate == pcm_rate_ ? nullptr : std::make_unique<Resampler>(codec->pcm_rate, pcm_rate_);
    return true;
}

// Into piece_, at pcm_rate().
void Receiver::append(ConstSamples pcm) {
    if (!resampler_) return piece_.assign(pcm.begin(), pcm.end());
    piece_.resize(pcm.size() * pcm_rate_ / decoding_->pcm_rate + 16);
    piece_.resize(resampler_->process(pcm, piece_).produced);
}

// Numbers that were passed over did not come in time; a stream that stopped and goes on with the next number
// lost nothing.
void Receiver::note_losses(std::int64_t sequence) {
    constexpr std::int64_t believable = 1000;
    const auto resets = buffer_->counters().resets;
    if (std::exchange(resets_before_, resets) != resets) last_sequence_.reset();
    const std::int64_t missing = last_sequence_ ? sequence - *last_sequence_ - 1 : 0;
    const auto lost =
        static_cast<std::uint64_t>(missing < believable ? std::max<std::int64_t>(missing, 0) : 0);
    last_sequence_ = sequence;
    pattern_.played(lost);
    interval_.played(lost);
}

// Shortens or lengthens piece_ where the sender's clock, or a delay that is no longer needed, asks for it.
void Receiver::keep_pace(const JitterBuffer::Frame &frame, TimePoint now) {
    const auto late = buffer_->counters().late;
    const bool too_late = std::exchange(late_before_, late) != late;
    const auto age = std::chrono::duration_cast<Duration>(now - frame.arrival);
    const double played_ms = std::chrono::duration<double, std::milli>(now - frame.arrival).count() +
                             1000.0 * static_cast<double>(ready_.size()) / pcm_rate_;
    age_ms_ += (played_ms - age_ms_) / 32;
    const Stretch how = playout_.played(too_late ? Duration{0} : age, buffer_->options().ptime_ms);
    if (how != Stretch::none && stretch(piece_, pcm_rate_, how, playout_.insist())) playout_.done();
}

void Receiver::take_noise(Bytes payload) {
    if (!noise_) noise_.emplace();
    noise_->describe(NoiseProfile::parse(payload));
}

// Opus' decoder goes on with the noise of before; two of its refreshments may be lost.
void Receiver::fill_silence(TimePoint now) {
    constexpr Duration refreshed_within{1'000};
    if (agreed_.peer_pauses && decoder_ && last_packet_ && now - *last_packet_ < refreshed_within)
        return conceal({});
    const std::size_t before = ready_.size();
    ready_.resize(before + std::size_t{pcm_rate_} / 1000 * ptime_ms_);
    if (noise_) noise_->fill(Samples(ready_).subspan(before));
}

void Receiver::conceal(Bytes next) {
    const Samples gap = Samples(decoded_).first(packet_samples_);
    decoder_->conceal(gap, next);
    append(gap);
    ready_.insert(ready_.end(), piece_.begin(), piece_.end());
}

// One packet's worth of sound, or of its absence.
void Receiver::refill(TimePoint now) {
    const JitterBuffer::Pull pull = buffer_->pull(now);
    piece_.clear();
    if (pull.kind != JitterBuffer::Pull::Kind::lost && pull.frame.sequence != 0)
        note_losses(pull.frame.sequence);
    if (pull.kind == JitterBuffer::Pull::Kind::frame &&
        pull.frame.payload_type == agreed_.receive_noise_payload_type) {
        take_noise(pull.frame.payload);
        buffer_->pause();
        return fill_silence(now);
    }
    if (pull.kind == JitterBuffer::Pull::Kind::frame && use_codec(pull.frame.payload_type)) {
        const std::size_t samples = decoder_->decode(pull.frame.payload, decoded_);
        if (samples != 0) {
            noise_.reset();
            packet_samples_ = samples;
            buffer_->set_ptime(
                static_cast<unsigned>(std::max<std::size_t>(samples * 1000 / decoding_->pcm_rate, 1)));
            append(ConstSamples(decoded_).first(samples));
            keep_pace(pull.frame, now);
            ready_.insert(ready_.end(), piece_.begin(), piece_.end());
            return;
        }
    }
    if (pull.kind == JitterBuffer::Pull::Kind::empty || !decoder_) return fill_silence(now);
    conceal(pull.next != nullptr ? Bytes(pull.next->payload) : Bytes{});
}

void Receiver::read(Samples frame, TimePoint now) {
    for (int packets = 0; buffer_ && ready_.size() < frame.size() && packets < 16; ++packets)
        refill(now);
    const std::size_t count = std::min(frame.size(), ready_.size());
    std::copy_n(ready_.begin(), count, frame.begin());
    std::fill(frame.begin() + static_cast<std::ptrdiff_t>(count), frame.end(), std::int16_t{0});
    ready_.erase(ready_.begin(), ready_.begin() + static_cast<std::ptrdiff_t>(count));
}

const JitterBuffer::Counters *Receiver::counters() const noexcept {
    return buffer_ ? &buffer_->counters() : nullptr;
}

Duration Receiver::buffered() const noexcept {
    return Duration{static_cast<std::int64_t>(age_ms_)};
}

} // namespace offhook::media
