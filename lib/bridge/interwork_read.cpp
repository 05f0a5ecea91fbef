// What one end says about its media lines.
#include <algorithm>

#include "bridge/interwork.hpp"
#include "sip/grammar.hpp"
#include "sip/headers.hpp"

namespace offhook::bridge {

namespace {

using media::Direction;
using media::Sdp;
using media::SdpMedia;

constexpr unsigned longest_ptime = 60;
constexpr std::size_t longest_parameter_sets = 200; // bytes

std::optional<std::uint8_t> payload_number(std::string_view text) {
    const auto number = sip::parse_number(text);
    if (!number || *number > 127) return {};
    return static_cast<std::uint8_t>(*number);
}

// RFC 3551: numbers that need no rtpmap.
std::optional<Format> static_format(std::uint8_t number) {
    switch (number) {
    case 0:
        return Format{0, "PCMU", 8000, 1, {}};
    case 8:
        return Format{8, "PCMA", 8000, 1, {}};
    case 9:
        return Format{9, "G722", 8000, 1, {}};
    default:
        return {};
    }
}

// The value of "a=rtpmap:NUMBER …" or "a=fmtp:NUMBER …".
std::optional<std::string> numbered(const SdpMedia &media, std::string_view name, std::string_view number) {
    for (const auto &attribute : media.attributes) {
        if (attribute.name != name) continue;
        const auto space = attribute.value.find(' ');
        if (space != std::string::npos && attribute.value.substr(0, space) == number)
            return attribute.value.substr(space + 1);
    }
    return {};
}

std::optional<Format> read_format(const SdpMedia &media, const std::string &text) {
    const auto number = payload_number(text);
    if (!number) return {};
    auto format = static_format(*number);
    if (const auto map = numbered(media, "rtpmap", text)) {
        const auto slash = map->find('/');
        if (slash == std::string::npos) return {};
        const auto second = map->find('/', slash + 1);
        const auto clock = sip::parse_number(map->substr(slash + 1, second - slash - 1));
        const auto channels = second == std::string::npos ? std::optional<std::uint64_t>(1)
                                                          : sip::parse_number(map->substr(second + 1));
        if (!clock || *clock == 0 || *clock > 192'000 || !channels) return {};
        format = Format{*number,
                        map->substr(0, slash),
                        static_cast<unsigned>(*clock),
                        static_cast<unsigned>(*channels),
                        {}};
    }
    if (format)
        if (auto parameters = numbered(media, "fmtp", text)) format->fmtp = std::move(*parameters);
    return format;
}

Direction direction_of(const SdpMedia &media, const Sdp &sdp) {
    for (const auto *list : {&media.attributes, &sdp.attributes})
        for (const auto &attribute : *list)
            for (const auto direction :
                 {Direction::sendrecv, Direction::sendonly, Direction::recvonly, Direction::inactive})
                if (attribute.name == name(direction)) return direction;
    return Direction::sendrecv;
}

// RFC 2543 hold: no address to send to.
Direction without_receiving(Direction direction) {
    if (direction == Direction::sendrecv) return Direction::sendonly;
    return direction == Direction::recvonly ? Direction::inactive : direction;
}

const std::string *attribute_of(const SdpMedia &media, const Sdp &sdp, std::string_view name) {
    if (const auto *own = media.attribute(name)) return own;
    const auto found = std::ranges::find(sdp.attributes, name, &media::SdpAttribute::name);
    return found == sdp.attributes.end() ? nullptr : &found->value;
}

void read_address(LineEnd &end, const SdpMedia &media) {
    end.remote = end.remote_rtcp = {};
    const auto address = Address::parse(media.connection.address, media.port);
    if (!address || address->is_any() || media.port == 0) return;
    end.remote = *address;
    auto port = static_cast<std::uint16_t>(media.port + 1);
    if (const auto *rtcp = media.attribute("rtcp"))
        if (const auto number = sip::parse_number(rtcp->substr(0, rtcp->find(' ')));
            number && *number > 0 && *number < 65536)
            port = static_cast<std::uint16_t>(*number);
    end.remote_rtcp = address->with_port(end.rtcp_mux ? media.port : port);
}

// Of packets in milliseconds, where it is one that everybody can send; 0: as usual.
unsigned read_ptime(const SdpMedia &media) {
    const auto *text = media.attribute("ptime");
    const auto number = text != nullptr ? sip::parse_number(*text) : std::nullopt;
    return number && *number <= longest_ptime ? static_cast<unsigned>(*number) : 0;
}

// What is nobody's but the phone's: it may pass (T2).
std::vector<std::string> read_extras(const std::vector<media::SdpAttribute> &attributes) {
    constexpr std::size_t most = 16, longest = 256;
    std::vector<std::string> out;
    for (const auto &[name, value] : attributes) {
        const bool extra = name.size() > 2 && sip::iequals(std::string_view(name).substr(0, 2), "X-");
        if (extra && out.size() < most && name.size() + value.size() < longest)
            out.push_back(value.empty() ? name : name + ":" + value);
    }
    return out;
}

// Constrained baseline, as browsers call it.
bool is_plainest(const Format &format) {
    const std::string profile = fmtp_parameter(format.fmtp, "profile-level-id");
    return sip::grammar::to_lower(profile).starts_with("42e0");
}

// Of formats that count as one codec the end is known by the first; of H.264 profiles by the plainest.
void take(std::vector<Format> &formats, Format format) {
    const auto known = std::ranges::find(formats, format.key(), &Format::key);
    if (known == formats.end())
        formats.push_back(std::move(format));
    else if (is_plainest(format) && !is_plainest(*known))
        *known = std::move(format);
}

} // namespace

bool Interwork::allowed(const Format &format, bool web) const {
    const std::string name = sip::grammar::to_lower(format.name);
    const auto lists = [&](std::string_view codec) {
        return std::ranges::find(options_.codecs, codec) != options_.codecs.end();
    };
    if (format.is_event()) return format.clock == 8000 || (format.clock == 48000 && lists("opus"));
    // Only as it is registered: what passes here is remembered as long as the call lasts.
    const bool video = name == "h264" || name == "vp8";
    const auto *audio = media::find_codec(name);
    if (!video &&
        (audio == nullptr || audio->clock_rate != format.clock || audio->channels != format.channels))
        return false;
    if (video && format.clock != 90'000) return false;
    const std::string mode = fmtp_parameter(format.fmtp, "packetization-mode");
    if (name == "h264" && !mode.empty() && mode != "0" && mode != "1" && mode != "2") return false;
    // Browsers list half a dozen profiles and all have this one. A phone often knows one profile, whatever it
    // was offered.
    if (name == "h264" && web) {
        const std::string profile = sip::grammar::to_lower(fmtp_parameter(format.fmtp, "profile-level-id"));
        if (!profile.empty() && !profile.starts_with("42")) return false;
    }
    return lists(name);
}

void Interwork::read_session(End from, std::string_view text, const Sdp &sdp) {
    bandwidths_[index(from)] = media::SdpBandwidths::read(text);
    if (!own(from).web) extras_[index(from)] = read_extras(sdp.attributes);
}

void Interwork::read_line(Line &line, End from, const Sdp &sdp, const SdpMedia &media) {
    LineEnd &end = line.at(from);
    const bool web = own(from).web;
    const bool bundle_only = media.attribute("bundle-only") != nullptr;
    line.type = media.type;
    end.rejected = (media.port == 0 && !bundle_only) || (media.type != "audio" && media.type != "video");
    end.profile = media.protocol;
    end.rtcp_mux = media.attribute("rtcp-mux") != nullptr;
    end.feedback = std::ranges::any_of(media.attributes, [](const media::SdpAttribute &a) {
        return a.name == "rtcp-fb" && (a.value.ends_with(" nack pli") || a.value.ends_with(" ccm fir"));
    });
    end.direction = direction_of(media, sdp);
    if (const auto *mid = media.attribute("mid")) end.mid = *mid;
    if (!web) {
        read_address(end, media);
        if (!end.rejected && Address::parse(media.connection.address) &&
            Address::parse(media.connection.address)->is_any())
            end.direction = without_receiving(end.direction);
    }
    end.ptime = web ? 0 : read_ptime(media);
    if (!web) end.extras = read_extras(media.attributes);
    end.formats.clear();
    for (const auto &text : media.formats) {
        auto format = read_format(media, text);
        if (!format || !allowed(*format, web)) continue;
        if (fmtp_parameter(format->fmtp, "sprop-parameter-sets").size() > longest_parameter_sets)
            format->fmtp = without_parameter(format->fmtp, "sprop-parameter-sets");
        take(end.formats, std::move(*format));
    }
    const bool real = std::ranges::any_of(end.formats, [](const Format &f) { return !f.is_event(); });
    if (!real) end.rejected = true;
    for (const auto &format : end.formats)
        end.used[format.key()] = format.number; // our answers repeat its numbers
    if (!web || end.rejected) return;
    const auto *setup = attribute_of(media, sdp, "setup");
    end.setup = setup != nullptr ? *setup : "";
    if (const auto *ufrag = attribute_of(media, sdp, "ice-ufrag")) end.ufrag = *ufrag;
    if (const auto *print = attribute_of(media, sdp, "fingerprint"))
        fingerprints_[static_cast<std::size_t>(from)] = *print;
}

} // namespace offhook::bridge
