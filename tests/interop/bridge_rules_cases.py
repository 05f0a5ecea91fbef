"""Rules of the bridge that need a peer who breaks them, or one that keeps still: flow tokens that lead nowhere, browsers
that send too much or say nothing."""

import json
import re
import socket
import urllib.request

from bridge import Bridge, configuration
from bridge_wire import native, registered
from harness import Failure, Offhook, Process, case, expect, expect_equal, need, wait_until, workdir
from raw_sip import RawPhone, plain_sdp, word
from web_client import WebClient, register


class Registrar:
    """A registrar with Path (RFC 3327) over UDP, by hand."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(10)
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.count = 0

    def receive(self):
        text, source = self.socket.recvfrom(65536)
        return text.decode(), source

    def grant(self):
        """Answers one REGISTER; its Path."""
        request, source = self.receive()
        expect(request.startswith("REGISTER "), f"a REGISTER: {request[:80]}")
        copied = [line for line in request.split("\r\n") if line.split(":")[0] in
                  ("Via", "From", "Call-ID", "CSeq", "Path", "Contact")]
        to = re.search(r"\r\n(To: .*)\r\n", request)[1] + ";tag=r"
        answer = ["SIP/2.0 200 OK", *copied, to, "Content-Length: 0", "", ""]
        self.socket.sendto("\r\n".join(answer).encode(), source)
        return re.search(r"\r\nPath: (<.*?>)", request)[1]

    def message(self, bridge, uri, route=None):
        """Sends a MESSAGE; its Call-ID."""
        self.count += 1
        host, port = bridge.udp.rsplit(":", 1)
        lines = [f"MESSAGE {uri} SIP/2.0", f"Via: SIP/2.0/UDP {self.address};branch=z9hG4bKm{self.count};rport",
                 *([f"Route: {route}"] if route else []), f"From: <sip:ben@house.test>;tag=m{self.count}",
                 "To: <sip:anna@house.test>", f"Call-ID: message{self.count}", "CSeq: 1 MESSAGE", "Max-Forwards: 70",
                 "Content-Length: 0", "", ""]
        self.socket.sendto("\r\n".join(lines).encode(), (host, int(port)))
        return f"message{self.count}"

    def status_of(self, call_id):
        while True:
            text, _ = self.receive()
            if text.startswith("SIP/2.0 ") and f"Call-ID: {call_id}\r\n" in text and not text.startswith("SIP/2.0 1"):
                return int(text.split(" ")[1])


def outbound(client, number):
    client.send(f"REGISTER sip:house.test SIP/2.0\r\nVia: SIP/2.0/WS a{number}.invalid;branch=z9hG4bKr{number}\r\n"
                f"Max-Forwards: 70\r\nFrom: <sip:anna@house.test>;tag={number}\r\nTo: <sip:anna@house.test>\r\n"
                f"Call-ID: anna{number}\r\nCSeq: 1 REGISTER\r\nSupported: path, outbound\r\nExpires: 600\r\n"
                f'Contact: <sip:an%6ea@a{number}.invalid;transport=ws>;+sip.instance="<urn:uuid:1>";reg-id={number}\r\n'
                "Content-Length: 0\r\n\r\n")


def takes(client):
    """Answers the MESSAGE that comes next; its Request-URI."""
    request = client.receive()
    copied = [line for line in request.split("\r\n") if line.split(":")[0] in ("Via", "From", "To", "Call-ID", "CSeq")]
    client.send("\r\n".join(["SIP/2.0 200 OK", *copied, "Content-Length: 0", "", ""]))
    return request.split(" ")[1]


@case("bridge: flow tokens: the connection they name, else the newest of the device, else 430; forged ones are 404", timeout=60)
def tokens():
    registrar = Registrar()
    config = workdir() / "tokens.toml"
    config.write_text('[bridge]\ndomain = "house.test"\n')
    bridge = Bridge("--upstream", f"sip:{registrar.address}", "--upstream-mode", "path", config=config, name="tokens")
    clients, paths = [], []
    for number in (1, 2):
        clients.append(WebClient(bridge.sockets["ws"]))
        outbound(clients[-1], number)
        paths.append(registrar.grant())
        answer = clients[-1].receive()
        expect(answer.startswith("SIP/2.0 200 ") and f"sip:an%6ea@a{number}.invalid" in answer, f"granted: {answer}")
    token = re.search(r"sip:([\w-]+)@", paths[0])[1]
    expect_equal(len(token), 39, "version, epoch, connection, device and 80 bits of HMAC in base64url")
    for number in (1, 2, 1):
        sent = registrar.message(bridge, f"sip:an%6ea@a{number}.invalid;transport=ws", paths[number - 1])
        expect(takes(clients[number - 1]).startswith(f"sip:an%6ea@a{number}.invalid;"), "its own Contact, as it wrote it")
        expect_equal(registrar.status_of(sent), 200, f"by the flow {number}")
    # The second is gone: the first is the same device.
    clients[1].close()
    bridge.wait_event("bridge.disconnected", {"user": "anna"})
    sent = registrar.message(bridge, "sip:an%6ea@a2.invalid;transport=ws", paths[1])
    takes(clients[0])
    expect_equal(registrar.status_of(sent), 200, "by the other flow")
    clients[0].close()
    wait_until(lambda: len(bridge.events_named("bridge.disconnected")) == 2, "both are gone")
    for number in (1, 2):
        sent = registrar.message(bridge, f"sip:an%6ea@a{number}.invalid;transport=ws", paths[number - 1])
        expect_equal(registrar.status_of(sent), 430, "no flow any more")
    # Nobody else's tokens, and no names that stand for no address.
    forged = paths[0].replace(token, token[:-1] + ("A" if token[-1] != "A" else "B"))
    for uri, route in (("sip:an%6ea@a1.invalid;transport=ws", None), ("sip:an%6ea@a1.invalid;transport=ws", forged),
                       (f"sip:{token[:-2]}AA@house.test", None)):
        expect_equal(registrar.status_of(registrar.message(bridge, uri, route)), 404, f"{uri} by {route}")
    bridge.stop()


@case("bridge: a browser that floods is refused, then sent away, and others register meanwhile", timeout=60)
def browser_flood():
    bridge = Bridge(name="flood")
    flooding, other = WebClient(bridge.sockets["ws"]), WebClient(bridge.sockets["ws"])
    expect_equal(register(flooding, "anna", "rose-17"), 200, "anna")

    def options(number):
        return (f"OPTIONS sip:house.test SIP/2.0\r\nVia: SIP/2.0/WS f.invalid;branch=z9hG4bKo{number}\r\n"
                f"From: <sip:anna@house.test>;tag=o\r\nTo: <sip:house.test>\r\nCall-ID: o{number}\r\nCSeq: 1 OPTIONS\r\n"
                "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n")
    for number in range(100):
        flooding.send(options(number))
    answers = [flooding.receive().split(" ")[1] for _ in range(100)]
    passed = answers.count("200")
    expect(48 <= passed < 100 and answers.count("503") == 100 - passed, f"{passed} of 100 at once passed")
    expect_equal(register(other, "ben", "lily-23"), 200, "ben, meanwhile")
    try:
        for number in range(100, 5000):
            flooding.send(options(number))
    except OSError:
        pass  # it was closed while we were sending
    bridge.wait_event("bridge.refused", {"reason": "too many messages"})
    bridge.wait_event("bridge.disconnected", {"user": "anna"})
    expect_equal(register(other, "ben", "lily-23"), 200, "ben, afterwards")
    bridge.stop()


@case("bridge: a browser that shows no password is disconnected after half a minute; /config.json; Origin", timeout=90)
def stranger():
    bridge = Bridge("--door-code", "42#", name="stranger", origin="https://elsewhere.example")
    native = Bridge("--allow-native", name="native", config=configuration(name="native"))

    shown = json.load(urllib.request.urlopen(bridge.http + "/config.json"))
    expect_equal(shown, {"url": bridge.web, "domain": "house.test", "iceServers": []}, "/config.json")

    def handshake(at, origin):
        with socket.create_connection(at.sockets["ws"].split(":"), 10) as one:
            more = f"Origin: {origin}\r\n" if origin else ""
            one.sendall(f"GET /ws HTTP/1.1\r\nHost: {at.sockets['ws']}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
                        f"Sec-WebSocket-Protocol: chat, sip\r\n{more}\r\n".encode())
            return one.recv(4096).decode()
    for at, origin, status in ((bridge, None, 403), (bridge, "https://elsewhere.example", 101), (native, None, 101),
                               (bridge, f"http://{bridge.sockets['ws']}", 403), (native, "https://elsewhere.example", 403)):
        answer = handshake(at, origin)
        expect(answer.startswith(f"HTTP/1.1 {status} "), f"Origin {origin}: {answer[:80]}")
        if status == 101:
            expect("Sec-WebSocket-Protocol: sip\r\n" in answer and "Extensions" not in answer, f"consent: {answer}")
    known, unknown = WebClient(native.sockets["ws"]), WebClient(native.sockets["ws"])
    expect_equal(register(known, "anna", "rose-17"), 200, "anna")
    try:
        register(unknown, "anna", "guess")
    except Failure:
        pass
    native.wait_event("bridge.refused", {"reason": "no registration and no call in half a minute"}, timeout=45)
    try:
        while True:
            unknown.receive()
    except Failure as end:
        expect("closed" in str(end), f"the stranger: {end}")
    expect_equal(register(known, "anna", "rose-17"), 200, "anna is still there")
    for one in (native, bridge):
        one.stop()


@case("bridge: names below .invalid are looked up nowhere: 404 without a token, whoever asks", timeout=60)
def never_asked():
    capture = workdir() / "names.pcap"
    dump = Process([need("tcpdump"), "-i", "any", "-U", "-n", "-Z", "root", "-w", capture, "udp port 53 or tcp port 53"],
                   "tcpdump")
    wait_until(lambda: "listening on" in dump.stderr() or not dump.alive(), "tcpdump listens")
    expect(dump.alive(), f"tcpdump: {dump.stderr()}")
    labels = [word(20) for _ in range(4)]
    names = [f"{label}.invalid" for label in labels]
    # Of a registered phone, outside of dialogs and by a Route.
    bridge = native(name="house")
    ben = registered(RawPhone(bridge.udp, "ben", "lily-23"))
    for method, body in (("INVITE", plain_sdp()), ("MESSAGE", ""), ("OPTIONS", "")):
        answer = ben.ask(method, f"sip:anna@{names[0]};transport=ws", body=body, until=200)[1]
        expect_equal(answer.status, 404, f"{method} to {names[0]}")
    route = [("Route", f"<sip:{names[1]};transport=ws;lr>")]
    expect_equal(ben.ask("MESSAGE", "sip:anna@house.test", more=route, until=200)[1].status, 480, "by a Route")
    # A phone that says that it lives at such a name is found where it registered from.
    ben.contact = f"sip:ben@{names[2]};transport=tcp"
    registered(ben)
    anna = registered(RawPhone(bridge.udp, "anna", "rose-17"))
    anna.ask("MESSAGE", "sip:ben@house.test", until=None)
    ben.reply(ben.wait("MESSAGE", "MESSAGE"), 200, contact=False)
    anna.wait(200, "answer")
    bridge.stop()
    # From a registrar in front of which the bridge is.
    registrar = Registrar()
    config = workdir() / "edge.toml"
    config.write_text('[bridge]\ndomain = "house.test"\n')
    bridge = Bridge("--upstream", f"sip:{registrar.address}", "--upstream-mode", "path", config=config, name="front")
    for route in (None, f"<sip:{names[3]};transport=ws;lr>"):
        sent = registrar.message(bridge, f"sip:anna@{names[3]};transport=ws", route)
        expect_equal(registrar.status_of(sent), 404, f"{names[3]} by {route}")
    bridge.stop()
    # A name that is looked up can be seen.
    seen = word(20)
    Offhook("ping", "--count", "1", "--timeout", "5s", f"sip:{seen}.example", name="ping", audio=None).exit_code(20)
    wait_until(lambda: seen.encode() in capture.read_bytes(), f"{seen} is asked for")
    dump.stop()
    found = capture.read_bytes()
    expect_equal([name for name, label in zip(names, labels) if label.encode() in found], [], "names that were asked for")


@case("bridge: a flood of requests in dialogs that nobody has is dropped like any other", timeout=60)
def made_up_dialogs():
    bridge = native()
    host, port = bridge.udp.rsplit(":", 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.2", 0))
        here = f"127.0.0.2:{stranger.getsockname()[1]}"

        def bye(number):
            stranger.sendto(f"BYE sip:x@{bridge.udp} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKb{number};rport\r\n"
                            f"From: <sip:x@y>;tag=1\r\nTo: <sip:z@y>;tag=2\r\nCall-ID: bye{number}\r\nCSeq: 1 BYE\r\n"
                            "Content-Length: 0\r\n\r\n".encode(), (host, int(port)))
        for number in range(1000):
            bye(number)
        # Whoever is known goes on, and whoever is not is told no more.
        registered(RawPhone(bridge.udp, "ben", "lily-23"))
        stranger.setblocking(False)
        answers = 0
        try:
            while stranger.recv(4096).startswith(b"SIP/2.0 481 "):
                answers += 1
        except BlockingIOError:
            pass
    expect(50 <= answers <= 300, f"{answers} of 1000 were answered with 481")
    metrics = urllib.request.urlopen(bridge.http + "/metrics").read().decode()
    refused = int(re.search(r"^offhook_bridge_refused_total (\d+)$", metrics, re.M)[1])
    expect(refused > 300, f"{refused} are counted")
    bridge.stop()


@case("bridge: one caller may have 500 calls and subscriptions at once, and others go on", timeout=90)
def most_of_one():
    bridge = native()
    anna, ben, carl = (registered(RawPhone(bridge.udp, user, password)) for user, password in
                       (("anna", "rose-17"), ("ben", "lily-23"), ("carl", "iris-42")))
    uri, event = "sip:carl@house.test", ("Event", "presence")

    def taken():
        carl.reply(carl.wait("SUBSCRIBE", "SUBSCRIBE"), 200, tag=word())

    for _ in range(500):
        ben.ask("SUBSCRIBE", uri, more=[event], until=None)
        taken()
        ben.wait(200, "200")
    refused = ben.ask("SUBSCRIBE", uri, more=[event], until=200)[1]
    expect_equal((refused.status, refused.get("retry-after")), (503, "30"), "one too many")
    anna.ask("SUBSCRIBE", uri, more=[event], until=None)
    taken()
    anna.wait(200, "200")
    bridge.stop()
