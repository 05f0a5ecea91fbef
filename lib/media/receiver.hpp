// The receiving half of a leg: packets in, PCM out. Statistics, jitter buffer, decoders, DTMF. Pure but for
// the decoders' state; the caller gives the time.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "media/comfort_noise.hpp"
#include "media/dtmf.hpp"
#include "media/jitter.hpp"
#include "media/loss_pattern.hpp"
#include "media/offer_answer.hpp"
#include "media/resample.hpp"
#include "media/rtp.hpp"
#include "media/stretch.hpp"

namespace offhook::media {

class Receiver {
public:
    explicit Receiver(unsigned ptime_ms) : ptime_ms_(ptime_ms) {}

    void configure(const Negotiated &agreed);
    // This payload type was negotiated; packets of any other are to be dropped unseen.
    [[nodiscard]] bool takes(std::uint8_t payload_type) const noexcept;
    std::vector<DtmfEvent> packet(const RtpPacket &packet, TimePoint now);
    std::vector<DtmfEvent> poll(TimePoint now); // ends DTMF events that went silent
    void read(Samples frame, TimePoint now);    // what is due, at pcm_rate()

    [[nodiscard]] unsigned pcm_rate() const noexcept { return pcm_rate_; }
    [[nodiscard]] ReceiverStats &stats() noexcept { return stats_; }
    [[nodiscard]] const ReceiverStats &stats() const noexcept { return stats_; }
    [[nodiscard]] const JitterBuffer::Counters *counters() const noexcept;
    [[nodiscard]] unsigned ptime_ms() const noexcept {
        return buffer_ ? buffer_->options().ptime_ms : ptime_ms_;
    }
    [[nodiscard]] Duration buffered() const noexcept; // how old sound is when it is played, lately
    // What was there in its turn: of the whole call, and since the last interval().
    [[nodiscard]] const LossPattern &pattern() const noexcept { return pattern_; }
    LossPattern interval() noexcept { return std::exchange(interval_, {}); }
    [[nodiscard]] std::optional<TimePoint> last_packet() const noexcept { return last_packet_; }
    [[nodiscard]] std::uint32_t ssrc() const noexcept { return ssrc_; }
    // The peer said that it pauses, and what the noise there is like (RFC 3389).
    [[nodiscard]] bool pausing() const noexcept { return noise_.has_value(); }
    [[nodiscard]] bool reads_events() const noexcept { return dtmf_ && dtmf_->active(); }

private:
    [[nodiscard]] const CodecInfo *codec_of(std::uint8_t payload_type) const noexcept;
    [[nodiscard]] unsigned event_rate_of(std::uint8_t payload_type) const noexcept; // 0: no telephone-event
    bool use_codec(std::uint8_t payload_type);
    void refill(TimePoint now);
    void append(ConstSamples pcm);
    void keep_pace(const JitterBuffer::Frame &frame, TimePoint now);
    void note_losses(std::int64_t sequence);
    void take_noise(Bytes payload);
    void fill_silence(TimePoint now);
    void conceal(Bytes next);

    unsigned ptime_ms_;
    unsigned pcm_rate_ = 8000;
    Negotiated agreed_;
    std::unique_ptr<JitterBuffer> buffer_;
    std::optional<DtmfReceiver> dtmf_;
    ReceiverStats stats_;
    std::optional<TimePoint> last_packet_;
    std::uint32_t ssrc_ = 0;

    std::unique_ptr<Decoder> decoder_;
    const CodecInfo *decoding_ = nullptr;
    std::unique_ptr<Resampler> resampler_; // when the peer sends another codec than we agreed to send
    std::vector<std::int16_t> decoded_;    // one packet
    std::size_t packet_samples_ = 0;       // of the last packet, at the decoder's rate
    std::vector<std::int16_t> ready_;      // at pcm_rate_, not read yet
    std::vector<std::int16_t> piece_;      // of one packet, at pcm_rate_, on its way to ready_
    std::optional<NoiseGenerator> noise_;  // in a pause
    PlayoutControl playout_;
    LossPattern pattern_, interval_;
    std::optional<std::int64_t> last_sequence_; // played
    std::uint64_t late_before_ = 0, resets_before_ = 0;
    double age_ms_ = 0; // of what is played, smoothed
};

} // namespace offhook::media
