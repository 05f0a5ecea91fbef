#include "bridge/ng_descriptions.hpp"

#include <algorithm>
#include <utility>

#include "base/random.hpp"

namespace offhook::bridge {

namespace {

using media::Sdp;
using media::SdpMedia;

Bencode::List words(std::initializer_list<const char *> items) {
    return {items.begin(), items.end()};
}

Bencode::Dict common_flags(Bencode::Dict flags) {
    flags["replace"] = words({"origin", "session-connection"});
    return flags;
}

const std::string *attribute_of(const SdpMedia &media, const Sdp &sdp, std::string_view name) {
    if (const auto *own = media.attribute(name)) return own;
    const auto found = std::ranges::find(sdp.attributes, name, &media::SdpAttribute::name);
    return found == sdp.attributes.end() ? nullptr : &found->value;
}

std::string text_of(const SdpMedia &media, const Sdp &sdp, std::string_view name) {
    const auto *value = attribute_of(media, sdp, name);
    return value != nullptr ? *value : std::string();
}

// rtpengine offers a dozen suites, some of which encrypt nothing.
std::vector<std::string> usable_keys(const SdpMedia &media) {
    std::vector<std::string> out;
    for (const auto &line : media::crypto_lines(media))
        out.push_back(encode(line));
    return out;
}

OwnPlace place_of(const SdpMedia &media, const Sdp &sdp, bool web) {
    OwnPlace place;
    place.connection = media.connection;
    place.port = media.port;
    place.rtcp_mux = media.attribute("rtcp-mux") != nullptr;
    if (!web) {
        place.crypto = usable_keys(media);
        return place;
    }
    place.ufrag = text_of(media, sdp, "ice-ufrag");
    place.password = text_of(media, sdp, "ice-pwd");
    place.fingerprint = text_of(media, sdp, "fingerprint");
    for (const auto &attribute : media.attributes)
        if (attribute.name == "candidate") place.candidates.push_back(attribute.value);
    return place;
}

bool usable(const OwnPlace &place, bool web) {
    if (place.port == 0) return true; // refused
    if (place.connection.address.empty()) return false;
    return !web || (!place.ufrag.empty() && !place.password.empty() && !place.fingerprint.empty());
}

// The address of a browser's description says nothing, but 0.0.0.0 is a hold for rtpengine.
void set_address(SdpMedia &media, const Address &signalling) {
    const auto given = Address::parse(media.connection.address);
    if ((given && !given->is_any()) || !signalling.is_set()) return;
    media.connection = {signalling.ip(), signalling.family() == AF_INET6};
}

Failure unusable(const std::string &why) {
    return fail(Errc::media, "rtpengine: " + why, 503);
}

} // namespace

NgSide::NgSide(bool web, const Address &from, PlainSrtp srtp, bool avpf) : signalling(from) {
    own.web = web;
    own.bundles = false;
    own.keys_elsewhere = true;
    own.srtp = srtp;
    own.avpf = avpf;
    own.session_id = std::to_string(random_u64() >> 2);
    own.place = [this](std::size_t line) -> Result<OwnPlace> {
        return line < places.size() ? places[line] : OwnPlace{};
    };
}

NgDescriptions::NgDescriptions(NgSide &caller, bool callee_web, const Address &callee, const Options &options)
    : caller_(caller), callee_(callee_web, callee, options.srtp, options.avpf),
      work_(caller_.own, callee_.own, {options.codecs, false, true}) {}

Bencode::Dict NgDescriptions::offer_flags(End to) const {
    const bool from_web = side(other(to)).own.web;
    if (side(to).own.web)
        return common_flags({{"ICE", "force"},
                             {"ICE-lite", from_web ? "both" : "forward"},
                             {"DTLS", "passive"},
                             {"SDES", words({"off"})},
                             {"rtcp-mux", words({"offer", "require"})},
                             {"transport-protocol", "UDP/TLS/RTP/SAVPF"},
                             {"flags", words({"generate-mid"})}});
    const PlainSrtp srtp = side(to).own.srtp;
    Bencode::List flags = words({"no-rtcp-attribute"});
    if (srtp == PlainSrtp::offer) flags.emplace_back("OSRTP-offer");
    Bencode::Dict out{
        {"ICE", "remove"},
        {"DTLS", "off"},
        {"rtcp-mux", words({"demux"})},
        {"transport-protocol", std::string(srtp == PlainSrtp::require ? "RTP/SAVP" : "RTP/AVP") +
                                   (side(to).own.avpf ? "F" : "")}, // else it would drop the feedback
        {"flags", std::move(flags)}};
    if (srtp == PlainSrtp::off) out["SDES"] = words({"off"});
    if (from_web) out["ICE-lite"] = "backward"; // and never the one that begins, in its answers too
    return common_flags(std::move(out));
}

Bencode::Dict NgDescriptions::answer_flags(End to) const {
    if (side(to).own.web)
        return common_flags({{"ICE", "force"},
                             {"DTLS", "passive"},
                             {"rtcp-mux", words({"require"})},
                             {"transport-protocol", "UDP/TLS/RTP/SAVPF"},
                             {"flags", words({"generate-mid", "SDES-off"})}});
    return common_flags({{"ICE", "remove"}, {"rtcp-mux", words({"demux"})}}); // the offer's protocol
}

Result<std::string> NgDescriptions::question(End from, std::string_view text, bool answering) const {
    auto sdp = Sdp::parse(text);
    if (!sdp) return fail(Errc::parse, sdp.error().what, 400);
    std::erase_if(sdp->attributes, [](const auto &attribute) { return attribute.name == "group"; });
    const auto &lines = work_.lines();
    for (std::size_t i = sdp->media.size(); i < lines.size(); ++i) {
        SdpMedia gone;
        gone.type = lines[i].type;
        gone.formats = {"0"};
        sdp->media.push_back(std::move(gone));
    }
    if (answering) sdp->media.resize(lines.size());
    for (auto &media : sdp->media) {
        std::erase_if(media.attributes,
                      [](const auto &attribute) { return attribute.name == "bundle-only"; });
        if (media.type != "audio" && media.type != "video") media.port = 0;
        if (side(from).own.web) set_address(media, side(from).signalling);
    }
    return sdp->encode();
}

// Our side towards `to`.
Result<> NgDescriptions::take(End to, std::string_view engine) {
    const auto sdp = Sdp::parse(engine);
    if (!sdp) return unusable(sdp.error().what);
    NgSide &mine = side(to);
    std::vector<OwnPlace> places;
    for (const auto &media : sdp->media) {
        places.push_back(place_of(media, *sdp, mine.own.web));
        if (!usable(places.back(), mine.own.web))
            return unusable("media line " + std::to_string(places.size()) + " has no transport");
    }
    const auto served = std::ranges::find_if(places, [](const OwnPlace &place) { return place.port != 0; });
    if (served != places.end()) mine.own.connection = served->connection;
    if (mine.own.connection.address.empty()) return unusable("no media line has a port");
    mine.own.lite =
        std::ranges::find(sdp->attributes, "ice-lite", &media::SdpAttribute::name) != sdp->attributes.end();
    mine.places = std::move(places);
    return {};
}

Result<std::string> NgDescriptions::offer(End from, std::string_view sdp, std::string_view engine) {
    if (auto taken = take(other(from), engine); !taken) return tl::unexpected(taken.error());
    return work_.offer(from, sdp);
}

Result<std::string> NgDescriptions::answer(End from, std::string_view sdp, std::string_view engine) {
    if (auto taken = take(other(from), engine); !taken) return tl::unexpected(taken.error());
    return work_.answer(from, sdp);
}

} // namespace offhook::bridge
