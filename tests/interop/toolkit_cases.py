"""ping, send, message and trace: against Kamailio, baresip, tcpdump, and sockets that only listen."""

import concurrent.futures
import json
import pathlib
import re
import signal
import socket
import subprocess
import threading

from harness import (ROOT, Baresip, Kamailio, Offhook, Process, answerer, case, expect, expect_equal, need, wait_until,
                     workdir)

DATA = ROOT / "tests/data/rfc4475"


def account(registrar, user, transport="udp"):
    return (["--aor", f"sip:{user}@127.0.0.1:{registrar.port}", "--transport", transport],
            {"OFFHOOK_PASSWORD": registrar.password})


def text_of(*args, **options):
    """What a command that prints text says on standard output, after exit 0."""
    process = Offhook(*args, raw=True, audio=None, **options)
    expect_equal(process.exit_code(), 0, f"{args}: exit code ({process.stderr()[-300:]})")
    process.check_sanitizers()
    return process.stdout()


@case("ping Kamailio and baresip: every request answered, times that make sense")
def ping():
    registrar = Kamailio()
    before = registrar.seen("OPTIONS")
    for transport in ("udp", "tcp"):
        pinger = Offhook("ping", "-n", 3, "-i", "50ms", registrar.uri(transport), audio=None)
        result = pinger.ends(0)
        expect_equal((result["sent"], result["answered"], result["loss_percent"]), (3, 3, 0), "counts")
        rtt = result["rtt_ms"]
        expect(0 < rtt["min"] <= rtt["avg"] <= rtt["max"] < 5000, f"round trips {rtt}")
        replies = pinger.events_named("ping.reply")
        expect_equal([r["number"] for r in replies], [1, 2, 3], "numbers")
        expect_equal({(r["code"], r["software"]) for r in replies}, {(200, "registrar")}, "replies")
    expect_equal(registrar.seen("OPTIONS") - before, 6, "OPTIONS at Kamailio")
    phone = Baresip()
    text = text_of("ping", "-n", 2, "-i", "10ms", f"sip:baresip@127.0.0.1:{phone.ports['udp']}")
    expect(re.search(r"^PING .*\n(200 OK from udp:.* time=.* ms.*\n){2}--- .* ping statistics ---\n"
                     r"2 requests, 2 answered, 0 % lost\nround trip min/avg/max/mdev = ", text, re.S), text)


@case("ping: hops by Max-Forwards, Nagios, nobody there, loss, an interruption")
def ping_more():
    registrar = Kamailio()
    route = Offhook("ping", "--route", registrar.uri(), audio=None)
    expect_equal(route.ends(0)["hops"], 2, "hops")
    expect_equal([(h["number"], h["code"]) for h in route.events_named("ping.hop")], [(1, 483), (2, 200)], "hops")
    line = text_of("ping", "--nagios", "-n", 1, registrar.uri())
    expect(re.fullmatch(r"SIP OK - 200 OK, 1 request, 1 answered, 0 % lost \| rta=\d\.\d+s;;;0 pl=0%;;;0;100\n", line), line)

    closed = Offhook("ping", "-n", 1, "sip:127.0.0.1:9", audio=None)
    expect_equal(closed.ends(20)["answered"], 0, "answered")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        lost = Offhook("ping", "-n", 2, "-i", "10ms", "-W", "300ms", f"sip:127.0.0.1:{deaf.getsockname()[1]}", audio=None)
        expect_equal(lost.ends(20)["loss_percent"], 100, "loss")
        nagios = Offhook("ping", "--nagios", "-n", 1, "-W", "200ms", f"sip:127.0.0.1:{deaf.getsockname()[1]}", raw=True,
                         audio=None)
        expect_equal(nagios.exit_code(), 2, "Nagios: critical")
        expect(nagios.stdout().startswith("SIP CRITICAL - "), nagios.stdout())
    endless = Offhook("ping", "-n", 0, "-i", "20ms", registrar.uri(), audio=None)
    endless.wait_event("ping.reply", {"number": 3})
    endless.signal(signal.SIGINT)
    expect(endless.ends(130)["answered"] >= 3, "the summary comes all the same")


