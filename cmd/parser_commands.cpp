#include "cmd/option_kinds.hpp"
#include "cmd/parser.hpp"

namespace offhook::cmd {

void Parser::call_command() {
    auto &sub = command("call", "place a call", "TARGET [TARGET…]",
                        "  offhook call sip:bob@192.0.2.7\n"
                        "  offhook call --play hello.wav --record '{date}-{peer}.wav' sip:bob@example.com\n"
                        "  offhook call --do 'wait answer; dtmf 1234#; wait 2s; hangup' +49301234\n"
                        "  offhook call --expect-audio --min-mos 3.5 --nagios sip:echo@pbx.lan\n");
    sub.add_option("TARGET", call.targets, "SIP URI, tel:, number or user, host, or contact");
    talks(sub);
    sub.add_flag("--nagios", call.nagios, "one line for Nagios, exit 0 to 3");
}

void Parser::answer_command() {
    auto &sub = command("answer", "wait for a call and answer it", "",
                        "  offhook answer --auto --echo --count 10\n"
                        "  offhook answer --auto --play menu.wav --listen udp:0.0.0.0:5060\n"
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
    auto &sub = command("send", "send one request and print the responses", "TARGET",
                        "  offhook send sip:pbx.example.com\n"
                        "  offhook send --method PUBLISH --header 'Event: presence' \\\n"
                        "      --header 'Content-Type: application/pidf+xml' \\\n"
                        "      --body @state.xml --expect 2xx sip:alice@example.com\n"
                        "  offhook send --dry-run --method MESSAGE --body hello sip:192.0.2.7 > m.sip\n"
                        "  offhook send --raw m.sip --expect 400 'sip:192.0.2.7;transport=tcp'\n");
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
    auto &sub = command("wss-bridge", "join browsers (SIP over WebSocket, WebRTC) and SIP phones", "",
                        "  offhook wss-bridge -c house.toml\n"
                        "  offhook wss-bridge -c house.toml --listen wss://0.0.0.0:8443\n"
                        "  offhook wss-bridge --status\n");
    text_option(sub, "--domain", bridge.domain, "NAME", "the domain whose users register here");
    repeated(sub, "--sip", bridge.sip, parse_sip_socket_text, "TRANSPORT:ADDRESS:PORT",
             "where phones reach it: udp, tcp or tls; repeatable");
    repeated(sub, "--origin", bridge.origins, parse_origin_text, "PATTERN",
             "pages that may connect (https://phone.example.com, * is any); repeatable");
    repeated(sub, "--trusted-proxy", bridge.proxies, parse_network_text, "ADDRESS[/LENGTH]",
             "believe X-Forwarded-For or Forwarded of this reverse proxy; repeatable");
    sub.add_flag("--allow-native", bridge.allow_native, "let in WebSocket clients that are no browsers");
    sub.add_flag("--allow-ws", bridge.allow_ws,
                 "ws:// (not encrypted) also on addresses that others can reach");
    text_option(sub, "--www", bridge.www, "DIR", "serve this folder instead of the built-in web phone");
    value(sub, "--rtp-range", bridge.rtp_ports, parse_port_range_text, "LOW-HIGH", "UDP ports for media");
    value(
        sub, "--ice-port", bridge.ice_port, [](const std::string &t) { return parse_int(t, 1024, 65'535); },
        "PORT", "one UDP port for the media of all browsers");
    sub.add_flag("--ice-tcp", bridge.ice_tcp,
                 "media by TCP to the port of --listen, where UDP does not pass");
    value(sub, "--media", bridge.media, parse_media_text, "rtpengine:HOST:PORT[,…]",
          "let these rtpengine daemons carry the media");
    value(sub, "--upstream", bridge.upstream, parse_upstream_text, "URI",
          "be the edge of this registrar instead of a registrar");
    choice(sub, "--upstream-mode", bridge.upstream_mode, "auto|path|contact|creds",
           "how calls find the way back; creds: with passwords of the bridge");
    value(
        sub, "--transcode", bridge.transcode, [](const std::string &t) { return parse_int(t, 0, 10'000); },
        "CALLS", "let so many calls at once go on between different codecs");
    sub.add_flag("--avpf", bridge.avpf, "offer video to phones with feedback: RTP/AVPF");
    sub.add_flag("--hide-forks", bridge.hide_forks,
                 "browsers see one To-tag whoever answers (SIP.js with earlyMedia)");
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
                "  offhook config import linphone ~/.config/linphone --output offhook.toml\n");
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
    tree.later = {"tui"}; // the commands of the contract that are still to come
    for (const auto &name : tree.later)
        app.add_subcommand(name, "not built in yet")->prefix_command();
}

} // namespace offhook::cmd
