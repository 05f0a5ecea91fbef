// The forms that values of [bridge] and of its options take.
#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

#include <unistd.h>

#include "base/text.hpp"
#include "bridge/settings_reader.hpp"
#include "media/media_ports.hpp"
#include "sip/headers.hpp"
#include "sip/socket_address.hpp"

namespace offhook::bridge {

namespace {

Failure bad(std::string_view text, std::string_view expected) {
    return fail(Errc::invalid_argument,
                "\"" + sanitise(text) + "\" cannot be used (expected " + std::string(expected) + ")");
}

bool is_letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

} // namespace

Result<std::string> parse_domain(std::string_view text) {
    const auto plain = [](char c) { return is_letter_or_digit(c) || c == '-' || c == '.' || c == '_'; };
    const bool name = !text.empty() && text.size() <= 253 && std::ranges::all_of(text, plain);
    if (!name && !Address::parse(std::string(text)))
        return bad(text, "a host name or an IP address, such as house.test");
    return std::string(text);
}

Result<std::string> parse_user_name(std::string_view text) {
    const auto plain = [](char c) {
        return is_letter_or_digit(c) ||
               std::string_view("-_.!~*'()&=+$,;?/%").find(c) != std::string_view::npos ||
               static_cast<unsigned char>(c) >= 0x80;
    };
    if (text.empty() || text.size() > 64 || !std::ranges::all_of(text, plain))
        return bad(text, "a name such as anna: no spaces, quotes, @ or :");
    return std::string(text);
}

Result<std::string> parse_door_code(std::string_view text) {
    const auto digit = [](char c) {
        return std::string_view("0123456789*#ABCD").find(c) != std::string_view::npos;
    };
    if (text.size() > 32 || !std::ranges::all_of(text, digit))
        return bad(text, "DTMF digits such as *5: 0-9, *, #, A-D");
    return std::string(text);
}

Result<std::string> parse_bridge_codec(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c | 32) : c; });
    constexpr std::array<std::string_view, 6> known{"opus", "g722", "pcma", "pcmu", "h264", "vp8"};
    if (std::ranges::find(known, out) == known.end()) return bad(text, "opus, g722, pcma, pcmu, h264 or vp8");
    return out;
}

Result<std::string> parse_www(std::string_view text) {
    std::string out(text);
    std::error_code error;
    if (!std::filesystem::is_directory(out, error) || access(out.c_str(), R_OK | X_OK) != 0)
        return fail(Errc::config, "\"" + sanitise(text) + "\" is no folder that can be read");
    return out;
}

Result<> check_web(const Settings &settings) {
    const auto open = std::ranges::find_if(settings.web, [](const SocketSettings &socket) {
        return socket.kind == sip::TransportKind::ws && !socket.address.is_loopback();
    });
    if (open == settings.web.end() || settings.allow_ws) return {};
    return fail(Errc::config, "listen ws://" + open->address.to_string() +
                                  ": not encrypted, and browsers give the microphone to https:// pages only "
                                  "(expected wss://, ws:// on 127.0.0.1, or --allow-ws)");
}

Result<SocketSettings> parse_web_socket(std::string_view text) {
    for (const auto kind : {sip::TransportKind::wss, sip::TransportKind::ws}) {
        const std::string prefix = std::string(sip::uri_token(kind)) + "://";
        if (!text.starts_with(prefix)) continue;
        if (const auto address = sip::parse_socket(text.substr(prefix.size())))
            return SocketSettings{kind, *address};
    }
    return bad(text, "wss://ADDRESS:PORT or ws://ADDRESS:PORT");
}

Result<SocketSettings> parse_sip_socket(std::string_view text) {
    for (const auto kind : {sip::TransportKind::udp, sip::TransportKind::tcp, sip::TransportKind::tls}) {
        const std::string prefix = std::string(sip::uri_token(kind)) + ":";
        if (!text.starts_with(prefix)) continue;
        if (const auto address = sip::parse_socket(text.substr(prefix.size())))
            return SocketSettings{kind, *address};
    }
    return bad(text, "udp:ADDRESS:PORT, tcp:ADDRESS:PORT or tls:ADDRESS:PORT");
}

Result<std::pair<std::uint16_t, std::uint16_t>> parse_port_range(std::string_view text) {
    const auto dash = text.find('-');
    const auto low = sip::parse_number(text.substr(0, dash));
    const auto high =
        dash == std::string_view::npos ? std::nullopt : sip::parse_number(text.substr(dash + 1));
    if (!low || !high || *low < 1024 || *high > 65535 || *high <= *low || (*high - *low) % 2 == 0)
        return bad(text, "a range such as 30000-30999 within 1024-65535, with an even number of ports");
    return std::pair{static_cast<std::uint16_t>(*low), static_cast<std::uint16_t>(*high)};
}

