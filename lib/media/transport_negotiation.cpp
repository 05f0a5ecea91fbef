#include "media/transport_negotiation.hpp"

#include <algorithm>
#include <array>

namespace offhook::media {

namespace {

// Offered in this order. AES_256_CM is answered but not offered: it adds a line to every INVITE, and who
// knows it knows GCM.
constexpr std::array offered{SrtpSuite::aead_aes128_gcm, SrtpSuite::aead_aes256_gcm,
                             SrtpSuite::aes128_cm_sha1_80, SrtpSuite::aes128_cm_sha1_32};
constexpr std::size_t most_fingerprints = 8;

bool plain_profile(std::string_view protocol) {
    return protocol == "RTP/AVP" || protocol == "RTP/AVPF";
}

bool sdes_profile(std::string_view protocol) {
    return protocol == "RTP/SAVP" || protocol == "RTP/SAVPF";
}

bool dtls_profile(std::string_view protocol) {
    return protocol == "UDP/TLS/RTP/SAVP" || protocol == "UDP/TLS/RTP/SAVPF";
}

bool known_profile(std::string_view protocol) {
    return plain_profile(protocol) || sdes_profile(protocol) || dtls_profile(protocol);
}

Failure refuse(std::string why) {
    return fail(Errc::media, std::move(why), 488);
}

const std::string *find(const std::vector<SdpAttribute> &attributes, std::string_view name) {
    const auto found = std::ranges::find(attributes, name, &SdpAttribute::name);
    return found == attributes.end() ? nullptr : &found->value;
}

std::string_view find(const SdpMedia &media, const Sdp &sdp, std::string_view name) {
    const auto *value = media.attribute(name);
    if (value == nullptr) value = find(sdp.attributes, name);
    return value == nullptr ? std::string_view{} : *value;
}

std::vector<DtlsFingerprint> fingerprints(const std::vector<SdpAttribute> &attributes) {
    std::vector<DtlsFingerprint> list;
    for (const auto &attribute : attributes)
        if (attribute.name == "fingerprint" && list.size() < most_fingerprints)
            if (auto one = DtlsFingerprint::parse(attribute.value)) list.push_back(std::move(*one));
    return list;
}

bool has_fingerprint(const SdpMedia &media, const Sdp &sdp) {
    return media.attribute("fingerprint") != nullptr || find(sdp.attributes, "fingerprint") != nullptr;
}

// RFC 8839 §5.4: something on the way put another address into m= or c= and knows nothing of ICE.
bool ice_mismatch(const SdpMedia &media, const Sdp &sdp, const IceDescription &ice) {
    const auto &host = media.connection.address.empty() ? sdp.connection.address : media.connection.address;
    const auto address = Address::parse(host, media.port);
    if (!address || address->is_any() || ice.candidates.empty()) return false; // mDNS names, trickle
    return std::ranges::none_of(ice.candidates, [&](const auto &c) { return c.address == *address; });
}

} // namespace

void TransportNegotiation::set_ice(std::optional<IceDescription> ice, const std::optional<Address> &rtcp) {
    local_.ice = std::move(ice);
    local_.rtcp = rtcp;
}

const SrtpKey &TransportNegotiation::own_key(SrtpSuite suite) {
    const auto known = std::ranges::find(own_keys_, suite, &SrtpKey::suite);
    return known != own_keys_.end() ? *known : own_keys_.emplace_back(SrtpKey::random(suite));
}

void TransportNegotiation::write_offer(SdpMedia &media) {
    const bool dtls = offers_dtls();
    media.protocol = dtls ? "UDP/TLS/RTP/SAVP" : must_encrypt() ? "RTP/SAVP" : "RTP/AVP";
    mux_offered_ = dtls || local_.ice;
    if (mux_offered_) media.attributes.push_back({"rtcp-mux", ""});
    if (local_.rtcp)
        media.attributes.push_back(
            {"rtcp", std::to_string(local_.rtcp->port()) +
                         (local_.rtcp->family() == AF_INET6 ? " IN IP6 " : " IN IP4 ") + local_.rtcp->ip()});
    if (local_.ice) add_attributes(media, *local_.ice);
    if (dtls) {
        media.attributes.push_back({"fingerprint", local_.fingerprint.encode()});
        media.attributes.push_back({"setup", "actpass"});
        return;
    }
    if (local_.srtp == SrtpPolicy::off) return;
    unsigned tag = 0;
    for (const SrtpSuite suite : offered)
        media.attributes.push_back(
            {"crypto", encode({++tag, std::string(info(suite).sdes_name), own_key(suite)})});
}

Result<AgreedTransport> TransportNegotiation::plain(const SdpMedia &media) const {
    if (!plain_profile(media.protocol)) return refuse("encrypted media (SRTP) with no key that we can use");
    if (encrypted_) return refuse("the call is encrypted, and the peer wants to go on in the clear");
    if (must_encrypt()) return refuse("the peer does not encrypt its media (SRTP is required)");
    return AgreedTransport{};
}

// Who opens the DTLS association (RFC 4145 §4, RFC 8842 §5): the answer decides; one that is up stays as it
// is.
Result<AgreedDtls> TransportNegotiation::read_dtls(const SdpMedia &media, const Sdp &sdp, bool answer) const {
    AgreedDtls dtls{fingerprints(media.attributes), DtlsRole::client};
    if (dtls.fingerprints.empty()) dtls.fingerprints = fingerprints(sdp.attributes);
    if (dtls.fingerprints.empty())
        return refuse("DTLS-SRTP without a fingerprint that we believe (SHA-256 and stronger)");
    const auto setup = find(media, sdp, "setup");
    if (setup == "active" || (setup.empty() && answer))
        dtls.role = DtlsRole::server;
    else if (setup == "passive" || setup == "actpass" || setup.empty())
        dtls.role = dtls_ && dtls_->fingerprints == dtls.fingerprints && setup != "passive"
                        ? dtls_->role
                        : DtlsRole::client;
    else
        return refuse("DTLS-SRTP with a=setup:" + std::string(setup));
    if (answer && setup == "actpass") return refuse("an answer with a=setup:actpass decides nothing");
    return dtls;
}

Result<AgreedTransport> TransportNegotiation::read_answered_keys(const SdpMedia &media, const Sdp &sdp) {
    if (offers_dtls()) {
        if (!dtls_profile(media.protocol)) return refuse("the answer has no DTLS-SRTP, which was offered");
        auto dtls = read_dtls(media, sdp, true);
        if (!dtls) return fail(dtls.error());
        AgreedTransport agreed;
        agreed.dtls = std::move(*dtls);
        return agreed;
    }
    if (dtls_profile(media.protocol) || !known_profile(media.protocol))
        return refuse("the answer wants " + media.protocol + " for media that was not offered so");
    if (local_.srtp == SrtpPolicy::off)
        return sdes_profile(media.protocol)
                   ? refuse("the answer encrypts media that was offered in the clear")
                   : Result<AgreedTransport>{};
    for (const CryptoLine &line : crypto_lines(media)) {
        const bool ours =
            line.tag >= 1 && line.tag <= offered.size() && offered[line.tag - 1] == line.key.suite();
        if (!ours) continue;
        AgreedTransport agreed;
        agreed.sdes = SrtpKeys{own_key(line.key.suite()), line.key, line.mki};
        return agreed;
    }
    // A key that we cannot read is no answer to "encrypted or plain", least of all "plain".
    if (has_crypto(media)) return refuse("the answer's SRTP key belongs to none that was offered");
    return plain(media);
}

std::optional<AgreedTransport> TransportNegotiation::read_offered_sdes(const SdpMedia &media) {
    const auto lines = crypto_lines(media);
    const auto full_tag = [](const CryptoLine &line) {
        return line.key.suite() != SrtpSuite::aes128_cm_sha1_32;
    };
    auto chosen = std::ranges::find_if(lines, full_tag); // their order of preference
    if (chosen == lines.end()) chosen = lines.begin();
    if (chosen == lines.end()) return std::nullopt;
    AgreedTransport agreed;
    agreed.answer = CryptoLine{chosen->tag, chosen->suite_name, own_key(chosen->key.suite())};
    agreed.sdes = SrtpKeys{agreed.answer->key, chosen->key, chosen->mki};
    return agreed;
}

Result<AgreedTransport> TransportNegotiation::read_offered_keys(const SdpMedia &media, const Sdp &sdp) {
    if (!known_profile(media.protocol)) return refuse("no RTP audio is offered");
    if (local_.srtp == SrtpPolicy::off)
        return plain_profile(media.protocol)
                   ? Result<AgreedTransport>{}
                   : refuse("encrypted media (SRTP) is offered, and it is switched off");
    if (local_.srtp != SrtpPolicy::dtls && !dtls_profile(media.protocol))
        if (auto sdes = read_offered_sdes(media)) return std::move(*sdes);
    const bool dtls =
        dtls_profile(media.protocol) || (plain_profile(media.protocol) && has_fingerprint(media, sdp));
    if (dtls && !local_.fingerprint.digest.empty()) {
        auto read = read_dtls(media, sdp, false);
        if (!read) return fail(read.error());
        AgreedTransport agreed;
        agreed.dtls = std::move(*read);
        return agreed;
    }
    if (local_.srtp == SrtpPolicy::dtls) return refuse("the peer offers no DTLS-SRTP (--srtp dtls)");
    return plain(media);
}

void TransportNegotiation::read_carriage(const SdpMedia &media, const Sdp &sdp, AgreedTransport &into) const {
    into.rtcp_mux = media.attribute("rtcp-mux") != nullptr;
    if (const auto *mid = media.attribute("mid")) into.mid = mid->substr(0, 64);
    if (!local_.takes_ice) return;
    auto ice = ice_description(media, sdp);
    if (ice && !ice_mismatch(media, sdp, *ice)) into.ice = std::move(*ice);
}

Result<AgreedTransport> TransportNegotiation::read_answer(const SdpMedia &media, const Sdp &sdp) {
    auto agreed = read_answered_keys(media, sdp);
    if (!agreed) return agreed;
    read_carriage(media, sdp, *agreed);
    agreed->rtcp_mux = agreed->rtcp_mux && mux_offered_;
    return agreed;
}

Result<AgreedTransport> TransportNegotiation::read_offer(const SdpMedia &media, const Sdp &sdp) {
    auto agreed = read_offered_keys(media, sdp);
    if (agreed) read_carriage(media, sdp, *agreed);
    return agreed;
}

void TransportNegotiation::write_answer(SdpMedia &media, const AgreedTransport &agreed) const {
    if (!agreed.mid.empty()) media.attributes.push_back({"mid", agreed.mid});
    if (agreed.rtcp_mux) media.attributes.push_back({"rtcp-mux", ""});
    if (agreed.ice && local_.ice) add_attributes(media, *local_.ice);
    if (agreed.answer) media.attributes.push_back({"crypto", encode(*agreed.answer)});
    if (!agreed.dtls) return;
    media.attributes.push_back({"fingerprint", local_.fingerprint.encode()});
    media.attributes.push_back({"setup", agreed.dtls->role == DtlsRole::client ? "active" : "passive"});
}

void TransportNegotiation::agreed(const AgreedTransport &agreed) {
    encrypted_ = encrypted_ || agreed.encrypted();
    dtls_ = agreed.dtls;
}

} // namespace offhook::media
