#include "cmd/parser.hpp"

#include "cmd/option_kinds.hpp"

namespace offhook::cmd {

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

} // namespace offhook::cmd
