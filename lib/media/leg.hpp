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
#include "media/ice_transport.hpp"
#include "media/offer_answer.hpp"
#include "media/rtcp_xr.hpp"
#include "media/rtp.hpp"

namespace offhook::media {

struct DirectionStats {
    std::uint64_t packets = 0, bytes = 0;
    std::int64_t lost = 0; // received: by sequence numbers; sent: as the peer reports
    double jitter_ms = 0, mos = 0;
    double missing_percent = 0; // of what was due to be played: lost or too late
    double burst_ratio = 1;     // of that, BurstR of G.107
};

struct IntervalStats {                      // of what arrived since the last call of take_interval()
    std::uint64_t packets = 0, missing = 0; // due to be played; of them lost or too late
    double burst_ratio = 1, mos = 0;        // mos: 0 when nothing was played
};

struct LegStats {
    DirectionStats received, sent;
    double round_trip_ms = -1; // from RTCP; -1 unknown
    std::uint64_t late = 0, duplicates = 0;
    double concealed_ms = 0; // filled in where nothing, or nothing yet, had come; pauses do not count
    double jitter_buffer_ms = 0;
    Duration since_last_packet{-1};     // -1: none ever came
    std::optional<VoipMetrics> far_end; // what the peer says of our stream, when it sends RTCP-XR
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
        bool pauses = false; // send nothing, or comfort noise, while nobody speaks, where the peer agrees
        SrtpPolicy srtp = SrtpPolicy::off;
        IceTransport::Options ice;
    };
    struct Events { // all optional
        std::function<void(const DtmfEvent &)> dtmf;
        std::function<void()> first_packet;
        std::function<void()> codec_changed;                        // a new negotiation took effect
        std::function<void()> transport_changed;                    // ready(), srtp() or the way to the peer
        std::function<void()> transport_faltering;                  // time for restart_ice() and an offer
        std::function<void(const Error &)> transport_failed;        // ICE, its consent, or DTLS: for good
        std::function<void(const std::string &)> transport_trouble; // a server that does not answer; no more
        // The addresses of a host that the peer names by mDNS, see MediaTransport::LookUp.
        std::function<void(const std::string &host,
                           std::function<void(const std::vector<Address> &addresses)> found)>
            look_up;
    };
    // Sees every RTP and RTCP packet, as it is without its encryption (for --pcap).
    using Tap = std::function<void(const Address &from, const Address &to, Bytes datagram)>;

    // Errors: Errc::network (no port free).
    static Result<std::unique_ptr<MediaLeg>> open(Loop &loop, Options options, Events events);
    ~MediaLeg(); // sends RTCP BYE
    MediaLeg(const MediaLeg &) = delete;
    MediaLeg &operator=(const MediaLeg &) = delete;

    // Asks the STUN and TURN servers, before the first offer (`offerer`) or answer; `done` comes once, at
    // once when there is nobody to ask.
    void gather(bool offerer, const std::vector<IceServer> &servers, std::function<void()> done);

    // Offer/answer; after each completed exchange the stream follows it.
    Result<std::string> offer();
    Result<> answered(std::string_view sdp);
    // The peer's offer in two steps: can it be met (errors as OfferAnswer::apply_offer()), and our answer to
    // it.
    Result<> take_offer(std::string_view offer);
    Result<std::string> answer();
    Result<std::string> answer(std::string_view offer); // both
    // Our answer is on its way: ICE and DTLS begin. answered() does it by itself.
    void connect();
    void restart_ice(); // with the next offer; the way found before serves until then
    void roll_back();
    void set_hold(bool hold);
    // The host that the peer's SIP comes from: its RTP may come from there too (RtpLatch).
    void set_sip_peer(const Address &host);
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
    // Promises a receive() every ptime: once media flows, packets are read then, without waking the loop.
    void set_ticking(bool ticking);

    // telephone-event if negotiated; false: the caller uses INFO or in-band instead.
    [[nodiscard]] bool can_send_dtmf() const;
    Result<> send_dtmf(std::string_view digits);
    [[nodiscard]] bool dtmf_busy() const;

    [[nodiscard]] LegStats stats() const;
    IntervalStats take_interval();
    [[nodiscard]] Address local_rtp() const;
    [[nodiscard]] bool keys_in_sdp() const; // the SRTP keys travelled with the signalling (RFC 4568)
    [[nodiscard]] std::string srtp() const; // "AEAD_AES_128_GCM"; "dtls" until its end; empty: in the clear
    [[nodiscard]] bool transport_ready() const; // media can flow: a way is found, keys are there
    [[nodiscard]] std::string ice_pair() const; // "192.0.2.1:4000 to 198.51.100.2:5000"; empty without ICE
    void set_tap(Tap tap);

private:
    struct Self;
    explicit MediaLeg(std::unique_ptr<Self> self);
    std::unique_ptr<Self> self_;
};

} // namespace offhook::media
