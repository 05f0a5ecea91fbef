// Formats of one media line, and what becomes of their numbers between the two ends.
#include <algorithm>

#include "bridge/interwork.hpp"
#include "sip/grammar.hpp"
#include "sip/headers.hpp"

namespace offhook::bridge {

namespace {

constexpr std::string_view event_name = "telephone-event/";

} // namespace

// "packetization-mode=1;profile-level-id=42e01f" → "1"
std::string fmtp_parameter(std::string_view fmtp, std::string_view name) {
    while (!fmtp.empty()) {
        const auto end = std::min(fmtp.find(';'), fmtp.size());
        const auto item = sip::trim(fmtp.substr(0, end));
        const auto equals = item.find('=');
        if (equals != std::string_view::npos && sip::iequals(item.substr(0, equals), name))
            return std::string(item.substr(equals + 1));
        fmtp.remove_prefix(std::min(end + 1, fmtp.size()));
    }
    return {};
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

std::string Format::key() const {
    std::string out = sip::grammar::to_lower(name) + "/" + std::to_string(clock);
    if (out == "h264/90000") {
        const std::string mode = fmtp_parameter(fmtp, "packetization-mode");
        out += "/" + (mode.empty() ? "0" : mode);
    }
    return out;
}

bool Format::is_event() const noexcept {
    return sip::iequals(name, "telephone-event");
}

const media::CodecInfo *Format::codec() const noexcept {
    const auto *info = media::find_codec(name);
    if (info == nullptr || info->clock_rate != clock || info->channels != channels) return nullptr;
    return info->key == "l16" ? nullptr : info;
}

const Format *Line::target(End end) const {
    if (!transcoded) return nullptr;
    const auto &formats = at(end).formats;
    const auto found = std::ranges::find_if(formats, [](const Format &f) { return f.codec() != nullptr; });
    return found == formats.end() ? nullptr : &*found;
}

std::vector<Recode> Line::recodes(End from) const {
    std::vector<Recode> out;
    const Format *to = target(other(from));
    if (to == nullptr) return out;
    for (const auto &format : at(from).formats)
        if (format.codec() != nullptr)
            out.push_back({format.number, to->number, format.codec(), to->codec(), to->fmtp});
    // Chromium may send what it was offered and has left out of its answer. Ours win.
    for (const auto &[key, number] : at(from).used)
        if (const auto *codec = media::find_codec(key.substr(0, key.find('/'))))
            out.push_back({number, to->number, codec, to->codec(), to->fmtp});
    return out;
}

unsigned Line::spoken_clock(End end) const {
    if (const Format *own = target(end)) return own->clock;
    const auto &offered = at(other(answered_by)).formats;
    for (const auto &format : at(answered_by).formats)
        if (!format.is_event() && std::ranges::find(offered, format.key(), &Format::key) != offered.end())
            return format.clock;
    return 8000;
}

std::map<std::uint8_t, unsigned> Line::event_clocks(End from) const {
    std::map<std::uint8_t, unsigned> out;
    for (const auto &format : at(from).formats)
        if (format.is_event()) out[format.number] = format.clock;
    for (const unsigned clock : {8000U, 48000U}) // ours win
        if (const auto used = at(from).used.find(Format{0, "telephone-event", clock}.key());
            used != at(from).used.end())
            out[used->second] = clock;
    return out;
}

std::map<std::uint8_t, std::uint8_t> Line::numbers(End from) const {
    std::map<std::uint8_t, std::uint8_t> out;
    const LineEnd &to = at(other(from));
    const auto event = event_for(other(from));
    const auto add = [&](std::uint8_t number, const std::string &key) {
        const auto found = std::ranges::find(to.formats, key, &Format::key);
        if (key.starts_with(event_name) && event)
            out[number] = event->number;
        else if (transcoded)
            return; // recodes()
        else if (found != to.formats.end())
            out[number] = found->number;
    };
    // Its own numbers too, as some send what they would receive; ours win.
    for (const auto &format : at(from).formats)
        add(format.number, format.key());
    for (const auto &[key, number] : at(from).used)
        add(number, key);
    return out;
}

std::optional<Format> Line::event_for(End to) const {
    const Format *best = nullptr;
    const unsigned clock = spoken_clock(to);
    for (const auto &format : at(to).formats) {
        if (!format.is_event()) continue;
        if (best == nullptr || format.clock == clock || (format.clock == 8000 && best->clock != clock))
            best = &format;
    }
    return best == nullptr ? std::nullopt : std::optional(*best);
}

} // namespace offhook::bridge