class Sink:
    """A UDP socket that keeps what it gets and refuses it, so that the sender need not wait."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.got = []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            data, peer = self.socket.recvfrom(65536)
            self.got.append(data)
            self.socket.sendto(b"SIP/2.0 400 As you like\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
                               b"To: <sip:b@c>;tag=2\r\nCall-ID: x\r\nCSeq: 1 X\r\nContent-Length: 0\r\n\r\n", peer)


@case("send --raw: each message of RFC 4475 leaves byte for byte", timeout=120)
def raw_torture():
    names = sorted(path.stem for path in DATA.glob("*.dat"))
    expect(len(names) >= 49, "the messages are there")
    sink = Sink()

    def send(name):
        process = Offhook("send", "--raw", DATA / f"{name}.dat", "--wait", "5s", f"sip:127.0.0.1:{sink.port}",
                          plain=True, audio=None, name=f"send-{name}")
        return name, process.exit_code(30), process.result

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for name, code, result in pool.map(send, names):
            expect_equal((name, code, result.get("code")), (name, 15, 400), "the answer is taken")
    expect_equal(sorted(sink.got), sorted((DATA / f"{name}.dat").read_bytes() for name in names), "bytes")


@case("send --raw at a phone: the statuses RFC 4475 wants, by UDP with --rport and by TCP")
def raw_statuses():
    for transport, more in (("udp", ["--rport"]), ("tcp", [])):
        phone, uri = answerer("--count", "100", "--codecs", "pcmu", transport=transport)
        for name, status in (("badvers", "505"), ("bext01", "420"), ("invut", "415"), ("unkscm", "416"), ("insuf", "400")):
            sender = Offhook("send", "--raw", DATA / f"{name}.dat", "--expect", status, *more, uri, plain=True, audio=None,
                             name=f"send-{name}")
            expect_equal(sender.ends(0).get("code"), int(status), f"{name} over {transport}")
        Offhook("send", "--raw", DATA / "unreason.dat", "--expect", "none", uri, audio=None).ends(0)
        Offhook("send", "--raw", DATA / "badvers.dat", "--expect", "2xx", *more, uri, audio=None).ends(40)
        phone.stop()
        phone.check_sanitizers()


@case("send: composed requests, --expect, --dry-run that can be sent as it is, standard input")
def send():
    registrar = Kamailio()
    shown = text_of("send", "--header", "X-Note: hello", registrar.uri())
    expect(shown.startswith("SIP/2.0 200 OK\n"), shown)
    sender = Offhook("send", "--method", "REGISTER", "--expect", "401", registrar.uri(), audio=None)
    expect_equal(sender.ends(0)["code"], 401, "code")
    challenge = sender.events_named("send.response")[-1]
    expect(any(h["name"] == "WWW-Authenticate" for h in challenge["headers"]), f"headers {challenge}")
    Offhook("send", "--method", "REGISTER", registrar.uri(), audio=None).ends(14)
    options, env = account(registrar, "alice")
    Offhook("send", "--method", "REGISTER", *options, f"sip:alice@127.0.0.1:{registrar.port}", env=env,
            audio=None).ends(0)
    Offhook("send", "--method", "FROB", "--expect", "2xx", registrar.uri(), audio=None).ends(40)

    phone, uri = answerer("--count", "100")
    dry = Offhook("send", "--dry-run", "--method", "MESSAGE", "--body", "from a file", uri, raw=True, audio=None)
    expect_equal(dry.exit_code(), 0, "exit code of --dry-run")
    expect(dry.stdout().startswith("MESSAGE sip:callee@127.0.0.1"), dry.stdout())
    again = Offhook("send", "--raw", "-", "--expect", "200", uri, audio=None, stdin=open(dry.out_path, "rb"))
    again.ends(0)
    expect_equal(phone.wait_event("message.received")["text"], "from a file", "the text")
    body = workdir() / "body"
    body.write_text("from a body")
    Offhook("send", "--method", "MESSAGE", "--body", f"@{body}", "--expect", "200", uri, audio=None).ends(0)
    phone.wait_event("message.received", {"text": "from a body"})
    Offhook("send", "--method", "INVITE", "--timeout", "10s", uri, audio=None).ends(0)
    expect_equal(phone.wait_event("call.ended")["answered"], True, "the INVITE was answered and ended")
    phone.stop()


@case("message: through Kamailio with its challenge, refused, to nobody")
def message():
    registrar = Kamailio()
    theirs, env = account(registrar, "bob")
    bob = Offhook("answer", "--auto", "--timeout", "60s", *theirs, env=env, name="bob")
    bob.wait_event("account.registered")
    ours, env = account(registrar, "alice")
    target = f"sip:bob@127.0.0.1:{registrar.port}"
    sent = Offhook("message", *ours, target, "Grüße,\nzwei Zeilen", env=env, audio=None)
    expect_equal(sent.ends(0)["code"], 200, "code")
    expect_equal(len(sent.events_named("message.sent")), 1, "message.sent")
    got = bob.wait_event("message.received")
    expect_equal((got["text"], got["from"]), ("Grüße,\nzwei Zeilen", f"sip:alice@127.0.0.1:{registrar.port}"), "message")
    piped = workdir() / "text"
    piped.write_bytes(b"line\n" * 9000)  # 45 kB: too long for a datagram
    Offhook("message", *ours, "bob", env=env, audio=None, stdin=open(piped, "rb")).ends(0)
    bob.wait_event("message.received", {"text": ("line\n" * 9000)[:-1]})
    Offhook("message", *ours, f"sip:nobody@127.0.0.1:{registrar.port}", "x", env=env, audio=None).ends(13)
    Offhook("message", "sip:127.0.0.1:9", "x", audio=None).ends(20)
    bob.stop()


@case("a MESSAGE of 64 kB full of control characters is shown escaped; a larger one costs only its connection")
def hostile_message():
    def raw(size):
        head = (b"MESSAGE sip:callee@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bKm%d\r\nMax-Forwards: 9\r\n"
                b"From: \"\x1b]0;evil\x07\" <sip:e@h>;tag=1\r\nTo: <sip:callee@127.0.0.1>\r\nCall-ID: m%d\r\n"
                b"CSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\nContent-Length: " % (size, size))
        body = (bytes(range(256)) * 300)[:size - len(head) - 9]
        head += b"%d\r\n\r\n" % len(body)
        path = workdir() / f"hostile-{size}"
        path.write_bytes(head + body)
        return path, len(body)

    phone, uri = answerer("--count", "9", transport="tcp")
    path, length = raw(65500)
    Offhook("send", "--raw", path, "--expect", "400,200", uri, audio=None).ends(0)
    path.write_bytes(path.read_bytes().replace(b"\x1b]0;evil\x07", b"Evil"))
    Offhook("send", "--raw", path, "--expect", "200", uri, audio=None).ends(0)
    text = phone.wait_event("message.received", {"from": "sip:e@h", "from_name": "Evil"})["text"]
    expect(not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text), "no control character is left")
    expect("\\x00\\x01" in text and "\\x1b" in text and "\\xff" in text, f"shown escaped: {text[:200]!r}")
    expect(length < len(text) <= 4 * length, f"{len(text)} characters of {length} bytes")
    Offhook("send", "--raw", raw(70000)[0], "--expect", "none", "--wait", "2s", uri, audio=None).ends(0)
    Offhook("ping", "-n", 1, uri, audio=None).ends(0)
    phone.stop()
    phone.check_sanitizers()

    shown = Offhook("answer", "--auto", "--listen", "tcp:127.0.0.1:0", raw=True)
    Offhook("send", "--raw", path, "--expect", "200", f"sip:x@127.0.0.1:{shown.port('tcp')};transport=tcp", audio=None).ends(0)
    wait_until(lambda: "message from \"Evil\" sip:e@h: \\x00\\x01" in shown.stderr(), "the message is shown")
    expect("\x1b" not in shown.stderr() and "\x9b" not in shown.stderr(), "no escape reaches the terminal")
    expect(all(line.startswith("    ") for line in shown.stderr().splitlines() if "\\xff" in line), "indented")
    shown.stop()


@case("message: bad input is one line and exit 2")
def message_input():
    for args, stdin, what in ((["sip:127.0.0.1:9"], b"\xff\xfe", "UTF-8"), (["sip:127.0.0.1:9"], b"x" * 60002, "60001"),
                              (["sip:127.0.0.1:9"], b"a\0b", "UTF-8"), ([], b"", "TARGET"), (["sip:"], b"x", "sip:")):
        path = workdir() / "input"
        path.write_bytes(stdin)
        process = Offhook("message", *args, audio=None, stdin=open(path, "rb"))
        result = process.ends(2)
        expect(what in result["error"], f"{result}")
        expect_equal(process.stderr().count("\n"), 1, f"lines of {process.stderr()}")
    slow = Offhook("message", "--timeout", "500ms", "sip:127.0.0.1:9", audio=None, stdin=subprocess.PIPE)
    slow.ends(124)


def record_call(transport, *caller):
    """A short call, and the names of what was written of it: (the callee's --pcap, --trace of the caller)."""
    pcap, trace = workdir() / f"{transport}.pcap", workdir() / f"{transport}.trace"
    phone, uri = answerer("--pcap", pcap, "--codecs", "pcmu", "--echo", transport=transport)
    Offhook("call", "--codecs", "pcmu", "--hangup-after", "400ms", f"--trace={trace}", *caller, uri).ends(0)
    phone.ends(0)
    return pcap, trace


FLOW = ["INVITE", "100", "180", "200", "ACK", "BYE", "200"]


def labels(events):
    return [e["label"].split()[0] for e in events if not e["repeated"]]


def traced(path, *args):
    reader = Offhook("trace", path, *args, audio=None)
    reader.ends(0)
    return reader


@case("trace: the flow of a call from --pcap and from --trace, in every form")
def trace_own():
    for transport in ("udp", "tcp"):
        pcap, trace = record_call(transport)
        for path in (pcap, trace):
            reader = traced(path)
            expect_equal(labels(reader.events_named("trace.message")), FLOW, f"messages of {path.name}")
        kinds = {e["transport"] for e in traced(trace).events_named("trace.message")}
        expect_equal(kinds, {transport}, "the transport in the trace file")
        streams = traced(pcap).events_named("trace.rtp")
        expect_equal([(s["codec"], s["lost"]) for s in streams], [("PCMU", 0)] * 2, f"RTP {streams}")
        expect(all(s["packets"] >= 10 for s in streams), f"packets {streams}")
    text = text_of("trace", pcap)
    expect(re.search(r"^call 1  INVITE sip:\S+ -> sip:callee@\S+: 200\n +7 messages, \d\.\d{3} s, Call-ID ", text), text)
    expect("- INVITE sip:callee@" in text and "<---" in text and "\nRTP  127.0.0.1:" in text, text)
    expect(max(map(len, text.splitlines())) <= 130, "lines are not too long")
    only = traced(pcap, "--method", "BYE")
    expect_equal(labels(only.events_named("trace.message")), ["BYE", "200"], "--method BYE")
    expect_equal(traced(pcap, "--call", "2").result["shown"], 0, "--call 2")
    expect_equal(traced(pcap, "--call", "1").result["shown"], 1, "--call 1")
    markdown = text_of("trace", "--format", "markdown", pcap)
    expect(markdown.count("\n| ") >= 9 and "| 0.000 | 127.0.0.1:" in markdown, markdown)
    mermaid = text_of("trace", "--format", "mermaid", pcap)
    expect(re.search(r"sequenceDiagram\n    participant P1 as 127.*P1->>P2: INVITE sip:callee@.*P2->>P1: 200 OK", mermaid,
                     re.S), mermaid)
    again = Offhook("trace", "-", "--format", "json", raw=True, audio=None, stdin=open(pcap, "rb"))
    expect_equal(again.exit_code(), 0, "exit code")
    expect_equal(json.loads(again.stdout().splitlines()[-1])["event"], "result", "--format json is --json")
    for size in (0, 3, 4, 23, 24, 25, 40, 41, pcap.stat().st_size // 2):  # every length is a unit test's
        cut = workdir() / "cut.pcap"
        cut.write_bytes(pcap.read_bytes()[:size])
        reader = Offhook("trace", cut, plain=True, audio=None, name=f"trace-{size}")
        expect_equal(reader.exit_code(), 2 if size < 24 else 0, f"exit code of the first {size} bytes")
        reader.check_sanitizers()


@case("trace: captures by tcpdump, of Ethernet and of any interface, UDP and TCP in pieces")
def trace_tcpdump():
    for interface, transport in (("lo", "udp"), ("lo", "tcp"), ("any", "udp")):
        phone, uri = answerer("--codecs", "pcmu", "--echo", transport=transport)
        port = phone.port(transport)
        path = workdir() / f"{interface}-{transport}.pcap"
        dump = Process([need("tcpdump"), "-i", interface, "-U", "-n", "-Z", "root", "-w", path, "host 127.0.0.1 and (udp or port",
                        f"{port})"], f"tcpdump-{interface}-{transport}")
        wait_until(lambda: "listening on" in dump.stderr() or not dump.alive(), "tcpdump listens")
        expect(dump.alive(), f"tcpdump: {dump.stderr()}")
        Offhook("call", "--codecs", "pcmu", "--hangup-after", "300ms", uri).ends(0)
        phone.ends(0)
        wait_until(lambda: b"BYE sip:" in path.read_bytes() and path.read_bytes().count(b"SIP/2.0 200 OK") >= 2,
                   "tcpdump has written the end")
        dump.stop()
        reader = traced(path)
        ours = [e for e in reader.events_named("trace.message") if f":{port}" in e["from"] + e["to"]]
        expect_equal(labels(ours), FLOW, f"messages on {interface} by {transport}")
        expect_equal({e["transport"] for e in ours}, {transport}, "transport")
