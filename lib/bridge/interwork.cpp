#include "bridge/interwork.hpp"

#include <algorithm>
#include <iterator>
#include <set>

#include "sip/grammar.hpp"
#include "sip/headers.hpp"

namespace offhook::bridge {

namespace {

using media::Direction;
using media::Sdp;
using media::SdpMedia;

constexpr std::size_t most_lines = 8;
constexpr std::uint8_t usual_event_number = 101;   // what old phones expect
constexpr std::uint8_t opus_number = 111;          // what browsers take
constexpr std::uint32_t tcp_priority = 2124414975; // RFC 6544 §4.2: a passive one, behind UDP

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

std::string without_parameter(std::string_view fmtp, std::string_view name) {
    std::string out;
    while (!fmtp.empty()) {
        const auto end = std::min(fmtp.find(';'), fmtp.size());
        const auto item = sip::trim(fmtp.substr(0, end));
        if (!sip::iequals(item.substr(0, std::min(item.find('='), item.size())), name))
            out.append(out.empty() ? "" : ";").append(item);
        fmtp.remove_prefix(std::min(end + 1, fmtp.size()));
    }
    return out;
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

std::set<unsigned> clocks_of(const std::vector<Format> &formats) {
    std::set<unsigned> out;
    for (const auto &format : formats)
        if (!format.is_event()) out.insert(format.clock);
    return out;
}

Failure no_codec() {
    return fail(Errc::media, "no codec in common", 488);
}

} // namespace

Direction legal_answer(Direction answer, Direction offered) {
    const bool may_send = offered == Direction::sendrecv || offered == Direction::recvonly;
    const bool may_receive = offered == Direction::sendrecv || offered == Direction::sendonly;
    const bool sends = may_send && (answer == Direction::sendrecv || answer == Direction::sendonly);
    const bool receives = may_receive && (answer == Direction::sendrecv || answer == Direction::recvonly);
    if (sends && receives) return Direction::sendrecv;
    if (sends) return Direction::sendonly;
    return receives ? Direction::recvonly : Direction::inactive;
}

bool Interwork::allowed(const Format &format) const {
    const std::string name = sip::grammar::to_lower(format.name);
    const auto lists = [&](std::string_view codec) {
        return std::ranges::find(options_.codecs, codec) != options_.codecs.end();
    };
    if (format.is_event()) return format.clock == 8000 || (format.clock == 48000 && lists("opus"));
    if (name == "opus" && (format.clock != 48000 || format.channels != 2)) return false;
    if (name == "h264") {
        // One profile that everybody decodes; Chrome lists half a dozen.
        const std::string profile = sip::grammar::to_lower(fmtp_parameter(format.fmtp, "profile-level-id"));
        if (!profile.empty() && !profile.starts_with("42")) return false;
    }
    return lists(name);
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
    end.formats.clear();
    std::set<std::string> keys;
    for (const auto &text : media.formats) {
        auto format = read_format(media, text);
        if (!format || !allowed(*format) || !keys.insert(format->key()).second) continue;
        if (format->name == "H264" && fmtp_parameter(format->fmtp, "sprop-parameter-sets").size() > 200)
            format->fmtp = without_parameter(format->fmtp, "sprop-parameter-sets");
        end.formats.push_back(std::move(*format));
    }
    const bool real = std::ranges::any_of(end.formats, [](const Format &f) { return !f.is_event(); });
    if (!real) end.rejected = true;
    for (const auto &format : end.formats)
        end.used[format.key()] = format.number; // our answers repeat its numbers
    if (!web || end.rejected) return;
    if (const auto *ufrag = attribute_of(media, sdp, "ice-ufrag")) end.ufrag = *ufrag;
    if (const auto *print = attribute_of(media, sdp, "fingerprint"))
        fingerprints_[static_cast<std::size_t>(from)] = *print;
}

// Browsers find the line of a packet by its number: unique over all lines of a bundle.
bool Interwork::number_taken(End to, const Line &line, std::uint8_t number, const std::string &key) const {
    const bool web = own_[static_cast<std::size_t>(to)]->web;
    for (const auto &other_line : lines_) {
        if (!web && &other_line != &line) continue;
        for (const auto &[taken_key, taken] : other_line.at(to).used)
            if (taken == number && (taken_key != key || &other_line != &line)) return true;
    }
    return false;
}

// The numbers of an offer for `to`: what it knows already, else the offerer's, else any that is free.
void Interwork::keep_numbers(Line &line, End to) {
    auto formats = with_more(line, line.at(other(to)).formats);
    const bool events = std::ranges::any_of(formats, &Format::is_event);
    if (own(to).web && events) // the one of the right clock, even where the phone has only the other
        for (const unsigned clock : clocks_of(formats))
            if (const Format event{usual_event_number, "telephone-event", clock};
                std::ranges::find(formats, event.key(), &Format::key) == formats.end())
                formats.push_back(event);
    for (const auto &format : formats) {
        const std::string key = format.key();
        if (line.at(to).used.contains(key)) continue;
        std::uint8_t number = format.number;
        if (format.is_event() && format.clock == 8000 && !own(to).web) number = usual_event_number;
        for (std::uint8_t next = 96; number_taken(to, line, number, key) && next < 128; ++next)
            number = next;
        line.at(to).used[key] = number;
    }
}

Result<std::string> Interwork::offer(End from, std::string_view text) {
    auto sdp = Sdp::parse(text);
    if (!sdp) return fail(Errc::parse, sdp.error().what, 400);
    if (sdp->media.empty() || sdp->media.size() > most_lines || sdp->media.size() < lines_.size())
        return fail(Errc::media, "the offer has " + std::to_string(sdp->media.size()) + " media lines", 488);
    if (!before_) before_ = lines_;
    lines_.resize(sdp->media.size());
    bool any = false;
    for (std::size_t i = 0; i < lines_.size(); ++i) {
        read_line(lines_[i], from, *sdp, sdp->media[i]);
        if (auto keys = read_keys(lines_[i], i, from, sdp->media[i], false); !keys) {
            roll_back();
            return fail(keys.error());
        }
        any |= !lines_[i].at(from).rejected;
    }
    if (!any && before_->empty()) {
        roll_back();
        return no_codec();
    }
    for (auto &line : lines_)
        keep_numbers(line, other(from));
    return write(other(from), false);
}

Result<std::string> Interwork::answer(End from, std::string_view text) {
    auto sdp = Sdp::parse(text);
    if (!sdp) return fail(Errc::parse, sdp.error().what, 400);
    bool any = false, offered = false;
    for (std::size_t i = 0; i < lines_.size(); ++i) {
        Line &line = lines_[i];
        const LineEnd &asked = line.at(other(from));
        offered |= !asked.rejected;
        if (i >= sdp->media.size()) {
            line.at(from).rejected = true;
            continue;
        }
        const auto used = line.at(from).used; // an answer does not renumber what we offered
        const std::string type = line.type;
        read_line(line, from, *sdp, sdp->media[i]);
        line.type = type;
        line.answered_by = from;
        for (const auto &[key, number] : used)
            line.at(from).used[key] = number;
        auto &formats = line.at(from).formats;
        const bool events = std::ranges::any_of(asked.formats, &Format::is_event);
        const auto common = [&](const Format &f) {
            return std::ranges::find(asked.formats, f.key(), &Format::key) != asked.formats.end();
        };
        // What an end names first it will speak.
        const auto first = std::ranges::find_if(formats, [](const Format &f) { return !f.is_event(); });
        line.transcoded =
            can_transcode(line) && first != formats.end() && !common(*first) && first->codec() != nullptr &&
            std::ranges::any_of(asked.formats, [](const Format &f) { return f.codec() != nullptr; });
        std::erase_if(formats, [&](const Format &f) {
            if (f.is_event()) return !events;
            return !common(f) && !(line.transcoded && f.codec() != nullptr);
        });
        if (i < kept_.size()) follow(line, from, kept_[i]);
        const bool real = std::ranges::any_of(formats, [](const Format &f) { return !f.is_event(); });
        if (!real || asked.rejected) line.at(from).rejected = true;
        if (auto keys = read_keys(line, i, from, sdp->media[i], true); !keys) {
            roll_back();
            return fail(keys.error());
        }
        any |= !line.at(from).rejected;
    }
    if (!any && offered) {
        roll_back();
        return no_codec();
    }
    before_.reset();
    return write(other(from), true);
}

std::optional<std::string> Interwork::restart(End from, std::string_view text) {
    const auto sdp = Sdp::parse(text);
    if (!own(from).web || before_ || !sdp || sdp->media.size() != lines_.size()) return {};
    const auto lines = lines_;
    const auto prints = fingerprints_;
    bool anew = false, same = true;
    for (std::size_t i = 0; i < lines_.size(); ++i) {
        read_line(lines_[i], from, *sdp, sdp->media[i]);
        const LineEnd &was = lines[i].at(from), &now = lines_[i].at(from);
        anew |= now.ufrag != was.ufrag;
        same &= now.rejected == was.rejected && now.direction == was.direction;
        std::erase_if(lines_[i].at(other(from)).formats, [&](const Format &f) {
            return !f.is_event() &&
                   std::ranges::find(now.formats, f.key(), &Format::key) == now.formats.end();
        });
    }
    if (anew && same && prints == fingerprints_)
        if (auto answer = write(from, true)) return std::move(*answer);
    lines_ = lines;
    fingerprints_ = prints;
    return {};
}

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
    if (wanted)
        for (const auto &crypto : media::crypto_lines(media)) {
            // An answer chooses from what we offered, which is one suite.
            if (answer &&
                (!own(from).keys.contains(index) || own(from).keys.at(index).suite() != crypto.key.suite()))
                continue;
            end.crypto = crypto;
            break;
        }
    if (!end.crypto && (secure || own(from).srtp == PlainSrtp::require))
        return fail(Errc::media, "no SRTP key that can be used", 488);
    if (end.crypto) own_key(from, index, end.crypto->key.suite());
    return {};
}

void Interwork::add_keys(SdpMedia &media, const Line &line, std::size_t index, End to, bool answering) {
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
    if (own(to).srtp == PlainSrtp::require || theirs) media.protocol = "RTP/SAVP";
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

void Interwork::roll_back() {
    if (!before_) return;
    // Lines stay (RFC 3264 §8: never fewer), but what the refused offer said about them is void.
    auto kept = std::move(*before_);
    before_.reset();
    lines_ = std::move(kept);
}

void Interwork::add_formats(SdpMedia &media, const Line &line, End to, bool web,
                            const std::vector<Format> &formats) {
    for (const auto &format : formats) {
        const auto used = line.at(to).used.find(format.key());
        if (used == line.at(to).used.end()) continue;
        const std::string number = std::to_string(used->second);
        media.formats.push_back(number);
        std::string map = number + " " + format.name + "/" + std::to_string(format.clock);
        if (format.channels > 1) map += "/" + std::to_string(format.channels);
        media.attributes.push_back({"rtpmap", map});
        std::string fmtp = format.fmtp;
        if (format.is_event()) fmtp = "0-16"; // Chrome sends none, phones want it
        if (format.name == "H264" && fmtp.empty()) fmtp = "packetization-mode=0;profile-level-id=42e01f";
        if (!fmtp.empty()) media.attributes.push_back({"fmtp", number + " " + fmtp});
        if (web && media.type == "video") {
            media.attributes.push_back({"rtcp-fb", number + " nack pli"});
            media.attributes.push_back({"rtcp-fb", number + " ccm fir"});
        }
    }
}

void Interwork::add_web_lines(SdpMedia &media, const Line &line, std::size_t index, End to, bool answering) {
    const OwnEnd &mine = own(to);
    auto &lines = media.attributes;
    lines.push_back({"mid", line.at(to).mid});
    lines.push_back({"ice-ufrag", mine.ufrag});
    lines.push_back({"ice-pwd", mine.password});
    lines.push_back({"fingerprint", mine.fingerprint});
    // Browsers keep the role of the first exchange: theirs is active, whoever offers.
    const bool settled = !fingerprints_[static_cast<std::size_t>(to)].empty();
    lines.push_back({"setup", answering || settled ? "passive" : "actpass"});
    lines.push_back({"rtcp-mux", ""});
    const std::string ssrc = std::to_string(index < mine.ssrcs.size() ? mine.ssrcs[index] : 0);
    lines.push_back({"msid", "offhook offhook" + std::to_string(index)});
    lines.push_back({"ssrc", ssrc + " cname:offhook"});
    lines.push_back(
        {"candidate", "1 1 udp 2130706431 " + mine.ip + " " + std::to_string(media.port) + " typ host"});
    if (mine.tcp_port != 0)
        lines.push_back({"candidate", "2 1 tcp " + std::to_string(tcp_priority) + " " + mine.ip + " " +
                                          std::to_string(mine.tcp_port) + " typ host tcptype passive"});
    lines.push_back({"end-of-candidates", ""});
}

bool Interwork::can_transcode(const Line &line) const {
    return options_.transcode && line.type == "audio";
}

// The audio codecs that `formats` lacks and that we could make of them, behind the ones that pass as they
// are.
std::vector<Format> Interwork::with_more(const Line &line, std::vector<Format> formats) const {
    const bool some = std::ranges::any_of(formats, [](const Format &f) { return f.codec() != nullptr; });
    if (!can_transcode(line) || !some) return formats;
    for (const auto &key : options_.codecs) {
        const auto *info = media::find_codec(key);
        if (info == nullptr) continue;
        Format more{opus_number, std::string(info->encoding), info->clock_rate, info->channels, {}};
        if (info->static_payload_type >= 0)
            more.number = static_cast<std::uint8_t>(info->static_payload_type);
        if (info->key == "opus") more.fmtp = "minptime=10;useinbandfec=1";
        if (more.codec() != nullptr && std::ranges::find(formats, more.key(), &Format::key) == formats.end())
            formats.push_back(std::move(more));
    }
    return formats;
}

// Without telephone-events.
std::vector<Format> Interwork::audio_for(const Line &line, End to, bool answering) const {
    auto out = line.at(other(to)).formats;
    if (answering && line.transcoded) {
        const Format *target = line.target(to);
        return target != nullptr ? std::vector{*target} : std::vector<Format>{};
    }
    if (!answering) out = with_more(line, std::move(out));
    std::erase_if(out, &Format::is_event);
    return out;
}

// Browsers get the one telephone-event that counts as the codec does: of two Chromium takes the slower, and
// with Opus ends its digits after 20 ms then, too short for many phones. Phones get one in an answer: many
// take no second.
std::vector<Format> Interwork::formats_for(const Line &line, End to, bool answering) const {
    const LineEnd &theirs = line.at(other(to)), &there = line.at(to);
    auto out = audio_for(line, to, answering);
    std::vector<Format> events;
    std::ranges::copy_if(theirs.formats, std::back_inserter(events), &Format::is_event);
    if (events.empty()) return out;
    if (own_[static_cast<std::size_t>(to)]->web) {
        events.clear();
        const unsigned spoken = answering || out.empty() ? line.spoken_clock(to) : out.front().clock;
        for (const unsigned clock : {spoken, 8000U})
            if (const Format event{0, "telephone-event", clock};
                events.empty() && there.used.contains(event.key()))
                events.push_back(event);
    } else if (answering) {
        events.clear();
        if (const auto event = line.event_for(to)) events.push_back(*event);
    }
    out.insert(out.end(), events.begin(), events.end());
    return out;
}

Result<SdpMedia> Interwork::describe(const Line &line, std::size_t index, End to, bool answering) {
    const LineEnd &theirs = line.at(other(to)); // whom we speak for
    const LineEnd &there = line.at(to);
    const bool web = own(to).web;
    SdpMedia media;
    media.type = line.type;
    media.protocol = web ? "UDP/TLS/RTP/SAVPF" : answering ? there.profile : "RTP/AVP";
    if (theirs.rejected || (answering && there.rejected)) {
        media.protocol = there.profile.empty() ? media.protocol : there.profile;
        media.formats = {"0"};
        if (media.type == "application") media.formats = {"webrtc-datachannel"};
        if (web && !there.mid.empty()) media.attributes.push_back({"mid", there.mid});
        return media;
    }
    auto port = own(to).port(index);
    if (!port) return tl::unexpected(port.error());
    media.port = *port;
    media.connection = {own(to).ip, own(to).ipv6};
    add_formats(media, line, to, web, formats_for(line, to, answering));
    auto direction = theirs.direction;
    if (answering) direction = legal_answer(direction, there.direction);
    if (web)
        add_web_lines(media, line, index, to, answering);
    else if (line.type == "audio")
        media.attributes.push_back({"ptime", "20"});
    if (!web) add_keys(media, line, index, to, answering);
    if (!web && answering && there.rtcp_mux) media.attributes.push_back({"rtcp-mux", ""});
    media.attributes.push_back({std::string(name(direction)), ""});
    return media;
}

Result<std::string> Interwork::write(End to, bool answering) {
    OwnEnd &mine = own(to);
    Sdp out;
    out.session_id = mine.session_id;
    out.origin = out.connection = {mine.ip, mine.ipv6};
    std::string bundle;
    for (std::size_t i = 0; i < lines_.size(); ++i) {
        auto &line = lines_[i];
        if (mine.web && line.at(to).mid.empty()) line.at(to).mid = std::to_string(i);
        auto media = describe(line, i, to, answering);
        if (!media) return fail(media.error());
        if (media->port != 0) bundle += " " + line.at(to).mid;
        out.media.push_back(std::move(*media));
    }
    if (mine.web) {
        out.attributes.push_back({"ice-lite", ""});
        if (!bundle.empty()) out.attributes.push_back({"group", "BUNDLE" + bundle});
        out.attributes.push_back({"msid-semantic", " WMS offhook"});
    }
    out.version = mine.version;
    std::string text = out.encode();
    if (text != mine.last) { // RFC 3264 §8: one more for each change
        out.version = ++mine.version;
        text = out.encode();
        mine.last = text;
    }
    return text;
}

} // namespace offhook::bridge
