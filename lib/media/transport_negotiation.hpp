// How the media is protected and carried, negotiated with the SDP of one media section (RFC 4568, RFC 8643).
// Pure; OfferAnswer owns it and asks it about the lines that are not codecs.
#pragma once

#include <optional>
#include <vector>

#include "base/result.hpp"
#include "media/sdes.hpp"
#include "media/sdp.hpp"

namespace offhook::media {

// What the user asked for (--srtp).
enum class SrtpPolicy : std::uint8_t {
    off,      // neither offered nor accepted
    optional, // offered beside plain RTP (RFC 8643); a call may be plain, and is told to be
    required, // no call without it
};

struct LocalTransport {
    SrtpPolicy srtp = SrtpPolicy::off;
};

// What both sides agreed on for one media section.
struct AgreedTransport {
    std::optional<SrtpKeys> sdes;
    std::optional<CryptoLine> answer; // ours, when the offer was the peer's

    [[nodiscard]] bool encrypted() const noexcept { return sdes.has_value(); }
};

class TransportNegotiation {
public:
    explicit TransportNegotiation(LocalTransport local) : local_(std::move(local)) {}

    // Sets the protocol of the section we offer and adds our attributes. The same keys every time: the peer
    // of a forked or repeated offer must be able to read us.
    void write_offer(SdpMedia &media);
    // Errors: Errc::media with sip = 488, in the user's words.
    Result<AgreedTransport> read_answer(const SdpMedia &media);
    Result<AgreedTransport> read_offer(const SdpMedia &media);
    // Our answer to the offer that gave `agreed`; the protocol is the offer's.
    static void write_answer(SdpMedia &media, const AgreedTransport &agreed);
    // The exchange is complete. From the first encrypted one on, nothing less is agreed to.
    void agreed(const AgreedTransport &agreed) noexcept { encrypted_ = encrypted_ || agreed.encrypted(); }

private:
    const SrtpKey &own_key(SrtpSuite suite);
    [[nodiscard]] bool must_encrypt() const noexcept {
        return encrypted_ || local_.srtp == SrtpPolicy::required;
    }
    Result<AgreedTransport> plain(const SdpMedia &media) const;

    LocalTransport local_;
    std::vector<SrtpKey> own_keys_; // one for each suite offered or answered so far
    bool encrypted_ = false;
};

} // namespace offhook::media
