// What the command line said, as plain values: one struct per command. cli.cpp fills them, nobody else
// parses.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.hpp"

namespace offhook::cmd {

using Header = std::pair<std::string, std::string>;

struct GlobalOptions {
    std::string config, account;
    bool json = false, quiet = false;
    int verbose = 0;
    std::string color = "auto", log_file, pcap;
    std::optional<std::string> trace; // "-": stderr
    std::vector<std::string> listen;
    std::optional<int> sctp_udp_port, sctp_peer_udp_port;
    std::string audio; // empty: the configuration's
    std::optional<Duration> timeout;
    // The account that exists only for this command.
    std::vector<std::string> proxies;
    std::string aor, registrar, auth_user, transport, codecs, public_address, password_file;
    std::string tls_ca, tls_certificate, tls_key;
    bool tls_insecure = false;
    std::string srtp, stun, turn;
    bool ice = false, dtx = false;
};

// What `call` and `answer` share: what happens in a call once it is there.
struct TalkOptions {
    std::string play, record, say, dtmf, dtmf_mode, stdin_format;
    std::optional<Duration> hangup_after, ring_timeout;
    std::string then; // "", "hangup", "wait"
    std::vector<Header> headers;
    std::string subject, early_media, on_answer, script, steps, refer;
    std::string expect_dtmf;
    std::vector<double> expect_tone;
    std::vector<Header> expect_headers; // name, regular expression
    bool play_loop = false, expect_audio = false, follow = false;
    std::optional<double> min_mos;
    int retry = 0;
    Duration retry_wait{10'000};
};

struct CallOptions {
    TalkOptions talk;
    std::vector<std::string> targets;
    bool nagios = false;
};

struct AnswerOptions {
    TalkOptions talk;
    bool automatic = false, echo = false;
    Duration delay{0};
    unsigned code = 0; // refuse with it; 0: answer
    int count = 1, at_once = 1;
    std::vector<std::string> from; // patterns
};

struct RegisterOptions {
    bool once = false, query = false, unregister = false, nagios = false;
    std::optional<Duration> expires;
};

struct PingOptions {
    std::string target;
    unsigned count = 4; // 0: until interrupted
    Duration interval{1'000}, wait{5'000};
    bool route = false, nagios = false;
    unsigned max_hops = 30;
};

struct SendOptions {
    std::string target;
    std::string method = "OPTIONS";
    std::vector<Header> headers;
    std::string body, raw; // raw: a file
    std::string expect;    // "2xx,404" or "none"
    bool dry_run = false, rport = false;
    Duration wait{5'000};
};

struct MessageOptions {
    std::string target;
    std::optional<std::string> text; // none, "-": standard input
};

struct TraceOptions {
    std::string file;
    std::string format = "text"; // markdown, mermaid, json
    std::string call, method;    // filters
};

struct TransferCommandOptions {
    std::vector<std::string> parties; // FIRST SECOND, or TARGET with --call
    std::string call;                 // of the running phone
    bool attended = false, no_wait = false;
    std::optional<Duration> ring_timeout;
    std::string then; // after a failure: "", "hangup", "wait"
};

struct RunOptions {
    std::string refer;
};

struct CtlOptions {
    std::vector<std::string> words; // VERB and what it takes
};

struct WatchOptions {
    std::string target, event;
    std::optional<Duration> expires;
    unsigned count = 0; // 0: until interrupted
};

// Empty: the configuration's, or the default.
struct WssBridgeOptions {
    std::optional<unsigned> transcode; // calls at once
    std::optional<std::uint16_t> ice_port;
    std::string domain, www, upstream, upstream_mode, media, rtp_ports, state_file, cluster_key_file,
        door_code;
    std::vector<std::string> sip, origins, proxies;
    bool allow_native = false, allow_ws = false, hide_forks = false, ice_tcp = false, avpf = false,
         status = false;
};

struct ConfigOptions {
    std::string verb;        // "check", "import"
    std::string phone, path; // import: from what
    std::string output;      // import: a file to write
    bool force = false;
};
struct AudioOptions {
    std::string verb; // "list", "test", "play", "record"
    std::string file; // of play and record
};
struct AccountsOptions {};
struct ContactsOptions {};
struct CompletionOptions {
    std::string shell;
};
struct HelpOptions {
    std::string text; // ready to print
};
struct VersionOptions {};
struct NothingOptions { // `offhook` alone
    std::string help;
};

struct CommandLine {
    GlobalOptions global;
    std::variant<NothingOptions, HelpOptions, VersionOptions, CallOptions, AnswerOptions, RegisterOptions,
                 PingOptions, SendOptions, MessageOptions, TraceOptions, TransferCommandOptions, WatchOptions,
                 RunOptions, CtlOptions, WssBridgeOptions, ConfigOptions, AccountsOptions, ContactsOptions,
                 AudioOptions, CompletionOptions>
        command;
};

} // namespace offhook::cmd
