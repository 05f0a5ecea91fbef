#include "media/sdp_formats.hpp"

#include <algorithm>
#include <charconv>

namespace offhook::media {

namespace {

constexpr std::uint8_t opus_type = 96, l16_type = 98, event_8k_type = 101, event_48k_type = 103;
constexpr int first_dynamic_type = 96;
constexpr std::uint8_t highest_type = 127;

constexpr char lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

bool same(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, {}, lower, lower);
}

std::string key_of(std::string_view encoding, unsigned clock_rate) {
    std::string key(encoding);
    std::ranges::transform(key, key.begin(), lower);
    return key + "/" + std::to_string(clock_rate);
}

// The value of "a=NAME:PT rest" for that payload type.
std::string_view for_payload_type(const SdpMedia &media, std::string_view name,
                                  std::string_view payload_type) {
    for (const SdpAttribute &attribute : media.attributes) {
        if (attribute.name != name) continue;
        const std::string_view value = attribute.value;
        const std::size_t space = value.find(' ');
        if (space != std::string_view::npos && value.substr(0, space) == payload_type)
            return value.substr(space + 1);
    }
    return {};
}

// "opus/48000/2"
void read_rtpmap(std::string_view map, SdpFormat &into) {
    const std::size_t slash = map.find('/');
    into.encoding = map.substr(0, slash);
    if (slash == std::string_view::npos) return;
    const std::string_view rate = map.substr(slash + 1);
    into.clock_rate = sdp_number(rate).value_or(0);
    if (const std::size_t second = rate.find('/'); second != std::string_view::npos)
        into.channels = sdp_number(rate.substr(second + 1)).value_or(1);
}

// RFC 3551 static types need no rtpmap.
void read_static(SdpFormat &into) {
    const auto found = std::ranges::find(codec_table(), static_cast<int>(into.payload_type),
                                         &CodecInfo::static_payload_type);
    if (found != codec_table().end()) {
        into.encoding = found->encoding;
        into.clock_rate = found->clock_rate;
    } else if (into.payload_type == noise_payload_type) {
        into.encoding = "CN";
        into.clock_rate = noise_clock_rate;
    }
}

} // namespace

std::optional<unsigned> sdp_number(std::string_view text) noexcept {
    unsigned value = 0;
    const auto [end, err] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (err != std::errc{} || end == text.data()) return std::nullopt;
    return value;
}

std::string SdpFormat::key() const {
    std::string text = key_of(encoding, clock_rate);
    if (channels > 1 && text != "opus/48000") text += "/" + std::to_string(channels);
    return text;
}

// "opus/48000" without its "/2" is met and meant.
bool SdpFormat::is(const CodecInfo &codec) const {
    const bool right_channels = channels == codec.channels || (channels == 1 && codec.channels == 2);
    return same(encoding, codec.encoding) && clock_rate == codec.clock_rate && right_channels;
}

bool SdpFormat::is_event(unsigned rate) const {
    return same(encoding, event_encoding) && clock_rate == rate;
}

std::vector<SdpFormat> formats_of(const SdpMedia &media) {
    std::vector<SdpFormat> formats;
    for (const std::string &text : media.formats) {
        const auto type = sdp_number(text);
        if (!type || *type > highest_type) continue;
        SdpFormat format;
        format.payload_type = static_cast<std::uint8_t>(*type);
        format.fmtp = for_payload_type(media, "fmtp", text);
        if (const std::string_view map = for_payload_type(media, "rtpmap", text); !map.empty())
            read_rtpmap(map, format);
        else
            read_static(format);
        if (!format.encoding.empty()) formats.push_back(std::move(format));
    }
    return formats;
}

std::optional<std::uint8_t> PayloadTypes::known(std::string_view key) const noexcept {
    const auto found = std::ranges::find(numbers_, key, &std::pair<std::string, std::uint8_t>::first);
    if (found == numbers_.end()) return std::nullopt;
    return found->second;
}

std::optional<std::uint8_t> PayloadTypes::known_events(unsigned clock_rate) const {
    return known(key_of(event_encoding, clock_rate));
}

bool PayloadTypes::taken(std::uint8_t payload_type) const noexcept {
    return std::ranges::find(numbers_, payload_type, &std::pair<std::string, std::uint8_t>::second) !=
           numbers_.end();
}

std::uint8_t PayloadTypes::of(std::string_view key, int preferred) {
    if (const auto number = known(key)) return *number;
    auto type = static_cast<std::uint8_t>(preferred);
    for (int next = first_dynamic_type; taken(type) && next <= highest_type; ++next)
        type = static_cast<std::uint8_t>(next);
    numbers_.emplace_back(key, type);
    return type;
}

std::uint8_t PayloadTypes::of(const CodecInfo &codec) {
    const int dynamic = codec.key == "opus" ? opus_type : l16_type;
    return of(key_of(codec.encoding, codec.clock_rate),
              codec.static_payload_type >= 0 ? codec.static_payload_type : dynamic);
}

std::uint8_t PayloadTypes::of_events(unsigned clock_rate) {
    return of(key_of(event_encoding, clock_rate), clock_rate == 8000 ? event_8k_type : event_48k_type);
}

void PayloadTypes::learn(const SdpMedia &media) {
    for (const SdpFormat &format : formats_of(media)) {
        const std::string key = format.key();
        std::erase_if(numbers_, [&](const auto &known) {
            return known.first == key || known.second == format.payload_type;
        });
        numbers_.emplace_back(key, format.payload_type);
    }
}

} // namespace offhook::media
