// MediaLeg: one end of an RTP session. Sockets, RTCP, jitter buffer, codec, DTMF; it knows neither devices
// nor SIP. Its owner gives it one frame and takes one frame per ptime (CallAudio paces by the monotonic
// clock).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/address.hpp"
#include "base/loop.hpp"
#include "media/dtmf.hpp"
#include "media/offer_answer.hpp"
#include "media/rtp.hpp"

namespace offhook::media {

struct DirectionStats {
    std::uint64_t packets = 0, bytes = 0;
    std::int64_t lost = 0; // received: by sequence numbers; sent: as the peer reports
    double jitter_ms = 0, mos = 0;
};

struct LegStats {
    DirectionStats received, sent;
    double round_trip_ms = -1; // from RTCP; -1 unknown
    std::uint64_t late = 0, concealed = 0, duplicates = 0;
    double jitter_buffer_ms = 0;
    Duration since_last_packet{-1}; // -1: none ever came
};

class MediaLeg {
public:
    struct Options {
        Address local_ip;      // where to bind (no port)
        std::string public_ip; // --public-address
        std::vector<const CodecInfo *> codecs;
        std::uint16_t port_min = 0, port_max = 0; // 0: any even port
        unsigned ptime_ms = 20;
        int opus_complexity = 5;
        LocalTransport transport;
    };
    struct Events { // all optional
        std::function<void(const DtmfEvent &)> dtmf;
        std::function<void()> first_packet;
        std::function<void()> codec_changed; // a new negotiation took effect
    };
    // Sees every RTP and RTCP packet, as it is without its encryption (for --pcap).
    using Tap = std::function<void(const Address &from, const Address &to, Bytes datagram)>;

    // Errors: Errc::network (no port free).
    static Result<std::unique_ptr<MediaLeg>> open(Loop &loop, Options options, Events events);
    ~MediaLeg(); // sends RTCP BYE
    MediaLeg(const MediaLeg &) = delete;
    MediaLeg &operator=(const MediaLeg &) = delete;

    // Offer/answer; after each completed exchange the stream follows it.
    Result<std::string> offer();
    Result<> answered(std::string_view sdp);
    Result<std::string> answer(std::string_view offer);
    void roll_back();
    void set_hold(bool hold);
    [[nodiscard]] const std::optional<Negotiated> &negotiated() const;
    [[nodiscard]] bool remote_hold() const;
    [[nodiscard]] bool sending_allowed() const; // negotiated and not held either way
    [[nodiscard]] bool receiving_expected() const;

    // PCM side, at pcm_rate() mono, frame_samples() each. 8000 Hz until something is negotiated.
    [[nodiscard]] unsigned pcm_rate() const;
    [[nodiscard]] std::size_t frame_samples() const;
    void send(ConstSamples frame); // encodes and sends; advances RTP time even when nothing may be sent
    void skip();                   // a tick without sending: RTP time advances
    void receive(Samples frame);   // what is due now; silence when nothing flows

    // telephone-event if negotiated; false: the caller uses INFO or in-band instead.
    [[nodiscard]] bool can_send_dtmf() const;
    Result<> send_dtmf(std::string_view digits);
    [[nodiscard]] bool dtmf_busy() const;

    [[nodiscard]] LegStats stats() const;
    [[nodiscard]] Address local_rtp() const;
    [[nodiscard]] std::string srtp() const; // "AEAD_AES_128_GCM"; empty: in the clear
    void set_tap(Tap tap);

private:
    struct Self;
    explicit MediaLeg(std::unique_ptr<Self> self);
    std::unique_ptr<Self> self_;
};

} // namespace offhook::media