Result<std::string> parse_origin(std::string_view text) {
    const bool odd = text.empty() || text.find_first_of(" \t,\"'<>") != std::string_view::npos;
    const auto scheme = text.find("://");
    const bool wrong = scheme != std::string_view::npos && text.substr(0, scheme) != "http" &&
                       text.substr(0, scheme) != "https" && text.substr(0, scheme) != "*";
    const bool path =
        text.find('/', scheme == std::string_view::npos ? 0 : scheme + 3) != std::string_view::npos;
    if (odd || wrong || path)
        return bad(text, "an origin such as https://phone.example.com, a pattern, or *");
    return std::string(text);
}

Result<sip::Uri> parse_address(std::string_view text) {
    auto uri = sip::Uri::parse(text);
    if (!uri || !uri->is_sip() || uri->user.empty()) return bad(text, "an address such as sip:621@fritz.box");
    return uri;
}

Result<UpstreamMode> parse_upstream_mode(std::string_view text) {
    if (text == "auto") return UpstreamMode::automatic;
    if (text == "path") return UpstreamMode::path;
    if (text == "contact") return UpstreamMode::contact;
    if (text == "creds") return UpstreamMode::credentials;
    return bad(text, "auto, path, contact or creds");
}

Result<> check_upstream(const Settings &settings) {
    const bool creds = settings.upstream_mode == UpstreamMode::credentials;
    const auto none = std::ranges::find_if(
        settings.users, [&](const UserSettings &user) { return user.upstream.user.empty() == creds; });
    if (creds && !settings.upstream)
        return fail(Errc::config,
                    "upstream_mode creds: no upstream (expected one such as \"sip:fritz.box\")");
    if (creds && settings.users.empty())
        return fail(Errc::config, "upstream_mode creds: nobody can register (expected [[bridge.user]] with "
                                  "upstream_user)");
    if (creds && !settings.peers.empty())
        return fail(Errc::config, "upstream_mode creds: no cluster_peers (a line belongs to one bridge)");
    if (none == settings.users.end()) return {};
    const std::string name = "user \"" + sanitise(none->name) + "\"";
    return creds ? fail(Errc::config, name + " has no upstream_user, and upstream_mode is creds")
                 : fail(Errc::config, name + " has an upstream_user, and upstream_mode is not creds");
}

Result<> check_ice(const Settings &settings) {
    if (settings.ice_port == 0 && !settings.ice_tcp) return {};
    if (!settings.rtpengines.empty())
        return fail(Errc::config,
                    "ice_port and ice_tcp are not for calls on rtpengine, which has its own ports");
    if (settings.ice_port == 0) return {};
    const unsigned last = settings.ice_port + std::max(1U, settings.media_workers) - 1;
    if (last > 65'535)
        return fail(Errc::config, "ice_port: each media worker takes one port from " +
                                      std::to_string(settings.ice_port) + " on, and there are not so many");
    const unsigned low = settings.rtp_min != 0 ? settings.rtp_min : media::first_dynamic_port,
                   high = settings.rtp_max != 0 ? settings.rtp_max : media::last_dynamic_port;
    if (settings.ice_port > high || last < low) return {};
    return fail(Errc::config, "ice_port " + std::to_string(settings.ice_port) +
                                  " is among the ports of phones (" + std::to_string(low) + "-" +
                                  std::to_string(high) + "; expected another one, or other rtp_ports)");
}

Result<sip::Uri> parse_upstream(std::string_view text) {
    auto uri = sip::Uri::parse(text);
    if (!uri || !uri->is_sip() || !uri->user.empty())
        return bad(text, "a URI such as sip:pbx.example.com;transport=tls");
    return uri;
}

Result<std::vector<std::string>> parse_media(std::string_view text) {
    constexpr std::string_view prefix = "rtpengine:";
    std::vector<std::string> out;
    if (text.starts_with(prefix))
        for (const auto &one : split(text.substr(prefix.size()), ',')) {
            const auto colon = one.rfind(':');
            const auto port =
                colon == std::string::npos ? std::nullopt : sip::parse_number(one.substr(colon + 1));
            if (!port || *port == 0 || *port > 65535 || colon == 0)
                return bad(text, "rtpengine:HOST:PORT[,HOST:PORT]");
            out.push_back(one);
        }
    if (out.empty()) return bad(text, "rtpengine:HOST:PORT[,HOST:PORT]");
    return out;
}

} // namespace offhook::bridge
