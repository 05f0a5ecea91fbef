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
constexpr std::uint8_t usual_event_number = 101; // what old phones expect
constexpr std::uint8_t opus_number = 111;        // what browsers take

std::set<unsigned> clocks_of(const std::vector<Format> &formats) {
    std::set<unsigned> out;
    for (const auto &format : formats)
        if (!format.is_event()) out.insert(format.clock);
    return out;
}

// Browsers are told of constrained baseline, which all of them have, at the level of the phone; what their
// decoders take does not depend on what they were told.
std::string h264_for_web(const std::string &fmtp) {
    const std::string profile = fmtp_parameter(fmtp, "profile-level-id");
    if (profile.empty() && fmtp.empty()) return "packetization-mode=0;profile-level-id=42e01f";
    std::string out = without_parameter(fmtp, "profile-level-id");
    out += out.empty() ? "" : ";";
    return out + "profile-level-id=42e0" + (profile.size() == 6 ? profile.substr(4) : "1f");
}

// RFC 6184 §8.2.2: an answer has the profile of the offer.
std::string h264_for_phone(const std::string &fmtp, const LineEnd &phone, const Format &format) {
    const auto asked = std::ranges::find(phone.formats, format.key(), &Format::key);
    const std::string profile =
        asked == phone.formats.end() ? std::string() : fmtp_parameter(asked->fmtp, "profile-level-id");
    if (profile.empty()) return fmtp;
    const std::string rest = without_parameter(fmtp, "profile-level-id");
    return rest + (rest.empty() ? "" : ";") + "profile-level-id=" + profile;
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

// Packets cross as they are: each end is told the numbers of the other.
void Interwork::pass_numbers(Line &line, End from) const {
    auto &used = line.at(other(from)).used;
    used.clear();
    for (const auto &format : line.at(from).formats)
        used[format.key()] = format.number;
}

Result<std::string> Interwork::offer(End from, std::string_view text) {
    auto sdp = Sdp::parse(text);
    if (!sdp) return fail(Errc::parse, sdp.error().what, 400);
    if (sdp->media.empty() || sdp->media.size() > most_lines)
        return fail(Errc::media, "the offer has " + std::to_string(sdp->media.size()) + " media lines", 488);
    if (!before_) before_ = lines_;
    asked_ = sdp->media.size();
    // A phone may leave lines out that it has no more use for; a browser would refuse a description with
    // fewer.
    for (std::size_t i = asked_; i < lines_.size(); ++i) {
        SdpMedia gone;
        gone.type = lines_[i].type;
        gone.protocol = lines_[i].at(from).profile;
        sdp->media.push_back(std::move(gone));
    }
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
        options_.same_numbers ? pass_numbers(line, from) : keep_numbers(line, other(from));
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
        if (!line.at(from).rejected && line.at(from).setup == "passive") { // nobody would begin
            roll_back();
            return fail(Errc::media, "the answer has a=setup:passive, and so has the bridge", 488);
        }
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
        if (options_.same_numbers) pass_numbers(line, from);
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
    asked_ = lines_.size();
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

void Interwork::roll_back() {
    if (!before_) return;
    // Lines stay (RFC 3264 §8: never fewer), but what the refused offer said about them is void.
    auto kept = std::move(*before_);
    before_.reset();
    lines_ = std::move(kept);
}

void Interwork::add_formats(SdpMedia &media, const Line &line, End to, bool answering) const {
    const bool web = own_[static_cast<std::size_t>(to)]->web;
    const bool feedback = web || (answering && line.at(to).profile.ends_with("AVPF"));
    for (const auto &format : formats_for(line, to, answering)) {
        const auto used = line.at(to).used.find(format.key());
        if (used == line.at(to).used.end()) continue;
        const std::string number = std::to_string(used->second);
        media.formats.push_back(number);
        std::string map = number + " " + format.name + "/" + std::to_string(format.clock);
        if (format.channels > 1) map += "/" + std::to_string(format.channels);
        media.attributes.push_back({"rtpmap", map});
        std::string fmtp = format.fmtp;
        if (format.is_event()) fmtp = "0-16"; // Chrome sends none, phones want it
        if (sip::iequals(format.name, "H264"))
            fmtp = web ? h264_for_web(fmtp) : answering ? h264_for_phone(fmtp, line.at(to), format) : fmtp;
        if (!fmtp.empty()) media.attributes.push_back({"fmtp", number + " " + fmtp});
        if (feedback && media.type == "video") {
            media.attributes.push_back({"rtcp-fb", number + " nack pli"});
            media.attributes.push_back({"rtcp-fb", number + " ccm fir"});
        }
    }
}

void Interwork::add_web_lines(SdpMedia &media, const OwnPlace &place, const Line &line, std::size_t index,
                              End to, bool answering) {
    const OwnEnd &mine = own(to);
    auto &lines = media.attributes;
    lines.push_back({"mid", line.at(to).mid});
    lines.push_back({"ice-ufrag", place.ufrag});
    lines.push_back({"ice-pwd", place.password});
    lines.push_back({"fingerprint", place.fingerprint});
    // Browsers keep the role of the first exchange: theirs is active, whoever offers.
    const bool settled = !fingerprints_[static_cast<std::size_t>(to)].empty();
    lines.push_back({"setup", answering || settled ? "passive" : "actpass"});
    lines.push_back({"rtcp-mux", ""});
    lines.push_back({"msid", "offhook offhook" + std::to_string(index)});
    if (index < mine.ssrcs.size())
        lines.push_back({"ssrc", std::to_string(mine.ssrcs[index]) + " cname:offhook"});
    for (const auto &candidate : place.candidates)
        lines.push_back({"candidate", candidate});
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
    if (options_.same_numbers && answering) { // only what it answered has a number
        std::erase_if(events, [&](const Format &f) {
            return std::ranges::find(there.formats, f.key(), &Format::key) == there.formats.end();
        });
    } else if (own_[static_cast<std::size_t>(to)]->web) {
        events.clear();
        const unsigned spoken = answering || out.empty() ? line.spoken_clock(to) : out.front().clock;
        for (const unsigned clock : {spoken, 8000U})
            if (const Format event{0, "telephone-event", clock};
                events.empty() && there.used.contains(event.key()))
                events.push_back(event);
    } else if (answering) {
        events.clear();
        if (const auto event = line.event_for(to)) events.push_back(*event);
    } else if (const auto clocks = clocks_of(out); events.size() > 1) {
        std::erase_if(events, [&](const Format &f) { return f.clock != 8000 && !clocks.contains(f.clock); });
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
    OwnPlace place;
    if (!theirs.rejected && !(answering && there.rejected)) {
        auto found = own(to).place(index);
        if (!found) return tl::unexpected(found.error());
        place = std::move(*found);
    }
    if (place.port == 0) {
        media.protocol = there.profile.empty() ? media.protocol : there.profile;
        media.formats = {"0"};
        if (media.type == "application") media.formats = {"webrtc-datachannel"};
        if (web && !there.mid.empty()) media.attributes.push_back({"mid", there.mid});
        return media;
    }
    media.port = place.port;
    media.connection = place.connection;
    add_formats(media, line, to, answering);
    auto direction = theirs.direction;
    if (answering) direction = legal_answer(direction, there.direction);
    if (web) add_web_lines(media, place, line, index, to, answering);
    if (line.type == "audio" && !(web && theirs.ptime == 0))
        media.attributes.push_back({"ptime", web ? std::to_string(theirs.ptime) : "20"});
    if (!web) add_keys(media, place, line, index, to, answering);
    if (!web && answering && there.rtcp_mux && place.rtcp_mux) media.attributes.push_back({"rtcp-mux", ""});
    media.attributes.push_back({std::string(name(direction)), ""});
    return media;
}

Result<std::string> Interwork::write(End to, bool answering) {
    OwnEnd &mine = own(to);
    Sdp out;
    out.session_id = mine.session_id;
    out.origin = out.connection = mine.connection;
    std::string bundle;
    const std::size_t count = answering ? std::min(asked_, lines_.size()) : lines_.size();
    for (std::size_t i = 0; i < count; ++i) {
        auto &line = lines_[i];
        if (mine.web && line.at(to).mid.empty()) line.at(to).mid = std::to_string(i);
        auto media = describe(line, i, to, answering);
        if (!media) return fail(media.error());
        if (media->port != 0) bundle += " " + line.at(to).mid;
        out.media.push_back(std::move(*media));
    }
    if (mine.web) {
        if (mine.lite) out.attributes.push_back({"ice-lite", ""});
        if (mine.bundles && !bundle.empty()) out.attributes.push_back({"group", "BUNDLE" + bundle});
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
