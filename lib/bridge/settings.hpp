// What the bridge needs to know before it starts: read from [bridge] of the configuration and the command
// line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "base/clock.hpp"
#include "base/network.hpp"
#include "bridge/jwt.hpp"
#include "sip/transport.hpp"
#include "sip/uri.hpp"

namespace offhook::bridge {

// Which digest algorithms a user is offered (RFC 8760). Phones built on libre before 3.12 refuse a challenge
// as soon as SHA-256 is among its headers.
enum class DigestOffer : std::uint8_t { both, md5, sha256 };

// How the upstream knows a user (upstream mode "creds").
struct UpstreamUser {
    std::string user, password;  // for digest; empty: it has none
    std::string realm;           // empty: the one that the registrar asks for
    std::optional<sip::Uri> aor; // absent: sip:user@upstream
};

struct UserSettings {
    std::string name;      // user part of the address, without domain
    std::string password;  // empty when ha1 is given, or the user comes by way of a web application
    std::string ha1;       // MD5(name:domain:password) in lower-case hex
    unsigned devices = 10; // bindings at most
    std::vector<std::string> may_call; // patterns over "sip:user@domain"; empty: everybody here
    DigestOffer digest = DigestOffer::both;
    UpstreamUser upstream{};
};

// A phone or door station that cannot register: callable by name, and may call from its address only.
struct DeviceSettings {
    std::string name;
    sip::Uri uri; // with a numeric host
    Address address;
};

struct SocketSettings {
    sip::TransportKind kind = sip::TransportKind::udp;
    Address address;
};

enum class UpstreamMode : std::uint8_t { automatic, path, contact, credentials };
enum class PlainSrtp : std::uint8_t { off, offer, require }; // SDES towards the classic side

// Web applications that say who their visitors are (nothing: there are none).
struct LoginSettings {
    std::optional<JwtRules> jwt;
    std::string cookie_key; // of session cookies; empty: none are taken
    [[nodiscard]] bool any() const noexcept { return jwt || !cookie_key.empty(); }
};

struct Settings {
    std::string domain;
    std::vector<UserSettings> users;
    std::vector<DeviceSettings> devices;
    LoginSettings logins;
    std::vector<SocketSettings> web, sip; // ws and wss; udp, tcp and tls
    std::vector<std::string> origins;     // patterns; empty: the bridge's own addresses
    std::vector<Network> proxies;         // whose X-Forwarded-For or Forwarded names the client
    bool allow_native = false;            // clients without Origin
    bool allow_ws = false;                // ws:// also where others than this host can reach it
    std::string www;                      // folder with the page; empty: the built-in one
    std::string state_file;               // bindings survive a restart; empty: they do not
    std::string cluster_key;              // the secret of flow tokens; empty: made at start
    std::vector<SocketSettings> peers;    // the SIP sockets of the bridges with the same key
    std::optional<sip::Uri> upstream;
    UpstreamMode upstream_mode = UpstreamMode::automatic;
    std::vector<std::string> rtpengines; // "HOST:PORT"; empty: media in process
    std::uint16_t rtp_min = 0, rtp_max = 0;
    std::uint16_t ice_port = 0; // UDP port of all browsers' legs of the first worker, the next one of the
                                // second …; 0: a port of its own for each leg
    bool ice_tcp = false;       // media by TCP to the web sockets' port, where UDP does not pass
    std::string public_address;
    PlainSrtp srtp = PlainSrtp::off;
    bool avpf = false; // video is offered to phones with feedback (RFC 4585)
    std::vector<std::string> codecs{"opus", "g722", "pcma", "pcmu", "h264", "vp8"};
    unsigned media_workers = 1;
    unsigned transcode = 0;  // calls at once whose codecs are made to meet; 0: none
    bool hide_forks = false; // browsers see one To-tag whoever answers
    std::string door_code;   // DTMF of the page's "open the door" button; empty: no button
    Duration least_expires{60'000}, most_expires{3'600'000};
    sip::TlsOptions tls;

    // Whoever registers does so at the upstream, with its own password.
    [[nodiscard]] bool proxies_registrations() const noexcept {
        return upstream && upstream_mode != UpstreamMode::credentials;
    }
};

} // namespace offhook::bridge
