// How the media is protected and carried, negotiated with the SDP of one media section: keys in the SDP (RFC
// 4568, RFC 8643), DTLS-SRTP (RFC 5763, RFC 8842), ICE (RFC 8839), rtcp-mux (RFC 5761). Pure; OfferAnswer
// owns it and asks it about the lines that are not codecs.
#pragma once

#include <optional>
#include <vector>

#include "base/result.hpp"
#include "media/dtls.hpp"
#include "media/ice.hpp"
#include "media/sdes.hpp"
#include "media/sdp.hpp"

namespace offhook::media {

// What the user asked for (--srtp).
enum class SrtpPolicy : std::uint8_t {
    off,      // neither offered nor accepted
    optional, // offered beside plain RTP (RFC 8643); a call may be plain, and is told to be
    required, // no call without it, by keys in the SDP or by DTLS as the peer offers
    dtls,     // no call without DTLS-SRTP
};

struct LocalTransport {
    SrtpPolicy srtp = SrtpPolicy::off;
    DtlsFingerprint fingerprint;       // of our certificate; without a digest there is no DTLS
    bool takes_ice = false;            // the peer's description is of use
    std::optional<IceDescription> ice; // ours, as soon as candidates are gathered; absent: none is written
    std::optional<Address> rtcp;       // a=rtcp (RFC 3605), where it is not RTP's port + 1
};

struct AgreedDtls {
    std::vector<DtlsFingerprint> fingerprints; // the peer's
    DtlsRole role = DtlsRole::client;          // ours
    friend bool operator==(const AgreedDtls &, const AgreedDtls &) = default;
};

// What both sides agreed on for one media section.
struct AgreedTransport {
    std::optional<SrtpKeys> sdes;
    std::optional<CryptoLine> answer; // ours, when the offer was the peer's
    std::optional<AgreedDtls> dtls;
    std::optional<IceDescription> ice; // the peer's
    bool rtcp_mux = false;
    std::string mid; // a=mid of the peer's offer, for the answer to repeat

    [[nodiscard]] bool encrypted() const noexcept { return sdes || dtls; }
};

class TransportNegotiation {
public:
    explicit TransportNegotiation(LocalTransport local) : local_(std::move(local)) {}

    // Before an offer or answer that is to carry them: candidates are known late, and change with a restart.
    void set_ice(std::optional<IceDescription> ice, const std::optional<Address> &rtcp);
    // Sets the protocol of the section we offer and adds our attributes. The same keys every time: the peer
    // of a forked or repeated offer must be able to read us.
    void write_offer(SdpMedia &media);
    // Errors: Errc::media with sip = 488, in the user's words.
    Result<AgreedTransport> read_answer(const SdpMedia &media, const Sdp &sdp);
    Result<AgreedTransport> read_offer(const SdpMedia &media, const Sdp &sdp);
    // Our answer to the offer that gave `agreed`; the protocol is the offer's.
    void write_answer(SdpMedia &media, const AgreedTransport &agreed) const;
    // The exchange is complete. From the first encrypted one on, nothing less is agreed to.
    void agreed(const AgreedTransport &agreed);

private:
    const SrtpKey &own_key(SrtpSuite suite);
    [[nodiscard]] bool must_encrypt() const noexcept {
        return encrypted_ || local_.srtp == SrtpPolicy::required || local_.srtp == SrtpPolicy::dtls;
    }
    [[nodiscard]] bool offers_dtls() const noexcept {
        return local_.srtp == SrtpPolicy::dtls || (encrypted_ && dtls_.has_value());
    }
    Result<AgreedTransport> plain(const SdpMedia &media) const;
    Result<AgreedTransport> read_answered_keys(const SdpMedia &media, const Sdp &sdp);
    Result<AgreedTransport> read_offered_keys(const SdpMedia &media, const Sdp &sdp);
    [[nodiscard]] std::optional<AgreedTransport> read_offered_sdes(const SdpMedia &media);
    Result<AgreedDtls> read_dtls(const SdpMedia &media, const Sdp &sdp, bool answer) const;
    void read_carriage(const SdpMedia &media, const Sdp &sdp, AgreedTransport &into) const;

    LocalTransport local_;
    std::vector<SrtpKey> own_keys_;  // one for each suite offered or answered so far
    std::optional<AgreedDtls> dtls_; // the association that is up
    bool encrypted_ = false;
    bool mux_offered_ = false; // by our last offer
};

} // namespace offhook::media
