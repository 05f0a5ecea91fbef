#include "media/transport_negotiation.hpp"

#include <algorithm>
#include <array>

namespace offhook::media {

namespace {

// Offered in this order. AES_256_CM is answered but not offered: it adds a line to every INVITE, and who
// knows it knows GCM.
constexpr std::array offered{SrtpSuite::aead_aes128_gcm, SrtpSuite::aead_aes256_gcm,
                             SrtpSuite::aes128_cm_sha1_80, SrtpSuite::aes128_cm_sha1_32};

bool plain_profile(std::string_view protocol) {
    return protocol == "RTP/AVP" || protocol == "RTP/AVPF";
}

bool sdes_profile(std::string_view protocol) {
    return protocol == "RTP/SAVP" || protocol == "RTP/SAVPF";
}

Failure refuse(std::string why) {
    return fail(Errc::media, std::move(why), 488);
}

} // namespace

const SrtpKey &TransportNegotiation::own_key(SrtpSuite suite) {
    const auto known = std::ranges::find(own_keys_, suite, &SrtpKey::suite);
    return known != own_keys_.end() ? *known : own_keys_.emplace_back(SrtpKey::random(suite));
}

void TransportNegotiation::write_offer(SdpMedia &media) {
    media.protocol = must_encrypt() ? "RTP/SAVP" : "RTP/AVP";
    if (local_.srtp == SrtpPolicy::off) return;
    unsigned tag = 0;
    for (const SrtpSuite suite : offered)
        media.attributes.push_back(
            {"crypto", encode({++tag, std::string(info(suite).sdes_name), own_key(suite)})});
}

Result<AgreedTransport> TransportNegotiation::plain(const SdpMedia &media) const {
    if (sdes_profile(media.protocol)) return refuse("encrypted media (SRTP) with no key that we can use");
    if (encrypted_) return refuse("the call is encrypted, and the peer wants to go on in the clear");
    if (must_encrypt()) return refuse("the peer does not encrypt its media (SRTP is required)");
    return AgreedTransport{};
}

Result<AgreedTransport> TransportNegotiation::read_answer(const SdpMedia &media) {
    if (!plain_profile(media.protocol) && !sdes_profile(media.protocol))
        return refuse("the answer wants " + media.protocol + " for media that was not offered so");
    if (local_.srtp == SrtpPolicy::off)
        return sdes_profile(media.protocol)
                   ? refuse("the answer encrypts media that was offered in the clear")
                   : Result<AgreedTransport>{};
    for (const CryptoLine &line : crypto_lines(media)) {
        const bool ours =
            line.tag >= 1 && line.tag <= offered.size() && offered[line.tag - 1] == line.key.suite();
        if (ours) return AgreedTransport{.sdes = SrtpKeys{own_key(line.key.suite()), line.key}, .answer = {}};
    }
    // A key that we cannot read is no answer to "encrypted or plain", least of all "plain".
    if (has_crypto(media)) return refuse("the answer's SRTP key belongs to none that was offered");
    return plain(media);
}

Result<AgreedTransport> TransportNegotiation::read_offer(const SdpMedia &media) {
    if (!plain_profile(media.protocol) && !sdes_profile(media.protocol))
        return refuse("no RTP audio is offered");
    if (local_.srtp == SrtpPolicy::off)
        return sdes_profile(media.protocol)
                   ? refuse("encrypted media (SRTP) is offered, and it is switched off")
                   : Result<AgreedTransport>{};
    const auto lines = crypto_lines(media);
    const auto full_tag = [](const CryptoLine &line) {
        return line.key.suite() != SrtpSuite::aes128_cm_sha1_32;
    };
    auto chosen = std::ranges::find_if(lines, full_tag); // their order of preference
    if (chosen == lines.end()) chosen = lines.begin();
    if (chosen == lines.end()) return plain(media);
    CryptoLine answer{chosen->tag, chosen->suite_name, own_key(chosen->key.suite())};
    return AgreedTransport{.sdes = SrtpKeys{answer.key, chosen->key}, .answer = std::move(answer)};
}

void TransportNegotiation::write_answer(SdpMedia &media, const AgreedTransport &agreed) {
    if (agreed.answer) media.attributes.push_back({"crypto", encode(*agreed.answer)});
}

} // namespace offhook::media
