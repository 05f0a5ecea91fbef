// The whole command line on one page. CLI11 is used for the grammar only: help, messages, completion,
// environment and configuration are ours (its own differ from release to release, and it ranks the file above
// the environment).
#include "cmd/cli.hpp"

#include <algorithm>

#include <CLI/CLI.hpp>

#include "base/text.hpp"
#include "cmd/cli_values.hpp"

namespace offhook::cmd {

namespace {

// The commands of the contract that later issues build.
const std::vector<std::string> later{"tui"};

bool is_later(const std::string &command) {
    return std::find(later.begin(), later.end(), command) != later.end();
}

struct Parser {
    CLI::App app{"offhook: a SIP softphone for the shell", "offhook"};
    GlobalOptions global;
    TalkOptions talk;
    CallOptions call;
    AnswerOptions answer;
    RegisterOptions register_;
    PingOptions ping;
    SendOptions send;
    MessageOptions message;
    TraceOptions trace_file;
    TransferCommandOptions transfer;
    RunOptions run;
    CtlOptions ctl;
    WatchOptions watch;
    WssBridgeOptions bridge;
    ConfigOptions config;
    AudioOptions audio;
    CompletionOptions completion;
    std::string trace;
    bool help = false, version = false;
    CommandTree tree; // texts that CLI11 has no place for

