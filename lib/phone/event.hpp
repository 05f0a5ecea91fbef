// Everything a Phone tells the world. The command line, the TUI, the control socket and the plugins all live
// off this one type; event_json.hpp is its wire form (cli.md, "JSON").
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.hpp"
#include "base/json.hpp"
#include "media/leg.hpp"
#include "sip/dialog_state.hpp"

namespace offhook {

enum class WatchId : std::uint32_t {}; // "w1" on the wire
enum class CallId : std::uint32_t {};  // "c1", "c2" … on the wire
std::string to_string(CallId id);

enum class CallDirection : std::uint8_t { outgoing, incoming };
enum class EndedBy : std::uint8_t { local, remote, network, timeout };
std::string_view name(CallDirection direction) noexcept; // "outgoing"
std::string_view name(EndedBy by) noexcept;              // "local"

// Our part in a transfer: we hand the call on, are handed on, or are whom it is handed to.
enum class TransferRole : std::uint8_t { transferor, transferee, target };
std::string_view name(TransferRole role) noexcept; // "transferor"

// A copy of what is known of a call. Texts from the network are already sanitised (no control characters).
struct CallView {
    CallId id{};
    CallDirection direction = CallDirection::outgoing;
    std::string account;
    std::string local, remote; // URIs without parameters
    std::string remote_name;   // display name
    std::string sip_call_id;
    sip::DialogState state = sip::DialogState::trying;
    bool held_locally = false, held_remotely = false, muted = false, recording = false, early_media = false,
         in_conference = false;
    std::string codec; // "PCMU/8000", empty before negotiation
    std::string srtp;  // empty: none
    std::chrono::system_clock::time_point started{};
    Duration talk{0}; // since the answer
};

namespace event {
struct AccountRegistering {
    std::string account, aor, registrar;
};
struct AccountRegistered {
    std::string account, aor, contact, transport;
    std::int64_t expires_s = 0;
    unsigned flow = 1; // which of several (RFC 5626 reg-id)
};
struct AccountFailed {
    std::string account, aor;
    unsigned code = 0; // SIP status, 0 for a network or TLS failure
    std::string reason;
    int exit = 1;
    std::int64_t retry_ms = -1; // next attempt; -1: none
};
struct AccountUnregistered {
    std::string account, aor;
};
struct CallIncoming {
    CallView call;
    std::string user_agent, subject, source; // source: "udp:192.0.2.1:5060"
    // What the account's own server vouches for; empty from anybody else.
    std::string asserted;                            // P-Asserted-Identity
    std::vector<std::string> diverted, diverted_why; // who was called before us, the latest first
    bool wants_privacy = false;                      // Privacy: the caller does not want to be known
};
struct CallOutgoing {
    CallView call;
    std::string target;
};
struct CallTrying { // 100
    CallView call;
};
struct CallRinging { // 180 and other provisionals without media
    CallView call;
    unsigned code = 180;
    std::string reason;
};
struct CallEarly { // provisional with media
    CallView call;
    unsigned code = 183;
};
struct CallAnswered {
    CallView call;
    std::int64_t pdd_ms = -1, setup_ms = -1;
    std::string user_agent;
    std::vector<std::pair<std::string, std::string>> headers; // of the answer, for --expect-header
};
struct CallHeld { // by us, confirmed
    CallView call;
};
struct CallResumed {
    CallView call;
};
struct CallRemoteHold {
    CallView call;
    bool on = true;
};
struct CallDtmf {
    CallView call;
    char digit = 0;
    bool sent = false;  // else received
    std::string method; // "rfc4733", "info", "inband"
    std::int64_t length_ms = 0;
};
struct CallMedia {
    CallView call;
    std::string what; // "first", "lost", "resumed"
    std::string local_rtp, remote_rtp;
    std::int64_t silent_ms = 0;
    bool one_way = false; // "lost" while ours goes out: they may hear us
};
struct CallQuality { // every 5 s while media flows
    CallView call;
    media::LegStats stats;         // of the call so far
    media::IntervalStats interval; // since the last one
};
struct CallTransfer {
    CallView call;
    TransferRole role = TransferRole::transferor;
    bool attended = false;
    std::string target; // whom the call is handed to
    unsigned code = 0;  // true code of the target so far; 0: not told
    std::string reason;
    bool asks = false; // transferee: waits for Phone::accept_transfer() or refuse_transfer()
    bool done = false; // nothing more will come
    int exit = 0;      // when it is done
    // Transferee: the call to the target. When it stands it goes on under the number of this one.
    std::optional<CallId> next;
};
struct CallRecording {
    CallView call;
    std::string file;
    bool on = true;
    std::string error;
};
struct CallPlayback { // a --play or `play` file ran out
    CallView call;
    std::string file;
};
struct CallStep {
    CallView call;
    std::string step; // as written
    bool ok = true;
    std::string error;
};
struct CallEnded {
    CallView call;
    unsigned code = 0;                 // final status; 200 for an answered call that ended by BYE
    std::string reason, reason_header; // Reason of BYE or CANCEL
    EndedBy by = EndedBy::local;
    int exit = 0;
    bool answered = false;
    std::int64_t pdd_ms = -1, setup_ms = -1, talk_ms = 0; // pdd: first 18x after INVITE; setup: 200
    media::LegStats stats;
    std::string redirect; // Contact of a 3xx
};
struct AudioLost {
    std::string device, error;
};
struct AudioRestored {
    std::string device;
};
struct MessageReceived { // RFC 3428
    std::string account, from, from_name, to;
    std::string text;   // control characters are shown as \x1b, line ends and tabs stay
    std::string source; // "udp:192.0.2.1:5060"
};
struct MessageSent { // accepted (2xx) or not
    std::string account, to;
    unsigned code = 0; // 0: no answer
    std::string reason;
    int exit = 0;
};
struct NotifyReceived { // of something that the user watches
    WatchId watch{};
    std::string account, target, package; // "dialog", "presence", "message-summary", "reg"
    std::string state, reason;            // "active", "pending", "terminated"
    std::string summary;                  // one line
    Json content;                         // the same in parts, see state_document.hpp
};
struct NotifyEnded { // the subscription was refused or has ended
    WatchId watch{};
    std::string account, target, package;
    unsigned code = 0;
    std::string reason;
    int exit = 1;
    std::int64_t retry_ms = -1; // subscribes anew; -1: not any more
};
struct Log {
    std::string level, text; // "warning"
};
} // namespace event

using Event = std::variant<
    event::AccountRegistering, event::AccountRegistered, event::AccountFailed, event::AccountUnregistered,
    event::CallIncoming, event::CallOutgoing, event::CallTrying, event::CallRinging, event::CallEarly,
    event::CallAnswered, event::CallHeld, event::CallResumed, event::CallRemoteHold, event::CallDtmf,
    event::CallMedia, event::CallQuality, event::CallTransfer, event::CallRecording, event::CallPlayback,
    event::CallStep, event::CallEnded, event::AudioLost, event::AudioRestored, event::MessageReceived,
    event::MessageSent, event::NotifyReceived, event::NotifyEnded, event::Log>;

std::string_view name(const Event &event) noexcept;   // "call.answered"
const CallView *call_of(const Event &event) noexcept; // nullptr when it is not about a call

} // namespace offhook
