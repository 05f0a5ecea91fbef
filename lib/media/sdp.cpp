#include "media/sdp.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace offhook::media {

namespace {

constexpr std::size_t max_text = std::size_t{64} * 1024;
constexpr std::size_t max_media = 64;
constexpr std::size_t max_attributes = 256; // of the session and of each m=
constexpr std::size_t max_formats = 128;    // as many as there are payload types

// Takes the next word off `rest`; empty at the end.
std::string_view take_word(std::string_view &rest) {
    const std::size_t start = rest.find_first_not_of(" \t");
    if (start == std::string_view::npos) return rest = {};
    rest.remove_prefix(start);
    const std::size_t length = std::min(rest.find_first_of(" \t"), rest.size());
    const std::string_view word = rest.substr(0, length);
    rest.remove_prefix(length);
    return word;
}

template <class Number>
std::optional<Number> whole_number(std::string_view text) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

Failure broken(std::string_view line) {
    return fail(Errc::parse, "SDP: cannot read \"" + std::string(line.substr(0, 80)) + "\"", 400);
}

// What follows "c=" or the last three words of "o=": "IN IP4 192.0.2.1/127" (TTL and count taken off).
std::optional<SdpConnection> parse_connection(std::string_view rest) {
    const std::string_view net = take_word(rest), type = take_word(rest), address = take_word(rest);
    if (net != "IN" || address.empty() || (type != "IP4" && type != "IP6")) return std::nullopt;
    return SdpConnection{std::string(address.substr(0, address.find('/'))), type == "IP6"};
}

// Reads line after line into one Sdp; the media section it is in decides where c= and a= go.
class Reader {
public:
    Result<> line(std::string_view text) {
        if (text.size() < 2 || text[1] != '=') return {}; // not a line of SDP: skipped
        const std::string_view value = text.substr(2);
        // A NUL would not be written again, and the line in our answer would lack a word.
        if ((text[0] == 'm' || text[0] == 'c') && text.find('\0') != std::string_view::npos)
            return broken(text);
        switch (text[0]) {
        case 'v':
            seen_version_ = true;
            return value == "0" ? Result<>{} : broken(text);
        case 'o':
            origin(value);
            return {};
        case 's':
            sdp_.session_name = value;
            return {};
        case 'c':
            return connection(text, value);
        case 'm':
            return media(text, value);
        case 'a':
            return attribute(value);
        default:
            return {};
        }
    }

    Result<Sdp> done() {
        if (!seen_version_ && sdp_.media.empty()) return fail(Errc::parse, "not a session description", 400);
        return std::move(sdp_);
    }

private:
    // Nobody's call should fail because of o=, so what is unusable keeps its default.
    void origin(std::string_view rest) {
        const std::string_view user = take_word(rest), id = take_word(rest), version = take_word(rest);
        if (!user.empty()) sdp_.user = user;
        if (!id.empty()) sdp_.session_id = id;
        sdp_.version = whole_number<std::uint64_t>(version).value_or(0);
        if (auto address = parse_connection(rest)) sdp_.origin = std::move(*address);
    }

    Result<> connection(std::string_view text, std::string_view value) {
        auto address = parse_connection(value);
        if (!address) return broken(text);
        (sdp_.media.empty() ? sdp_.connection : sdp_.media.back().connection) = std::move(*address);
        return {};
    }

    Result<> media(std::string_view text, std::string_view rest) {
        if (sdp_.media.size() == max_media)
            return fail(Errc::parse, "SDP: more than " + std::to_string(max_media) + " m= lines", 400);
        SdpMedia media;
        media.type = take_word(rest);
        const std::string_view port = take_word(rest);
        const std::size_t slash = std::min(port.find('/'), port.size());
        const auto number = whole_number<std::uint16_t>(port.substr(0, slash));
        media.protocol = take_word(rest);
        if (media.type.empty() || !number || media.protocol.empty()) return broken(text);
        media.port = *number;
        if (slash < port.size()) {
            const auto count = whole_number<std::uint16_t>(port.substr(slash + 1));
            if (!count || *count == 0) return broken(text);
            media.port_count = *count;
        }
        for (std::string_view word = take_word(rest); !word.empty(); word = take_word(rest)) {
            if (media.formats.size() == max_formats) return broken(text);
            media.formats.emplace_back(word);
        }
        media.connection = sdp_.connection;
        sdp_.media.push_back(std::move(media));
        return {};
    }

