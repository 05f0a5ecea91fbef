// [bridge] of the configuration file.
#pragma once

#include <string>
#include <vector>

#include "base/config.hpp"
#include "bridge/settings.hpp"

namespace offhook::bridge {

struct SettingsReport {
    Settings settings;
    std::vector<std::string> errors, warnings; // "FILE:LINE:COLUMN: what"
};

// Starts from `settings` (defaults). Passwords from files are read. Without [bridge] nothing changes.
SettingsReport read_bridge_settings(const ConfigFile &file, Settings settings);

// "wss://0.0.0.0:8443", "ws://127.0.0.1:8080", "udp:192.0.2.1:5060", "tcp:[::]:5060". Errors:
// invalid_argument.
Result<SocketSettings> parse_web_socket(std::string_view text);
Result<SocketSettings> parse_sip_socket(std::string_view text);
// "30000-30999": within 1024-65535, an even number of ports. Errors: invalid_argument.
Result<std::pair<std::uint16_t, std::uint16_t>> parse_port_range(std::string_view text);
// "https://phone.example.com", "*.example.com", "*". Errors: invalid_argument.
Result<std::string> parse_origin(std::string_view text);
// "auto", "path", "contact", "creds". Errors: invalid_argument.
Result<UpstreamMode> parse_upstream_mode(std::string_view text);
// A host name or an address, which stands behind the @ of all users. Errors: invalid_argument.
Result<std::string> parse_domain(std::string_view text);
// The user part of an address: nothing that a digest or a URI would have to quote. Errors: invalid_argument.
Result<std::string> parse_user_name(std::string_view text);
// DTMF digits. Errors: invalid_argument.
Result<std::string> parse_door_code(std::string_view text);
// One of those that can pass, in lower case. Errors: invalid_argument.
Result<std::string> parse_bridge_codec(std::string_view text);
// A folder that can be read. Errors: config.
Result<std::string> parse_www(std::string_view text);
// Do the web sockets suit browsers, once flags and file are one? ws:// carries passwords' digests and what is
// said about calls in the clear. Errors: config.
Result<> check_web(const Settings &settings);
// Do the mode and the users fit together, once flags and file are one? Errors: config.
Result<> check_upstream(const Settings &settings);
// Do the ports for media fit together? Errors: config.
Result<> check_ice(const Settings &settings);
// A file with a secret in it: one that everybody can read is refused. Errors: config.
Result<> check_private(const std::string &path);
// The key in a file: a secret that not everybody can read, or a public key in PEM. Errors: config.
Result<JwtKey> load_jwt_key(const std::string &path);
// The secret of session cookies, at least 32 bytes; one line end after it does not count. Errors: config.
Result<std::string> load_cookie_key(const std::string &path);
// Do the logins of web applications fit the rest? Errors: config.
Result<> check_logins(const Settings &settings);
// An address of record. Errors: invalid_argument.
Result<sip::Uri> parse_address(std::string_view text);
// A SIP URI. Errors: invalid_argument.
Result<sip::Uri> parse_upstream(std::string_view text);
// "rtpengine:HOST:PORT[,HOST:PORT…]" → "HOST:PORT"s. Errors: invalid_argument.
Result<std::vector<std::string>> parse_media(std::string_view text);

} // namespace offhook::bridge
