// One direction of one audio line from one codec to another: packets in, packets out, 20 ms each. Pure. Adds
// no delay of its own but the resampler's (2 ms): it has no jitter buffer, the receiver at the end has one.
// Late packets are left out, short gaps concealed, long ones passed on as what they are.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "media/codec.hpp"
#include "media/resample.hpp"
#include "media/rtp.hpp"

namespace offhook::bridge {

class Transcoder {
public:
    struct Codec {
        const media::CodecInfo *info = nullptr;
        std::string fmtp; // of whoever receives it
        friend bool operator==(const Codec &, const Codec &) = default;
    };
    // The header's SSRC is the incoming one, so that a new source is seen as one; its payload type is not
    // set.
    using Emit = std::function<void(const media::RtpHeader &header, std::span<const std::uint8_t> payload)>;

    // Errors: as make_encoder() and make_decoder().
    static Result<std::unique_ptr<Transcoder>> open(const Codec &from, const Codec &to);

    void audio(const media::RtpPacket &packet, const Emit &emit);
    // A telephone-event (RFC 4733) between the audio: it keeps its place in time.
    void event(const media::RtpPacket &packet, const Emit &emit);
    [[nodiscard]] bool is(const Codec &from, const Codec &to) const noexcept {
        return from == from_ && to == to_;
    }

private:
    Transcoder(Codec from, Codec to, std::unique_ptr<media::Decoder> decoder,
               std::unique_ptr<media::Encoder> encoder);
    void restart(const media::RtpHeader &header);
    bool bridge_gap(const media::RtpPacket &packet, const Emit &emit);
    void take(std::size_t samples, const Emit &emit);
    void pass(const Emit &emit);
    // Units of the outgoing clock for units of the incoming one.
    [[nodiscard]] std::int64_t scaled(std::int64_t units) const noexcept;

    Codec from_, to_;
    std::unique_ptr<media::Decoder> decoder_;
    std::unique_ptr<media::Encoder> encoder_;
    media::Resampler resampler_;
    std::vector<std::int16_t> decoded_, resampled_, waiting_; // waiting_: for a whole frame
    bool started_ = false, marker_ = false, after_event_ = false;
    std::uint32_t ssrc_ = 0, expected_ = 0; // of the source: its next timestamp
    std::uint16_t newest_ = 0;
    std::uint32_t
        timestamp_; // ours, of the next frame; both start anywhere, so that another transcoder in this
    std::uint16_t sequence_;                                       // one's place is seen as another source
    std::optional<std::pair<std::uint32_t, std::uint32_t>> event_; // the source's timestamp, and ours for it
};

} // namespace offhook::bridge