    Result<> attribute(std::string_view value) {
        auto &list = sdp_.media.empty() ? sdp_.attributes : sdp_.media.back().attributes;
        if (list.size() == max_attributes)
            return fail(Errc::parse, "SDP: more than " + std::to_string(max_attributes) + " attributes", 400);
        const std::size_t colon = std::min(value.find(':'), value.size());
        std::string_view name = value.substr(0, colon), rest = value.substr(colon);
        if (!rest.empty()) rest.remove_prefix(1);
        while (!rest.empty() && (rest.back() == ' ' || rest.back() == '\t'))
            rest.remove_suffix(1);
        while (!name.empty() && name.back() == ' ')
            name.remove_suffix(1);
        list.push_back({std::string(name), std::string(rest)});
        return {};
    }

    Sdp sdp_;
    bool seen_version_ = false;
};

// One line out; a value cannot start another line.
void put(std::string &out, char type, std::string_view value) {
    out += type;
    out += '=';
    for (const char c : value)
        if (c != '\r' && c != '\n' && c != '\0') out += c;
    out += "\r\n";
}

std::string connection_text(const SdpConnection &connection) {
    const bool given = !connection.address.empty();
    return std::string("IN ") + (connection.ipv6 ? "IP6 " : "IP4 ") +
           (given ? connection.address : "0.0.0.0");
}

void put_attributes(std::string &out, const std::vector<SdpAttribute> &attributes) {
    for (const auto &attribute : attributes)
        put(out, 'a', attribute.value.empty() ? attribute.name : attribute.name + ":" + attribute.value);
}

void put_media(std::string &out, const SdpMedia &media, const SdpConnection &session) {
    std::string text = media.type + " " + std::to_string(media.port);
    if (media.port_count > 1) text += "/" + std::to_string(media.port_count);
    text += " " + media.protocol;
    for (const auto &format : media.formats)
        text += " " + format;
    put(out, 'm', text);
    const bool same = media.connection.address == session.address && media.connection.ipv6 == session.ipv6;
    if (!media.connection.address.empty() && !same) put(out, 'c', connection_text(media.connection));
    put_attributes(out, media.attributes);
}

} // namespace

std::string_view name(Direction direction) noexcept {
    switch (direction) {
    case Direction::sendonly:
        return "sendonly";
    case Direction::recvonly:
        return "recvonly";
    case Direction::inactive:
        return "inactive";
    default:
        return "sendrecv";
    }
}

Direction reversed(Direction direction) noexcept {
    switch (direction) {
    case Direction::sendonly:
        return Direction::recvonly;
    case Direction::recvonly:
        return Direction::sendonly;
    default:
        return direction;
    }
}

const std::string *SdpMedia::attribute(std::string_view name) const noexcept {
    const auto found = std::ranges::find(attributes, name, &SdpAttribute::name);
    return found == attributes.end() ? nullptr : &found->value;
}

Result<Sdp> Sdp::parse(std::string_view text) {
    if (text.size() > max_text) return fail(Errc::parse, "SDP: larger than 64 KiB", 400);
    Reader reader;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
        if (auto read = reader.line(line); !read) return fail(read.error());
    }
    return reader.done();
}

std::string Sdp::encode() const {
    std::string out;
    out.reserve(512);
    const SdpConnection &from = origin.address.empty() ? connection : origin;
    put(out, 'v', "0");
    put(out, 'o', user + " " + session_id + " " + std::to_string(version) + " " + connection_text(from));
    put(out, 's', session_name.empty() ? "-" : session_name);
    if (!connection.address.empty()) put(out, 'c', connection_text(connection));
    put(out, 't', "0 0");
    put_attributes(out, attributes);
    for (const auto &one : media)
        put_media(out, one, connection);
    return out;
}

} // namespace offhook::media
