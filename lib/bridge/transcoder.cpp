#include "bridge/transcoder.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/random.hpp"

namespace offhook::bridge {

namespace {

constexpr std::size_t frame_ms = 20;
constexpr std::size_t longest_packet_ms = 120; // RFC 6716 §2.1.4
constexpr unsigned most_concealed_ms = 60;
constexpr int furthest_behind = 100; // packets; beyond: the source began anew
constexpr std::size_t event_size = 4;

} // namespace

Result<std::unique_ptr<Transcoder>> Transcoder::open(const Codec &from, const Codec &to) {
    media::CodecParams decoding;
    media::CodecParams encoding;
    decoding.fmtp = from.fmtp;
    encoding.fmtp = to.fmtp;
    auto decoder = media::make_decoder(*from.info, decoding);
    if (!decoder) return fail(decoder.error());
    auto encoder = media::make_encoder(*to.info, encoding);
    if (!encoder) return fail(encoder.error());
    return std::unique_ptr<Transcoder>(new Transcoder(from, to, std::move(*decoder), std::move(*encoder)));
}

Transcoder::Transcoder(Codec from, Codec to, std::unique_ptr<media::Decoder> decoder,
                       std::unique_ptr<media::Encoder> encoder)
    : from_(std::move(from)), to_(std::move(to)), decoder_(std::move(decoder)), encoder_(std::move(encoder)),
      resampler_(from_.info->pcm_rate, to_.info->pcm_rate),
      decoded_(from_.info->pcm_rate / 1000 * longest_packet_ms),
      resampled_(to_.info->pcm_rate / 1000 * (longest_packet_ms + frame_ms)), timestamp_(random_u32()),
      sequence_(static_cast<std::uint16_t>(random_u32())) {
    // What the resampler keeps back in the beginning (in samples of its input), so that each packet gives
    // one.
    const std::size_t rate = from_.info->pcm_rate;
    waiting_.assign((resampler_.delay() * to_.info->pcm_rate + rate - 1) / rate, 0);
}

std::int64_t Transcoder::scaled(std::int64_t units) const noexcept {
    return units * to_.info->clock_rate / from_.info->clock_rate;
}

void Transcoder::restart(const media::RtpHeader &header) {
    started_ = true;
    ssrc_ = header.ssrc;
    newest_ = static_cast<std::uint16_t>(header.sequence - 1);
    expected_ = header.timestamp;
    event_.reset();
    marker_ = true;
}

// False for a packet that came too late to be heard.
bool Transcoder::bridge_gap(const media::RtpPacket &packet, const Emit &emit) {
    const auto ahead = static_cast<std::int16_t>(packet.header.sequence - newest_);
    if (ahead <= 0) {
        if (ahead > -furthest_behind) return false;
        restart(packet.header);
        return true;
    }
    const auto gap = static_cast<std::int32_t>(packet.header.timestamp - expected_);
    const auto per_ms = static_cast<std::int32_t>(from_.info->clock_rate / 1000);
    if (gap == 0) return true;
    expected_ = packet.header.timestamp;
    const bool lost = ahead > 1 && !after_event_;
    if (lost && gap > 0 && gap <= static_cast<std::int32_t>(most_concealed_ms) * per_ms) {
        const auto samples = static_cast<std::size_t>(gap) * from_.info->pcm_rate / from_.info->clock_rate;
        decoder_->conceal(std::span(decoded_).first(samples), packet.payload);
        take(samples, emit);
    } else if (gap > 0) { // a pause: time passes, nothing is said
        timestamp_ += static_cast<std::uint32_t>(scaled(gap));
        marker_ = true;
    }
    return true;
}

void Transcoder::audio(const media::RtpPacket &packet, const Emit &emit) {
    if (!started_ || packet.header.ssrc != ssrc_) restart(packet.header);
    if (!bridge_gap(packet, emit)) return;
    newest_ = packet.header.sequence;
    after_event_ = false;
    const std::size_t samples = decoder_->decode(packet.payload, decoded_);
    if (samples == 0) return; // broken: the next one finds a gap
    expected_ += static_cast<std::uint32_t>(samples * from_.info->clock_rate / from_.info->pcm_rate);
    take(samples, emit);
}

void Transcoder::take(std::size_t samples, const Emit &emit) {
    const auto progress = resampler_.process(std::span(decoded_).first(samples), resampled_);
    waiting_.insert(waiting_.end(), resampled_.begin(),
                    resampled_.begin() + static_cast<std::ptrdiff_t>(progress.produced));
    pass(emit);
}

void Transcoder::pass(const Emit &emit) {
    const std::size_t frame = to_.info->pcm_rate / 1000 * frame_ms;
    std::size_t at = 0;
    for (; waiting_.size() - at >= frame; at += frame) {
        const auto payload = encoder_->encode(std::span(waiting_).subspan(at, frame));
        media::RtpHeader header;
        header.ssrc = ssrc_;
        header.timestamp = timestamp_;
        timestamp_ += static_cast<std::uint32_t>(to_.info->clock_rate / 1000 * frame_ms);
        if (payload.empty()) { // the encoder has nothing to say
            marker_ = true;
            continue;
        }
        header.sequence = ++sequence_;
        header.marker = std::exchange(marker_, false);
        emit(header, payload);
    }
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(at));
}

void Transcoder::event(const media::RtpPacket &packet, const Emit &emit) {
    if (packet.payload.size() < event_size) return;
    if (!started_ || packet.header.ssrc != ssrc_) restart(packet.header);
    if (static_cast<std::int16_t>(packet.header.sequence - newest_) <= 0) return;
    newest_ = packet.header.sequence;
    after_event_ = true;
    if (!event_ || event_->first != packet.header.timestamp) {
        const auto ahead = static_cast<std::int32_t>(packet.header.timestamp - expected_);
        event_ = {packet.header.timestamp, timestamp_ + static_cast<std::uint32_t>(scaled(ahead))};
    }
    std::array<std::uint8_t, event_size> payload{};
    std::ranges::copy(packet.payload.first(event_size), payload.begin());
    media::RtpHeader header = packet.header;
    header.sequence = ++sequence_;
    header.timestamp = event_->second;
    emit(header, payload);
}

} // namespace offhook::bridge
