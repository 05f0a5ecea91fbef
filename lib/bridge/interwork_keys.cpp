// SDES keys (RFC 4568) of the lines of phones.
#include <algorithm>

#include "bridge/interwork.hpp"

namespace offhook::bridge {

using media::SdpMedia;

namespace {

Failure no_key() {
    return fail(Errc::media, "no SRTP key that can be used", 488);
}

std::string secured(std::string_view protocol) {
    return protocol.ends_with("AVPF") ? "RTP/SAVPF" : "RTP/SAVP";
}

} // namespace

const media::SrtpKey &Interwork::own_key(End end, std::size_t line, media::SrtpSuite suite) {
    auto &keys = own(end).keys;
    const auto known = keys.find(line);
    if (known == keys.end() || known->second.suite() != suite)
        keys.insert_or_assign(line, media::SrtpKey::random(suite));
    return keys.at(line);
}

Result<> Interwork::read_keys(Line &line, std::size_t index, End from, const SdpMedia &media, bool answer) {
    LineEnd &end = line.at(from);
    if (own(from).web || end.rejected) return {};
    end.crypto.reset();
    const bool secure = media.protocol.find("SAVP") != std::string::npos;
    const bool wanted = secure || own(from).srtp != PlainSrtp::off;
    const bool must = secure || own(from).srtp == PlainSrtp::require;
    if (own(from).keys_elsewhere) {
        if (must && media::crypto_lines(media).empty()) return no_key();
        return {};
    }
    if (wanted)
        for (const auto &crypto : media::crypto_lines(media)) {
            // An answer chooses from what we offered, which is one suite.
            if (answer &&
                (!own(from).keys.contains(index) || own(from).keys.at(index).suite() != crypto.key.suite()))
                continue;
            end.crypto = crypto;
            break;
        }
    if (!end.crypto && must) return no_key();
    if (end.crypto) own_key(from, index, end.crypto->key.suite());
    return {};
}

void Interwork::add_keys(SdpMedia &media, const OwnPlace &place, const Line &line, std::size_t index, End to,
                         bool answering) {
    if (own(to).keys_elsewhere) {
        for (const auto &crypto : place.crypto)
            media.attributes.push_back({"crypto", crypto});
        if (own(to).srtp == PlainSrtp::require && !answering) media.protocol = secured(media.protocol);
        return;
    }
    const auto &theirs = line.at(to).crypto;
    if (answering) {
        if (!theirs) return;
        const media::CryptoLine mine{theirs->tag, theirs->suite_name,
                                     own_key(to, index, theirs->key.suite())};
        media.attributes.push_back({"crypto", encode(mine)});
        return;
    }
    if (own(to).srtp == PlainSrtp::off && !theirs) return;
    const auto suite = theirs ? theirs->key.suite() : media::SrtpSuite::aes128_cm_sha1_80;
    if (own(to).srtp == PlainSrtp::require || theirs) media.protocol = secured(media.protocol);
    const media::CryptoLine mine{1, std::string(info(suite).sdes_name), own_key(to, index, suite)};
    media.attributes.push_back({"crypto", encode(mine)});
}

std::optional<media::SrtpKeys> Interwork::keys(End end, std::size_t line) const {
    if (line >= lines_.size()) return {};
    const auto &theirs = lines_[line].at(end).crypto;
    const auto &ours = own_[static_cast<std::size_t>(end)]->keys;
    const auto found = ours.find(line);
    if (!theirs || found == ours.end() || found->second.suite() != theirs->key.suite()) return {};
    return media::SrtpKeys{found->second, theirs->key};
}

} // namespace offhook::bridge
