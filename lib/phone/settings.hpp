// Everything a Phone needs to know before it starts, merged by cmd: flag > environment > file > default.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/address.hpp"
#include "base/clock.hpp"
#include "base/result.hpp"
#include "media/transport_negotiation.hpp"
#include "media/voice.hpp"
#include "phone/ice_settings.hpp"
#include "sip/transport.hpp"

namespace offhook {

enum class DtmfMode : std::uint8_t { automatic, rfc4733, info, inband };
enum class EarlyMedia : std::uint8_t { play, ignore };
enum class ReferPolicy : std::uint8_t { deny, ask, allow }; // a REFER that arrives in a call

struct AccountSettings {
    std::string name;         // [account.NAME]; "" for the peer-to-peer account that always exists
    std::string aor;          // sip:alice@example.com
    std::string display_name; // From
    bool registers = true;    // register it when the phone runs
    std::string registrar;    // URI; empty: sip:DOMAIN of the AOR
    // Outbound proxies in order of preference: URIs (a Route with lr) or wss:// URLs; empty: none.
    std::vector<std::string> proxies;
    unsigned flows = 1;               // registrations kept at once, each by another of them (RFC 5626), 1..4
    bool gruu = false;                // use the public GRUU as Contact of calls (RFC 5627)
    std::vector<std::string> targets; // patterns of targets that are called with this account
    std::string auth_user;            // empty: user of the AOR
    std::string password;             // already resolved from password_file or password_command
    std::string realm;                // empty: whatever the account's own servers ask for
    std::optional<sip::TransportKind> transport;
    Duration expires{600'000};
    std::string public_address;      // IP for Contact and SDP
    std::vector<std::string> codecs; // keys; empty: the phone's
    // How long a call may go without a sign of life of the other side (RFC 4028); 0: as the peer wishes.
    Duration session_expires{1'800'000};
    bool anonymous = false; // calls do not tell who calls (RFC 3323)
    media::SrtpPolicy srtp = media::SrtpPolicy::off;
    bool ice = false;
    bool relay_only = false;              // only the TURN server learns where we are
    IceServerSettings stun, turn;         // not given: none
    std::string turn_user, turn_password; // never the account's own: other servers, other secrets
    friend bool operator==(const AccountSettings &, const AccountSettings &) = default;
};

struct ContactSettings {
    std::string name, uri, account;
};

struct ListenSettings {
    std::optional<sip::TransportKind> kind; // none: udp and tcp
    Address address;                        // port 0: any free one
    friend bool operator==(const ListenSettings &, const ListenSettings &) = default;
};

struct PhoneSettings {
    std::vector<AccountSettings> accounts;
    std::vector<ContactSettings> contacts;
    std::vector<ListenSettings> listen; // empty: udp and tcp on any free port of 0.0.0.0 and, if there, ::
    sip::TlsOptions tls;
    sip::SctpOptions sctp;
    std::string audio = "auto"; // --audio
    std::string pipe_format = "s16le,16000";
    std::vector<std::string> codecs{"opus", "g722", "pcma", "pcmu", "l16"};
    unsigned ptime_ms = 20;
    int opus_complexity = 5;
    bool dtx = false; // pauses instead of silence, where the peer agrees: RFC 3389, Opus' DTX
    std::uint16_t rtp_port_min = 0, rtp_port_max = 0;
    DtmfMode dtmf_mode = DtmfMode::automatic;
    std::optional<ReferPolicy> refer;  // absent: deny
    std::vector<std::string> watchers; // patterns of addresses that may see how our calls stand (RFC 4235)
    bool refer_anywhere = false;       // also out of the account's domain (a peer-to-peer account has none)
    media::VoiceOptions voice;         // of the microphone of a sound card
    Duration rtp_timeout{30'000};      // no RTP for so long in an established, unheld call ends it; 0 = never
    // Calls straight from anybody, not only from the accounts' servers and this host. Absent: yes when no
    // account registers or `listen` asks for sockets explicitly.
    std::optional<bool> allow_direct;
    // Taking up a call puts the one that has the sound device on hold: there is one person there.
    bool hold_for_next = true;
    bool verbose_sip = false;
};

// How the enumerations and sockets are written on the command line and in the file. Errors: invalid_argument
// saying what was expected.
Result<DtmfMode> parse_dtmf_mode(std::string_view text);       // auto, rfc4733, info, inband
Result<EarlyMedia> parse_early_media(std::string_view text);   // play, ignore
Result<media::SrtpPolicy> parse_srtp(std::string_view text);   // off, optional, required, dtls
Result<ReferPolicy> parse_refer_policy(std::string_view text); // allow, ask, deny
Result<ListenSettings> parse_listen(std::string_view text);    // [TRANSPORT:]ADDRESS[:PORT], IPv6 in brackets
Result<sip::TransportKind> parse_transport_name(std::string_view text); // udp, tcp, tls, ws, wss, dtls, sctp

} // namespace offhook
