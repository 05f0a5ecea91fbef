// Which formats a description names, by which numbers, and with which parameters.
#include <algorithm>
#include <iterator>
#include <set>

#include "bridge/interwork.hpp"
#include "sip/headers.hpp"

namespace offhook::bridge {

namespace {

using media::SdpMedia;

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

} // namespace

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

void Interwork::add_formats(SdpMedia &media, const Line &line, End to, bool answering) const {
    const bool web = own_[static_cast<std::size_t>(to)]->web;
    const bool feedback = web || media.protocol.ends_with("AVPF");
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

} // namespace offhook::bridge
