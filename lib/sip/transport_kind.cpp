// The names and numbers of the transports.
#include <array>

#include "sip/headers.hpp"
#include "sip/transport.hpp"

namespace offhook::sip {

namespace {

struct Row {
    TransportKind kind;
    std::string_view via, uri;
    bool stream, reliable, secure;
    std::uint16_t port; // RFC 3261 §19.1.2, RFC 7118 §5.4
};

constexpr std::array rows{
    Row{TransportKind::udp, "UDP", "udp", false, false, false, 5060},
    Row{TransportKind::tcp, "TCP", "tcp", true, true, false, 5060},
    Row{TransportKind::tls, "TLS", "tls", true, true, true, 5061},
    Row{TransportKind::ws, "WS", "ws", true, true, false, 80},
    Row{TransportKind::wss, "WSS", "wss", true, true, true, 443},
    Row{TransportKind::dtls, "DTLS-UDP", "dtls", true, false, true, 5061}, // draft-jennings-sip-dtls
    Row{TransportKind::sctp, "SCTP", "sctp", true, true, false, 5060},     // RFC 4168
};

const Row &row(TransportKind kind) noexcept {
    return rows[static_cast<std::size_t>(kind)];
}

} // namespace

std::optional<TransportKind> parse_transport(std::string_view token) noexcept {
    for (const Row &candidate : rows)
        if (iequals(token, candidate.uri) || iequals(token, candidate.via)) return candidate.kind;
    return std::nullopt;
}

std::string_view via_token(TransportKind kind) noexcept {
    return row(kind).via;
}

std::string_view uri_token(TransportKind kind) noexcept {
    return row(kind).uri;
}

std::string_view contact_token(TransportKind kind) noexcept {
    return uri_token(is_websocket(kind) ? TransportKind::ws : kind);
}

bool is_stream(TransportKind kind) noexcept {
    return row(kind).stream;
}

bool is_reliable(TransportKind kind) noexcept {
    return row(kind).reliable;
}

bool is_secure(TransportKind kind) noexcept {
    return row(kind).secure;
}

bool is_websocket(TransportKind kind) noexcept {
    return kind == TransportKind::ws || kind == TransportKind::wss;
}

std::uint16_t default_port(TransportKind kind) noexcept {
    return row(kind).port;
}

} // namespace offhook::sip