    Parser();
    CLI::App &command(const std::string &name, const std::string &text, const std::string &arguments,
                      const std::string &examples);
    void globals();
    void account_globals();
    void talks(CLI::App &sub);
    void expectations(CLI::App &sub);
    void call_command();
    void answer_command();
    void register_command();
    void ping_command();
    void send_command();
    void message_command();
    void trace_command();
    void transfer_command();
    void run_commands();
    void watch_command();
    void bridge_command();
    void small_commands();
};

// "-c,--config" → "--config", the name that messages use.
std::string long_name(const std::string &names) {
    return names.substr(names.find("--"));
}

// An option whose text goes through `parse`; its error is told with the option's name.
template <class T, class Parse>
CLI::Option *value(CLI::App &app, const std::string &names, T &into, Parse parse, const std::string &type,
                   const std::string &text) {
    return app
        .add_option_function<std::string>(
            names,
            [&into, parse, names](const std::string &given) {
                auto result = parse(given);
                if (!result) throw CLI::ValidationError(long_name(names), result.error().what);
                into = std::move(*result);
            },
            text)
        ->type_name(type);
}

template <class T>
CLI::Option *duration(CLI::App &app, const std::string &names, T &into, const std::string &text) {
    return value(
        app, names, into, [](const std::string &given) { return parse_duration(given); }, "D", text);
}

CLI::Option *text_option(CLI::App &app, const std::string &names, std::string &into, const std::string &type,
                         const std::string &text) {
    return app.add_option(names, into, text)->type_name(type);
}

CLI::Option *choice(CLI::App &app, const std::string &names, std::string &into, const std::string &words,
                    const std::string &text) {
    return value(
        app, names, into, [words](const std::string &given) { return parse_choice(given, words); }, words,
        text);
}

template <class Parse, class T>
CLI::Option *repeated(CLI::App &app, const std::string &names, std::vector<T> &into, Parse parse,
                      const std::string &type, const std::string &text) {
    return app
        .add_option_function<std::vector<std::string>>(
            names,
            [&into, parse, names](const std::vector<std::string> &given) {
                for (const auto &one : given) {
                    auto result = parse(one);
                    if (!result) throw CLI::ValidationError(long_name(names), result.error().what);
                    into.push_back(std::move(*result));
                }
            },
            text)
        ->type_name(type)
        ->expected(1)
        ->allow_extra_args(false) // else it would take the arguments that follow, too
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

Parser::Parser() {
    app.set_help_flag();
    app.add_flag("-h,--help", help, "show this help");
    app.fallthrough();
    app.require_subcommand(0, 1); // what follows is no further command: "ctl answer" means the verb
    globals();
    account_globals();
    call_command();
    answer_command();
    register_command();
    ping_command();
    send_command();
    message_command();
    trace_command();
    transfer_command();
    run_commands();
    watch_command();
    bridge_command();
    small_commands();
}

CLI::App &Parser::command(const std::string &name, const std::string &text, const std::string &arguments,
                          const std::string &examples) {
    auto *sub = app.add_subcommand(name, text);
    sub->set_help_flag();
    sub->fallthrough();
    tree.commands.push_back({name, text, arguments, {}, {}, examples});
    return *sub;
}

void Parser::globals() {
    text_option(app, "-c,--config", global.config, "FILE",
                "configuration file instead of ~/.config/offhook/offhook.toml");
    text_option(app, "-a,--account", global.account, "NAME", "account of the configuration to use");
    app.add_flag("--json", global.json, "one JSON object per line on standard output");
    app.add_flag("-q,--quiet", global.quiet, "nothing but errors on standard error");
    app.add_flag("-v,--verbose", global.verbose, "say more; repeat for debugging");
    choice(app, "--color", global.color, "auto|always|never", "colours on standard error");
    text_option(app, "--log-file", global.log_file, "FILE", "append the log to FILE");
    app.add_flag("--trace{-}", trace, "own SIP messages, decrypted, to standard error or FILE")
        ->type_name("FILE");
    text_option(app, "--pcap", global.pcap, "FILE",
                "capture SIP and RTP into FILE, for Wireshark and sngrep");
    repeated(app, "--listen", global.listen, parse_listen_text, "[TRANSPORT:]ADDRESS[:PORT]",
             "where to listen; repeatable");
    value(
        app, "--sctp-udp-port", global.sctp_udp_port,
        [](const std::string &t) { return parse_int(t, 0, 65535); }, "PORT",
        "experimental: SCTP comes in UDP to PORT, 0 for any (9899)");
    value(
        app, "--sctp-peer-udp-port", global.sctp_peer_udp_port,
        [](const std::string &t) { return parse_int(t, 1, 65535); }, "PORT",
        "experimental: SCTP goes in UDP to the peer's PORT (9899)");
    text_option(app, "--audio", global.audio, "DEVICE", "auto, none, alsa:NAME, file:IN,OUT or pipe");
    duration(app, "--timeout", global.timeout, "end the whole command after D, with exit 124");
    app.add_flag("-V,--version", version, "show the version; with -v the libraries too");
}

void Parser::account_globals() {
    value(app, "--aor", global.aor, parse_sip_uri, "URI", "call as this address, sip:alice@example.com");
    value(app, "--registrar", global.registrar, parse_sip_uri, "URI",
          "registrar, if it is not the address's domain");
    repeated(app, "--proxy", global.proxies, parse_proxy, "URI",
             "send everything through this proxy, or wss://HOST[:PORT][/PATH]; repeatable, in order");
    text_option(app, "--auth-user", global.auth_user, "NAME", "user name for authentication");
    text_option(app, "--password-file", global.password_file, "FILE",
                "its first line is the password; - is standard input");
    choice(app, "--transport", global.transport, "udp|tcp|tls|ws|wss|dtls|sctp", "transport to the server");
    text_option(app, "--codecs", global.codecs, "LIST",
                "codecs in order of preference: opus,g722,pcma,pcmu,l16");
    app.add_flag("--dtx", global.dtx, "send no packets while nobody speaks, where the peer agrees");
    text_option(app, "--public-address", global.public_address, "IP", "address to show outside of a NAT");
    text_option(app, "--tls-ca", global.tls_ca, "FILE",
                "trust these certificates (PEM) instead of the system's");
    text_option(app, "--tls-certificate", global.tls_certificate, "FILE",
                "own certificate chain and key (PEM)");
    text_option(app, "--tls-key", global.tls_key, "FILE", "the key, where it is in a file of its own (PEM)");
    app.add_flag("--tls-insecure", global.tls_insecure, "verify no certificate");
    choice(app, "--srtp", global.srtp, "off|optional|required|dtls",
           "media encryption: with optional a call may be in the clear");
    text_option(app, "--stun", global.stun, "URI",
                "STUN server that tells our address outside: stun:HOST[:PORT]");
    text_option(app, "--turn", global.turn, "URI",
                "TURN relay, with --ice: turn:[USER@]HOST[:PORT][?transport=tcp] or turns:");
    app.add_flag("--ice", global.ice, "find a way for the media through NATs (ICE)");
}

void Parser::talks(CLI::App &sub) {
    text_option(sub, "--play", talk.play, "FILE",
                "play FILE after the answer; - is WAV or raw sound on standard input");
    sub.add_flag("--play-loop", talk.play_loop, "play it again and again, until the call ends");
    text_option(sub, "--stdin-format", talk.stdin_format, "FORMAT",
                "of raw sound on standard input: s16le,16000");
    text_option(sub, "--record", talk.record, "FILE",
                "record in stereo, left sent, right received; {date}, {time} and {peer} are filled in; - is "
                "standard output");
    text_option(sub, "--say", talk.say, "TEXT", "speak TEXT after the answer (espeak-ng, or tts_command)");
    value(sub, "--dtmf", talk.dtmf, parse_dtmf_digits, "DIGITS",
          "send DIGITS after the answer; , or w waits 500 ms");
    choice(sub, "--dtmf-mode", talk.dtmf_mode, "auto|rfc4733|info|inband", "how digits are sent");
    duration(sub, "--hangup-after", talk.hangup_after, "hang up D after the answer");
    choice(sub, "--then", talk.then, "hangup|wait", "what to do when everything asked for is done");
    duration(sub, "--ring-timeout", talk.ring_timeout, "give up ringing after D");
    repeated(sub, "--header", talk.headers, parse_extra_header, "'NAME: VALUE'", "add a header; repeatable");
    text_option(sub, "--subject", talk.subject, "TEXT", "Subject of the call");
    choice(sub, "--early-media", talk.early_media, "ignore|play", "sound before the answer");
    text_option(sub, "--on-answer", talk.on_answer, "CMD",
                "run CMD (no shell) when the call is answered, call facts in OFFHOOK_*");
    text_option(sub, "--script", talk.script, "FILE", "not built in yet");
    text_option(
        sub, "--do", talk.steps, "STEPS",
        "steps such as 'wait answer; play a.wav; dtmf 12#; hangup'; - reads them from standard input");
    value(
        sub, "--retry", talk.retry, [](const std::string &t) { return parse_int(t, 0, 1000); }, "N",
        "try a failed call N times more");
    duration(sub, "--retry-wait", talk.retry_wait, "wait D between tries (10 s)");
    choice(sub, "--refer", talk.refer, "allow|ask|deny",
           "what to do with a transfer that the peer asks for (ask on a terminal, else deny)");
    sub.add_flag("--follow", talk.follow, "follow redirections (3xx)");
    expectations(sub);
}

void Parser::expectations(CLI::App &sub) {
    value(sub, "--expect-dtmf", talk.expect_dtmf, parse_regex_text, "REGEX",
          "exit 40 unless the digits received match");
    value(sub, "--expect-tone", talk.expect_tone, parse_tones, "HZ[,HZ]", "exit 40 unless the tone is heard");
    repeated(sub, "--expect-header", talk.expect_headers, parse_expected_header, "'NAME: REGEX'",
             "exit 40 unless a header of the answer matches");
    sub.add_flag("--expect-audio", talk.expect_audio, "exit 40 unless something is heard");
    value(sub, "--min-mos", talk.min_mos, parse_mos, "X",
          "exit 40 when the voice quality is below X (1 to 4.5)");
}

void Parser::call_command() {
    auto &sub =
        command("call", "place a call", "TARGET [TARGET…]",
                "  offhook call sip:bob@192.0.2.7\n"
                "  offhook call --play hello.wav --record '{date}-{peer}.wav' sip:bob@example.com\n"
                "  offhook call --do 'wait answer; dtmf 1234#; wait 2s; hangup' --timeout 30s +49301234\n"
                "  offhook call --expect-audio --min-mos 3.5 --nagios sip:echo@pbx.lan\n");
    sub.add_option("TARGET", call.targets, "SIP URI, tel:, number or user, host, or contact");
    talks(sub);
    sub.add_flag("--nagios", call.nagios, "one line for Nagios, exit 0 to 3");
}

void Parser::answer_command() {
    auto &sub =
        command("answer", "wait for a call and answer it", "",
                "  offhook answer --auto --echo --count 10\n"
                "  offhook answer --auto --play menu.wav --expect-dtmf '^1$' --listen udp:0.0.0.0:5060\n"
                "  offhook answer --code 486\n");
    sub.add_flag("--auto", answer.automatic, "answer by itself even on a terminal");
    duration(sub, "--delay", answer.delay, "let it ring for D before answering");
    value(sub, "--code", answer.code, parse_status, "STATUS",
          "refuse with this status (300 to 699) instead of answering");
    value(
        sub, "--count", answer.count, [](const std::string &t) { return parse_int(t, 1, 1'000'000); }, "N",
        "end after N calls (1)");
    value(
        sub, "--at-once", answer.at_once, [](const std::string &t) { return parse_int(t, 1, 128); }, "N",
        "talk with N callers at the same time (1); others get 486");
    repeated(
        sub, "--from", answer.from, [](const std::string &t) { return Result<std::string>(t); }, "PATTERN",
        "accept only callers whose URI matches (* and ?), others get 403; repeatable");
    sub.add_flag("--echo", answer.echo, "send back what arrives");
    talks(sub);
}

void Parser::register_command() {
    auto &sub = command("register", "register an account and keep it registered", "",
                        "  offhook register -a home\n"
                        "  offhook register --once --aor sip:alice@example.com --password-file secret.txt\n"
                        "  offhook register --query -a home --json\n");
    sub.add_flag("--once", register_.once, "end as soon as the outcome is known");
    duration(sub, "--expires", register_.expires, "ask for a registration of D");
    sub.add_flag("--query", register_.query, "list what is registered");
    sub.add_flag("--unregister", register_.unregister, "remove the registrations of this account and end");
    sub.add_flag("--nagios", register_.nagios, "one line for Nagios, exit 0 to 3; implies --once");
}

void Parser::ping_command() {
    auto &sub = command("ping", "measure SIP round trips with OPTIONS", "TARGET",
                        "  offhook ping -n 10 -i 200ms sip:pbx.example.com\n"
                        "  offhook ping --route -a home sip:200@pbx.example.com\n"
                        "  offhook ping --nagios sip:pbx.example.com;transport=tcp\n");
    sub.add_option("TARGET", ping.target, "SIP URI, tel:, number or user, host, or contact");
    value(
        sub, "-n,--count", ping.count, [](const std::string &t) { return parse_int(t, 0, 1'000'000); }, "N",
        "send N requests (4); 0: until interrupted");
    value(
        sub, "-i,--interval", ping.interval,
        [](const std::string &t) { return parse_duration_from(t, Duration{10}); }, "D",
        "wait D between requests (1 s, at least 10 ms)");
    value(
        sub, "-W,--wait", ping.wait, [](const std::string &t) { return parse_duration_from(t, Duration{1}); },
        "D", "give up on an answer after D (5 s)");
    sub.add_flag("--route", ping.route, "find the proxies on the way, by Max-Forwards");
    value(
        sub, "--max-hops", ping.max_hops, [](const std::string &t) { return parse_int(t, 1, 70); }, "N",
        "with --route: look no further than N hops (30)");
    sub.add_flag("--nagios", ping.nagios, "one line for Nagios, exit 0 to 3");
}

void Parser::send_command() {
    auto &sub =
        command("send", "send one request and print the responses", "TARGET",
                "  offhook send sip:pbx.example.com\n"
                "  offhook send --method PUBLISH --header 'Event: presence' --header 'Content-Type: "
                "application/pidf+xml' \\\n      --body @state.xml --expect 2xx sip:alice@example.com\n"
                "  offhook send --dry-run --method MESSAGE --body hello sip:bob@192.0.2.7 > "
                "message.sip\n"
                "  offhook send --raw message.sip --expect 400 'sip:192.0.2.7;transport=tcp'\n");
    sub.add_option("TARGET", send.target, "SIP URI, tel:, number or user, host, or contact");
    value(sub, "--method", send.method, parse_method_token, "METHOD", "method of the request (OPTIONS)");
    repeated(sub, "--header", send.headers, parse_any_header, "'NAME: VALUE'",
             "add a header, or replace one of the phone's; repeatable");
    text_option(sub, "--body", send.body, "TEXT|@FILE", "body of the request; @- is standard input");
    text_option(sub, "--raw", send.raw, "FILE", "send the bytes of FILE as they are; - is standard input");
    sub.add_flag("--rport", send.rport,
                 "with --raw: add rport to the topmost Via, so that an answer by UDP finds back");
    value(sub, "--expect", send.expect, parse_expect, "STATUS",
          "exit 40 unless the final status is one of these: 2xx, 401,407 …, or none");
    value(
        sub, "-W,--wait", send.wait, [](const std::string &t) { return parse_duration_from(t, Duration{1}); },
        "D", "with --raw: wait for an answer for D (5 s)");
    sub.add_flag("--dry-run", send.dry_run, "print the request instead of sending it");
}

void Parser::message_command() {
    auto &sub = command("message", "send an instant message", "TARGET [TEXT|-]",
                        "  offhook message sip:bob@192.0.2.7 'the door is open'\n"
                        "  uptime | offhook message -a home bob\n");
    sub.add_option("TARGET", message.target, "SIP URI, tel:, number or user, host, or contact");
    sub.add_option("TEXT", message.text, "the message; - or nothing: from standard input");
}

void Parser::trace_command() {
    auto &sub = command("trace", "draw the call flow of a capture or trace file", "FILE|-",
                        "  offhook trace call.pcap\n"
                        "  offhook trace --format mermaid --method INVITE,ACK,BYE call.pcapng > flow.mmd\n"
                        "  tcpdump -i eth0 -w - -c 500 port 5060 | offhook trace -\n");
    sub.add_option("FILE", trace_file.file, "pcap, pcapng, or what --trace=FILE wrote; - is standard input");
    choice(sub, "--format", trace_file.format, "text|markdown|mermaid|json", "form of the flow (text)");
    text_option(sub, "--call", trace_file.call, "CALL",
                "only this call: its number, or a part or pattern of its Call-ID");
    text_option(sub, "--method", trace_file.method, "METHOD[,METHOD…]",
                "only requests of these methods and "
                "their responses");
}

void Parser::transfer_command() {
    auto &sub = command("transfer", "call somebody and hand the call on", "FIRST SECOND | --call ID TARGET",
                        "  offhook transfer sip:alice@example.com sip:bob@example.com\n"
                        "  offhook transfer --attended --ring-timeout 30s -a work 201 202\n"
                        "  offhook transfer --json 201 202 | jq -r 'select(.event==\"result\").exit'\n");
    sub.add_option("PARTY", transfer.parties, "FIRST and SECOND");
    sub.add_flag("--attended", transfer.attended, "call SECOND too, then join the two (Replaces)");
    sub.add_flag("--no-wait", transfer.no_wait, "do not ask how it went; done when FIRST agrees to go");
    duration(sub, "--ring-timeout", transfer.ring_timeout,
             "give up when FIRST rings or SECOND's answer takes longer than D");
    choice(sub, "--then", transfer.then, "hangup|wait",
           "after a failed transfer: end the call with FIRST, or stay in it (a terminal's default)");
    text_option(sub, "--call", transfer.call, "ID", "hand on this call of the running phone to TARGET");
}

void Parser::run_commands() {
    auto &run_sub = command("run", "be a phone without a face, with a control socket", "",
                            "  offhook run -c /etc/offhook/offhook.toml\n");
    choice(run_sub, "--refer", run.refer, "allow|ask|deny",
           "what to do with a transfer that a peer asks for (as configured, else deny)");
    auto &ctl_sub = command("ctl", "talk to the running phone", "VERB [ARGUMENTS]",
                            "  offhook ctl status\n"
                            "  offhook ctl dial sip:bob@example.com\n"
                            "  offhook ctl transfer sip:carol@example.com c1\n"
                            "  offhook ctl reload\n"
                            "  offhook ctl events | jq .event\n");
    ctl_sub.add_option("VERB", ctl.words, "what to do");
    tree.commands.back().words = {
        "status",          "calls",   "dial",   "answer",  "hangup",   "hold",
        "resume",          "mute",    "unmute", "dtmf",    "transfer", "accept-transfer",
        "refuse-transfer", "record",  "play",   "loop",    "events",   "conference",
        "leave",           "message", "watch",  "unwatch", "reload",   "quit"};
}

void Parser::watch_command() {
    auto &sub = command("watch", "watch presence, lines, voice mail or registrations", "TARGET",
                        "  offhook watch -a home --event message-summary sip:100@pbx.lan\n"
                        "  offhook watch -a home --event dialog sip:200@pbx.lan --json\n"
                        "  offhook watch --event presence --count 1 sip:alice@example.com\n");
    sub.add_option("TARGET", watch.target, "SIP URI, tel:, number or user, host, or contact");
    choice(sub, "--event", watch.event, "dialog|presence|message-summary|reg", "what to watch");
    value(
        sub, "--expires", watch.expires,
        [](const std::string &t) { return parse_duration_from(t, Duration{1'000}); }, "D",
        "ask for subscriptions of D (1 h)");
    value(
        sub, "--count", watch.count, [](const std::string &t) { return parse_int(t, 1, 1'000'000); }, "N",
        "end after N NOTIFYs");
}

void Parser::bridge_command() {
    auto &sub =
        command("wss-bridge", "join browsers (SIP over WebSocket, WebRTC) and SIP phones", "",
                "  offhook wss-bridge -c house.toml\n"
                "  offhook wss-bridge --listen wss://0.0.0.0:8443 --sip udp:0.0.0.0:5060 -c house.toml\n"
                "  offhook wss-bridge --status\n");
    text_option(sub, "--domain", bridge.domain, "NAME", "the domain whose users register here");
    repeated(sub, "--sip", bridge.sip, parse_sip_socket_text, "TRANSPORT:ADDRESS:PORT",
             "where phones reach it: udp, tcp or tls; repeatable");
    repeated(sub, "--origin", bridge.origins, parse_origin_text, "PATTERN",
             "pages that may connect (https://phone.example.com, * is any); repeatable");
    sub.add_flag("--allow-native", bridge.allow_native, "let in WebSocket clients that are no browsers");
    text_option(sub, "--www", bridge.www, "DIR", "serve this folder instead of the built-in web phone");
    value(sub, "--rtp-range", bridge.rtp_ports, parse_port_range_text, "LOW-HIGH", "UDP ports for media");
    value(sub, "--media", bridge.media, parse_media_text, "rtpengine:HOST:PORT[,…]",
          "let these rtpengine daemons carry the media");
    value(sub, "--upstream", bridge.upstream, parse_upstream_text, "URI",
          "be the edge of this registrar instead of a registrar");
    choice(sub, "--upstream-mode", bridge.upstream_mode, "auto|path|contact|creds",
           "how calls find the way back; creds: with passwords of the bridge");
    value(
        sub, "--transcode", bridge.transcode, [](const std::string &t) { return parse_int(t, 0, 10'000); },
        "CALLS", "let so many calls at once go on between different codecs");
    text_option(sub, "--state-file", bridge.state_file, "FILE", "keep registrations here over a restart");
    text_option(sub, "--door-code", bridge.door_code, "DIGITS",
                "DTMF that the web phone's \"open the door\" button sends");
    sub.add_flag("--status", bridge.status, "show what a running bridge is doing");
}

void Parser::small_commands() {
    auto &config_sub =
        command("config", "check the configuration, or import another phone's", "check | import PHONE PATH",
                "  offhook config check -c offhook.toml\n"
                "  offhook config import baresip ~/.baresip\n"
                "  offhook config import linphone ~/.config/linphone/linphonerc --output offhook.toml\n");
    config_sub.add_option("VERB", config.verb, "check or import");
    config_sub.add_option("PHONE", config.phone, "baresip, pjsua, linphone or twinkle");
    config_sub.add_option("PATH", config.path, "its directory or file");
    text_option(config_sub, "--output", config.output, "FILE",
                "import: write FILE, passwords included, instead of standard output");
    config_sub.add_flag("--force", config.force, "import: overwrite FILE");
    tree.commands.back().words = {"check", "import", "baresip", "pjsua", "linphone", "twinkle"};
    command("accounts", "list the accounts of the configuration", "", "  offhook accounts --json\n");
    command("contacts", "list the contacts of the configuration", "", "  offhook contacts\n");
    auto &audio_sub =
        command("audio", "list, measure and use the sound devices", "list|test|play FILE|record FILE",
                "  offhook audio list\n"
                "  offhook audio test --audio alsa:hw:CARD=Device,DEV=0\n"
                "  offhook audio record memo.flac --timeout 10s\n");
    audio_sub.add_option("VERB", audio.verb, "list, test, play or record");
    audio_sub.add_option("FILE", audio.file, "to play, or to record into");
    tree.commands.back().words = {"list", "test", "play", "record"};
    auto &completion_sub =
        command("completion", "print a completion script for a shell", "bash|zsh|fish",
                "  offhook completion bash > ~/.local/share/bash-completion/completions/offhook\n");
    completion_sub.add_option("SHELL", completion.shell, "bash, zsh or fish");
    tree.commands.back().words = {"bash", "zsh", "fish"};
    command("help", "show the help of a command", "[COMMAND]", "  offhook help call\n");
    tree.later = later;
    for (const auto &name : later)
        app.add_subcommand(name, "not built in yet")->prefix_command();
}

std::vector<OptionEntry> options_of(const CLI::App &app) {
    std::vector<OptionEntry> out;
    for (const CLI::Option *option : app.get_options()) {
        if (option->get_positional()) continue;
        OptionEntry entry;
        entry.short_names = option->get_snames();
        entry.long_names = option->get_lnames();
        entry.text = option->get_description();
        entry.value_optional = entry.long_names == std::vector<std::string>{"trace"};
        if (entry.value_optional || option->get_items_expected_max() > 0)
            entry.value = option->get_type_name();
        if (entry.value.find('|') != std::string::npos) entry.choices = split(entry.value, '|');
        out.push_back(std::move(entry));
    }
    return out;
}

CommandTree tree_of(Parser &parser) {
    CommandTree tree = parser.tree;
    tree.global = options_of(parser.app);
    for (auto &entry : tree.commands)
        entry.options = options_of(*parser.app.get_subcommand(entry.name));
    return tree;
}

std::vector<std::string> option_names(const CommandTree &tree, const std::string &command) {
    std::vector<std::string> names;
    const auto collect = [&names](const std::vector<OptionEntry> &options) {
        for (const auto &option : options)
            for (const auto &name : option.long_names)
                names.push_back("--" + name);
    };
    collect(tree.global);
    if (const auto *entry = find(tree, command)) collect(entry->options);
    return names;
}

// One line on what CLI11 could not place.
Failure unexpected(const CommandTree &tree, const std::string &command,
                   const std::vector<std::string> &extras) {
    const auto is_option = [](const std::string &word) { return word.size() > 1 && word[0] == '-'; };
    auto word = extras.front();
    const auto option = std::find_if(extras.begin(), extras.end(), is_option);
    if (option != extras.end() && (!command.empty() || is_option(word))) word = *option;
    if (is_option(word)) {
        word = word.substr(0, word.find('='));
        return fail(Errc::invalid_argument,
                    "unknown option " + sanitise(word) + suggestion(word, option_names(tree, command)));
    }
    if (!command.empty())
        return fail(Errc::invalid_argument, command + ": unexpected argument \"" + sanitise(word) + "\"");
    if (starts_with_any(word, {"sip:", "sips:", "tel:"}))
        return fail(Errc::invalid_argument, "\"" + sanitise(word) +
                                                "\" is no command (did you mean: offhook call " +
                                                sanitise(word) + ")");
    std::vector<std::string> names = tree.later;
    for (const auto &entry : tree.commands)
        names.push_back(entry.name);
    return fail(Errc::invalid_argument,
                "unknown command \"" + sanitise(word) + "\"" + suggestion(word, names));
}

Result<CommandLine> chosen(Parser &parser, const std::string &command) {
    CommandLine line{parser.global, NothingOptions{}};
    const auto finish = [&line](auto options) -> Result<CommandLine> {
        line.command = std::move(options);
        return std::move(line);
    };
    if (!parser.trace.empty()) line.global.trace = parser.trace;
    if (parser.version) return finish(VersionOptions{});
    if (parser.help && (command.empty() || command == "help"))
        return finish(HelpOptions{help_text(tree_of(parser))});
    if (is_later(command)) return fail(Errc::not_supported, "not built in yet: " + command);
    if (command == "help" || parser.help) {
        const CommandTree tree = tree_of(parser);
        if (const auto *entry = find(tree, command); entry != nullptr && command != "help")
            return finish(HelpOptions{help_text(tree, *entry)});
        return finish(HelpOptions{help_text(tree)});
    }
    parser.call.talk = parser.answer.talk = parser.talk;
    if (command == "call") return finish(parser.call);
    if (command == "answer") return finish(parser.answer);
    if (command == "register") return finish(parser.register_);
    if (command == "ping") return finish(parser.ping);
    if (command == "send") return finish(parser.send);
    if (command == "message") return finish(parser.message);
    if (command == "trace") return finish(parser.trace_file);
    if (command == "transfer") return finish(parser.transfer);
    if (command == "run") return finish(parser.run);
    if (command == "ctl") return finish(parser.ctl);
    if (command == "watch") return finish(parser.watch);
    if (command == "wss-bridge") return finish(parser.bridge);
    if (command == "config") return finish(parser.config);
    if (command == "accounts") return finish(AccountsOptions{});
    if (command == "contacts") return finish(ContactsOptions{});
    if (command == "audio") return finish(parser.audio);
    if (command == "completion") return finish(parser.completion);
    return finish(NothingOptions{short_help(tree_of(parser))});
}

std::string chosen_name(const CLI::App &app) {
    const auto subs = app.get_subcommands();
    return subs.empty() ? "" : subs.front()->get_name();
}

} // namespace

Result<CommandLine> parse_command_line(const std::vector<std::string> &given) {
    Parser parser;
    auto arguments = given;
    if (arguments.size() > 1 && arguments[0] == "help") { // help COMMAND: COMMAND --help
        arguments.erase(arguments.begin());
        arguments.emplace_back("--help");
    }
    try {
        parser.app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
    } catch (const CLI::ExtrasError &) {
        const std::string command = chosen_name(parser.app);
        if (is_later(command)) return fail(Errc::not_supported, "not built in yet: " + command);
        return unexpected(tree_of(parser), chosen_name(parser.app), parser.app.remaining(true));
    } catch (const CLI::ArgumentMismatch &e) {
        const std::string what = e.what();
        return fail(Errc::invalid_argument, what.substr(0, what.find(':')) + " needs a value");
    } catch (const CLI::ParseError &e) {
        return fail(Errc::invalid_argument, sanitise(e.what()));
    }
    return chosen(parser, chosen_name(parser.app));
}

CommandTree command_tree() {
    Parser parser;
    return tree_of(parser);
}

} // namespace offhook::cmd
