#include "phone/ice_settings.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "sip/headers.hpp"

namespace offhook {

namespace {

constexpr std::uint16_t plain_port = 3478, tls_port = 5349;

bool take(std::string_view &text, std::string_view prefix) {
    if (!sip::iequals(text.substr(0, prefix.size()), prefix)) return false;
    text.remove_prefix(prefix.size());
    return true;
}

bool host_characters(std::string_view host) {
    return !host.empty() && std::ranges::all_of(host, [](unsigned char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
               c == '-' || c == '_' || c == ':';
    });
}

// HOST[:PORT], IPv6 in brackets.
bool read_host(std::string_view text, IceServerSettings &into) {
    std::string_view host = text, port;
    if (text.starts_with('[')) {
        const auto end = text.find(']');
        if (end == std::string_view::npos) return false;
        host = text.substr(1, end - 1);
        port = text.substr(end + 1);
        if (!port.empty() && port.front() != ':') return false;
    } else {
        const auto colon = std::min(text.find(':'), text.size());
        host = text.substr(0, colon);
        port = text.substr(colon);
    }
    if (!host_characters(host)) return false;
    into.host = host;
    if (port.empty()) return true;
    const auto number = sip::parse_number(port.substr(1));
    if (!number || *number == 0 || *number > 65535) return false;
    into.port = static_cast<std::uint16_t>(*number);
    return true;
}

Failure unusable(std::string_view text, std::string_view expected) {
    return fail(Errc::invalid_argument,
                "\"" + sanitise(text) + "\" names no server (expected " + std::string(expected) + ")");
}

} // namespace

std::string service_of(const IceServerSettings &server) {
    using Way = media::IceServer::Way;
    if (server.kind == media::IceServer::Kind::stun) return "_stun._udp";
    return server.way == Way::udp ? "_turn._udp" : server.way == Way::tcp ? "_turn._tcp" : "_turns._tcp";
}

std::uint16_t default_port(const IceServerSettings &server) noexcept {
    return server.way == media::IceServer::Way::tls ? tls_port : plain_port;
}

Result<IceServerSettings> parse_stun_uri(std::string_view text) {
    IceServerSettings server;
    std::string_view rest = text;
    (void)take(rest, "stun:");
    if (!read_host(rest, server)) return unusable(text, "stun:HOST[:PORT]");
    return server;
}

Result<IceServerSettings> parse_turn_uri(std::string_view text) {
    using Way = media::IceServer::Way;
    constexpr std::string_view expected = "turn:[USER@]HOST[:PORT][?transport=udp|tcp], or turns: for TLS";
    IceServerSettings server;
    server.kind = media::IceServer::Kind::turn;
    std::string_view rest = text;
    if (take(rest, "turns:"))
        server.way = Way::tls;
    else
        (void)take(rest, "turn:");
    const auto question = std::min(rest.find('?'), rest.size());
    std::string_view query = rest.substr(question);
    rest = rest.substr(0, question);
    if (take(query, "?transport=")) {
        if (sip::iequals(query, "tcp"))
            server.way = server.way == Way::tls ? Way::tls : Way::tcp;
        else if (!sip::iequals(query, "udp") || server.way == Way::tls)
            return unusable(text, expected);
    } else if (!query.empty()) {
        return unusable(text, expected);
    }
    if (const auto at = rest.rfind('@'); at != std::string_view::npos) {
        server.user = rest.substr(0, at);
        rest.remove_prefix(at + 1);
    }
    if (!read_host(rest, server)) return unusable(text, expected);
    return server;
}

} // namespace offhook
