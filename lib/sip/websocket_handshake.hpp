// The opening handshake of WebSocket (RFC 6455 §4) with SIP as subprotocol (RFC 7118 §4): pure.
#pragma once

#include <string>
#include <string_view>

#include "sip/http_head.hpp"

namespace offhook::sip {

inline constexpr std::string_view sip_subprotocol = "sip";

// A fresh Sec-WebSocket-Key, and what a server makes of one. Only a key of 16 bytes in base64 is one.
std::string websocket_key();
std::string websocket_accept(std::string_view key);
bool is_websocket_key(std::string_view text) noexcept;

struct UpgradeTarget {
    std::string host; // Host header, with the port where it is not the default
    std::string path = "/";
    std::string key; // websocket_key()
};
std::string upgrade_request(const UpgradeTarget &target, std::string_view subprotocol = sip_subprotocol);
// Is this response the consent to a request with that key? Errors: Errc::network, in words.
Result<> check_upgrade_response(const HttpHead &response, std::string_view key,
                                std::string_view subprotocol = sip_subprotocol);

// Does it ask for a WebSocket at all?
bool wants_websocket(const HttpHead &request);
// May it have one, as far as RFC 6455 and RFC 7118 decide? Errors: Errc::parse; `sip` is the HTTP status
// (400, 426, 505).
Result<> check_upgrade_request(const HttpHead &request, std::string_view subprotocol = sip_subprotocol);
std::string upgrade_response(const HttpHead &request, std::string_view subprotocol = sip_subprotocol);

// The server's own pages may connect (and native clients, which send no Origin): the Origin names the Host of
// the request.
bool is_own_origin(const HttpHead &request, bool secure);

} // namespace offhook::sip
