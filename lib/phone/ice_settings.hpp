// How the user names STUN and TURN servers (RFC 7064, RFC 7065).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "media/ice_transport.hpp"

namespace offhook {

struct IceServerSettings {
    media::IceServer::Kind kind = media::IceServer::Kind::stun;
    media::IceServer::Way way = media::IceServer::Way::udp;
    std::string host;       // name or address, without brackets; empty: none
    std::uint16_t port = 0; // 0: not given, DNS says (SRV), else the default
    std::string user;       // turn:USER@HOST

    [[nodiscard]] bool given() const noexcept { return !host.empty(); }
    friend bool operator==(const IceServerSettings &, const IceServerSettings &) = default;
};

// For a server without a port: whose SRV records name it (RFC 5389 §9, RFC 5928), and the port without any.
std::string service_of(const IceServerSettings &server); // "_turns._tcp"
std::uint16_t default_port(const IceServerSettings &server) noexcept;

// "stun:HOST[:PORT]" or "HOST[:PORT]". Errors: invalid_argument, saying what was expected.
Result<IceServerSettings> parse_stun_uri(std::string_view text);
// "turn:[USER@]HOST[:PORT][?transport=udp|tcp]", "turns:…" for TLS; "HOST" is turn:HOST. Errors: the same.
Result<IceServerSettings> parse_turn_uri(std::string_view text);

} // namespace offhook
