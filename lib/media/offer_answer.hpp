// The offer/answer machine of RFC 3264 for one audio stream, pure: no sockets, no clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "base/result.hpp"
#include "media/codec.hpp"
#include "media/sdp.hpp"
#include "media/sdp_formats.hpp"
#include "media/transport_negotiation.hpp"

namespace offhook::media {

// What we are able and willing to do.
struct LocalMedia {
    Address rtp;                           // where we receive
    std::string public_ip;                 // --public-address: goes into c= instead of rtp's IP; may be empty
    std::vector<const CodecInfo *> codecs; // in order of preference
    bool telephone_event = true;
    bool pauses = false; // the peer may pause while nobody speaks there, with Opus (RFC 7587 usedtx)
    unsigned ptime_ms = 20;
    LocalTransport transport;
};

// What both sides agreed on.
struct Negotiated {
    const CodecInfo *codec = nullptr;
    std::uint8_t send_payload_type = 0; // what the peer wants to see
    std::uint8_t receive_payload_type = 0;
    std::vector<std::pair<std::uint8_t, const CodecInfo *>> receivable; // any of these may arrive
    std::optional<std::uint8_t> send_event_payload_type;                // telephone-event towards the peer
    unsigned event_clock_rate = 8000;                                   // of it
    std::vector<std::pair<std::uint8_t, unsigned>> receive_events; // any of these: payload type, clock rate
    // Comfort noise (RFC 3389) towards the peer and from it, with the codecs whose clock is that fast.
    std::optional<std::uint8_t> send_noise_payload_type, receive_noise_payload_type;
    std::string fmtp;  // the peer's parameters for codec
    Address rtp, rtcp; // the peer's; rtp.port() == 0 when it rejected or gave none
    unsigned ptime_ms = 20;
    Direction local_direction = Direction::sendrecv; // what WE may do: recvonly = we must not send
    bool peer_pauses = false;                        // it was told that it may (LocalMedia::pauses)
    bool voip_metrics = false; // the peer wants RTCP-XR of what we receive (RFC 3611 §5)
    bool remote_hold = false;  // the peer put us on hold: a=sendonly or inactive, or c=0.0.0.0 (RFC 2543)
    AgreedTransport transport;
};

class OfferAnswer {
public:
    enum class State : std::uint8_t { idle, local_offer, remote_offer, stable };

    explicit OfferAnswer(LocalMedia local) : local_(std::move(local)), transport_(local_.transport) {}

    [[nodiscard]] State state() const noexcept { return state_; }
    [[nodiscard]] const std::optional<Negotiated> &negotiated() const noexcept { return negotiated_; }
    [[nodiscard]] bool held_locally() const noexcept { return hold_; }
    void set_hold(bool hold) noexcept { hold_ = hold; } // takes effect with the next offer or answer

    // Where we receive, and our candidates: known only after gathering, and others after an ICE restart. For
    // the next offer or answer. `rtcp`: where it is not rtp's port + 1.
    void set_transport(const Address &rtp, std::optional<IceDescription> ice,
                       const std::optional<Address> &rtcp);
    // The transport of the peer's offer, from apply_offer() to make_answer().
    [[nodiscard]] const AgreedTransport *offered() const noexcept {
        return pending_ ? &pending_->transport : nullptr;
    }

    // A new offer of ours (initial or re-INVITE; o= version grows when it differs). Errors: an exchange is
    // already open.
    Result<std::string> make_offer();
    // The peer's answer to it. Errors: Errc::media (no common codec, m= refused), Errc::parse.
    Result<> apply_answer(std::string_view body);
    // The peer's offer. Errors: Errc::media with sip = 488, Errc::parse with sip = 400.
    Result<> apply_offer(std::string_view body);
    // Our answer to it: mirrors its m-lines (others refused with port 0), keeps its payload types,
    // codecs in our order of preference reduced to the common ones.
    Result<std::string> make_answer();
    // The re-INVITE failed (488, 491 …): back to what was agreed before (RFC 3261 §14.1), hold included: call
    // set_hold() again before another attempt.
    void roll_back();

private:
    // What an exchange may change and a failed one restores.
    struct Agreed {
        std::optional<Negotiated> negotiated;
        std::vector<SdpMedia> layout; // the m= lines of the session, in order (RFC 3264 §8: never fewer)
        std::size_t audio_index = 0;  // which of them is ours
        bool hold = false;
        PayloadTypes numbers;
    };
    [[nodiscard]] SdpMedia own_audio() const;
    void add_formats(SdpMedia &media, const std::vector<std::pair<std::uint8_t, const CodecInfo *>> &codecs,
                     std::optional<std::uint8_t> noise,
                     const std::vector<std::pair<std::uint8_t, unsigned>> &events) const;
    void receive_by_own_numbers(Negotiated &agreed);
    void agree_direction(const SdpMedia &media, const Sdp &sdp, Negotiated &out) const;
    [[nodiscard]] std::string describe(SdpMedia audio);
    Result<Negotiated> agree(const SdpMedia &remote_media, const Sdp &remote, bool answer);
    Result<Negotiated> choose_audio(const Sdp &sdp);
    Result<Negotiated> agree_formats(const SdpMedia &remote_media, bool answer) const;
    void agree_events(const std::vector<SdpFormat> &formats, Negotiated &out) const;
    static void agree_noise(const std::vector<SdpFormat> &formats, Negotiated &out);
    Result<> read_addresses(const SdpMedia &media, const Sdp &sdp, Negotiated &out) const;
    static Direction direction_of(const SdpMedia &media, const Sdp &sdp) noexcept;

    LocalMedia local_;
    TransportNegotiation transport_;
    State state_ = State::idle;
    bool hold_ = false;
    std::uint64_t session_id_ = 0, version_ = 0;
    std::string last_body_;
    std::optional<Negotiated> negotiated_;
    Agreed current_, before_;
    std::optional<Negotiated> pending_; // from the peer's offer, until make_answer()
    std::vector<SdpMedia> pending_layout_;
    std::size_t pending_index_ = 0;
};

} // namespace offhook::media
