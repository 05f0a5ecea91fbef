"""SIP without a stack: messages taken apart, a browser's connection and a phone's socket that send what a case says
and keep what comes. The browser writes like JsSIP and SIP.js do: random names below .invalid, no rport, no port."""

import hashlib
import random
import socket
import string
import time

from processes import Failure, expect_equal
from web_client import WebClient

COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length", "c": "content-type",
           "k": "supported", "x": "session-expires", "s": "subject", "o": "event", "r": "refer-to"}

OFFER = """v=0
o=- 4611 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=msid-semantic: WMS x
m=audio 9 UDP/TLS/RTP/SAVPF 111 0 8 126
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:{ufrag}
a=ice-pwd:0123456789abcdefghijklmn
a=ice-options:trickle
a=fingerprint:sha-256 {print}
a=setup:{setup}
a=mid:0
a={direction}
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:126 telephone-event/8000
a=ssrc:77 cname:x
"""
PLAIN = """v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio {port} RTP/AVP {formats}
a={direction}
"""


def word(length=8):
    return "".join(random.choices(string.ascii_lowercase + string.digits, k=length))


def web_sdp(direction="sendrecv", setup="actpass", ufrag="abcd"):
    """A description of a browser: PCMU, PCMA and Opus."""
    text = OFFER.format(direction=direction, setup=setup, ufrag=ufrag, print=":".join(["AB"] * 32))
    return text.replace("\n", "\r\n")


def plain_sdp(direction="sendrecv", port=40000, formats="0 8"):
    return PLAIN.format(direction=direction, port=port, formats=formats).replace("\n", "\r\n")


def lines_of(sdp, name):
    """The values of a=NAME lines."""
    return [line.split(":", 1)[1] for line in sdp.splitlines() if line.startswith(f"a={name}:")]


class Message:
    def __init__(self, raw):
        head, _, self.raw_body = raw.partition(b"\r\n\r\n")
        self.start, *lines = head.decode().split("\r\n")
        self.headers = []
        for line in lines:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            self.headers.append((COMPACT.get(name, name), value.strip()))
        self.body = self.raw_body.decode()
        first, second, *_ = self.start.split(" ")
        self.status = int(second) if first == "SIP/2.0" else 0
        self.method = "" if self.status else first
        self.uri = "" if self.status else second

    def all(self, name):
        return [value for known, value in self.headers if known == name.lower()]

    def get(self, name):
        return (self.all(name) or [""])[0]

    def elements(self, name):
        """Of a list, whether in one header or several (no commas inside of the elements)."""
        return [part.strip() for value in self.all(name) for part in value.split(",")]

    def tag(self, name):
        return self.get(name).partition(";tag=")[2].split(";")[0]

    def __repr__(self):
        return self.start + "\n" + "\n".join(f"{n}: {v}" for n, v in self.headers) + "\n\n" + self.body


def uri_of(address):
    return address[address.index("<") + 1:address.index(">")] if "<" in address else address.split(";")[0]


class Dialog:
    """One side of a dialog: what its requests carry."""

    def __init__(self, local, remote, call_id, target, routes, number):
        self.local, self.remote, self.call_id, self.target = local, remote, call_id, target
        self.routes, self.number = routes, number


class Endpoint:
    """user at domain; subclasses have send_bytes(), receive_bytes() and via()."""

    def __init__(self, user, password, domain):
        self.user, self.password, self.domain = user, password, domain
        self.aor = f"sip:{user}@{domain}"
        self.seen, self.number = [], 0

    # What comes
    def next(self, timeout=10.0):
        message = Message(self.receive_bytes(timeout))
        self.seen.append(message)
        return message

    def wait(self, wanted, what, timeout=10.0):
        """The next message that is wanted: a method, a status or a function; others are kept in .seen only."""
        def fits(message):
            if callable(wanted):
                return wanted(message)
            return message.status == wanted if isinstance(wanted, int) else message.method == wanted
        deadline = time.monotonic() + timeout
        before = len(self.seen)
        while time.monotonic() < deadline:
            try:
                message = self.next(max(0.05, deadline - time.monotonic()))
            except TimeoutError:
                break
            if fits(message):
                return message
        came = ", ".join(m.start for m in self.seen[before:]) or "nothing"
        raise Failure(f"{self.user}: no {what}; {came} came")

    def mark(self):
        return len(self.seen)

    def since(self, mark):
        """What came since mark(), up to the bridge's answer to an OPTIONS that is sent now."""
        sent = self.request("OPTIONS", f"sip:{self.domain}", f"<sip:{self.domain}>")
        self.wait(lambda m: m.status and m.get("call-id") == sent["Call-ID"], "answer to OPTIONS")
        return self.seen[mark:-1]

    # What goes
    def send(self, start, headers, body=""):
        lines = [start, *(f"{name}: {value}" for name, value in headers)]
        if not any(name.lower() == "content-length" for name, _ in headers):
            lines.append(f"Content-Length: {len(body.encode())}")
        self.send_bytes(("\r\n".join(lines) + "\r\n\r\n" + body).encode())

    def request(self, method, uri, to, more=(), body="", call_id=None, number=None, tag=None, branch=None):
        """Sends it outside of dialogs; its headers, for an ACK or CANCEL and for comparison. A value None: without that."""
        self.number += 1
        headers = [("Via", self.via(branch)), ("Max-Forwards", "69"), ("To", to),
                   ("From", f"<{self.aor}>;tag={tag or word(10)}"), ("Call-ID", call_id or word(20)),
                   ("CSeq", f"{number or self.number} {method}"), *more]
        if not any(name == "Contact" for name, _ in more):
            headers.append(("Contact", f"<{self.contact}>"))
        if body and not any(name == "Content-Type" for name, _ in more):
            headers.append(("Content-Type", "application/sdp"))
        headers = [(name, value) for name, value in headers if value is not None]
        self.send(f"{method} {uri} SIP/2.0", headers, body)
        return dict(headers)

    def reply(self, request, status, phrase="", more=(), body="", tag="", contact=True):
        to = request.get("to")
        headers = [("Via", via) for via in request.all("via")]
        headers += [("Record-Route", value) for value in request.all("record-route")]
        headers += [("From", request.get("from")), ("To", to + (f";tag={tag}" if tag and ";tag=" not in to else "")),
                    ("Call-ID", request.get("call-id")), ("CSeq", request.get("cseq"))]
        if contact:
            headers.append(("Contact", f"<{self.contact}>"))
        if body:
            headers.append(("Content-Type", "application/sdp"))
        self.send(f"SIP/2.0 {status} {phrase or 'X'}", [*headers, *more], body)

    def with_password(self, challenge, header, method, uri):
        values = [v for v in challenge.all(header)]
        value = values[-1]  # the JavaScript libraries keep the last one

        def part(name):
            return value.split(f'{name}="')[1].split('"')[0]

        def md5(text):
            return hashlib.md5(text.encode()).hexdigest()

        expect_equal("SHA" in value, False, f"the last challenge is for MD5: {values}")
        ha1, ha2 = md5(f"{self.user}:{part('realm')}:{self.password}"), md5(f"{method}:{uri}")
        proof = md5(f"{ha1}:{part('nonce')}:00000001:c:auth:{ha2}")
        name = "Authorization" if header == "www-authenticate" else "Proxy-Authorization"
        return name, (f'Digest username="{self.user}", realm="{part("realm")}", nonce="{part("nonce")}", uri="{uri}", '
                      f'algorithm=MD5, qop=auth, nc=00000001, cnonce="c", response="{proof}"')

    def ask(self, method, uri, to=None, more=(), body="", until=100, **fixed):
        """A request outside of dialogs, with the password when it is asked for: (what was sent, the first answer to that of
        a status of at least `until`). until=None: nobody waits for it."""
        fixed.setdefault("call_id", word(20))
        fixed.setdefault("tag", word(10))
        to = to or f"<{uri}>"
        sent = self.request(method, uri, to, more, body, **fixed)
        answer = self.wait(lambda m: m.status > 100 and m.get("call-id") == sent["Call-ID"], f"answer to {method}")
        if answer.status not in (401, 407):
            return sent, answer
        if method == "INVITE":
            self.ack(sent, answer, uri)
        header = "www-authenticate" if answer.status == 401 else "proxy-authenticate"
        proof = self.with_password(answer, header, method, uri)
        fixed.pop("branch", None)
        if "number" in fixed:
            fixed["number"] += 1
        sent = self.request(method, uri, to, [*more, proof], body, **fixed)
        if until is None:
            return sent, None
        answer = self.wait(lambda m: m.status >= until and m.get("call-id") == sent["Call-ID"], f"answer to {method}")
        return sent, answer

    def ack(self, sent, answer, uri):
        """For an answer that is no success."""
        self.send(f"ACK {uri} SIP/2.0", [("Via", sent["Via"]), ("Max-Forwards", "69"), ("To", answer.get("to")),
                                         ("From", sent["From"]), ("Call-ID", sent["Call-ID"]),
                                         ("CSeq", sent["CSeq"].replace("INVITE", "ACK"))])

    def register(self, contact_more="", more=(("Expires", "600"),)):
        contact = f"<{self.contact}>{contact_more}"
        registered = self.ask("REGISTER", f"sip:{self.domain}", f"<{self.aor}>", [("Contact", contact), *more])[1]
        return registered

    # Inside dialogs
    def dialog_of_caller(self, sent, answer):
        routes = list(reversed(answer.elements("record-route")))
        return Dialog(sent["From"], answer.get("to"), sent["Call-ID"], uri_of(answer.get("contact")), routes,
                      int(sent["CSeq"].split()[0]))

    def dialog_of_callee(self, request, tag):
        return Dialog(request.get("to") + f";tag={tag}", request.get("from"), request.get("call-id"),
                      uri_of(request.get("contact")), request.elements("record-route"), 0)

    def within(self, dialog, method, more=(), body="", number=None):
        if number is None and method != "ACK":
            dialog.number += 1
        headers = [("Via", self.via()), ("Max-Forwards", "69"), *(("Route", route) for route in dialog.routes),
                   ("To", dialog.remote), ("From", dialog.local), ("Call-ID", dialog.call_id),
                   ("CSeq", f"{dialog.number if number is None else number} {method}"), ("Contact", f"<{self.contact}>")]
        if body and not any(name == "Content-Type" for name, _ in more):
            headers.append(("Content-Type", "application/sdp"))
        self.send(f"{method} {dialog.target} SIP/2.0", [*headers, *more], body)

    def answer_within(self, dialog, method, **options):
        """Sends it and waits for the final answer."""
        self.within(dialog, method, **options)
        return self.wait(lambda m: m.status >= 200 and m.get("cseq").endswith(method), f"answer to {method}")


class RawBrowser(Endpoint):
    def __init__(self, address, user, password, domain="house.test", host=None):
        super().__init__(user, password, domain)
        self.host = host or f"{word(12)}.invalid"
        self.contact = f"sip:{word()}@{self.host};transport=ws"
        self.link = WebClient(address)

    def via(self, branch=None):
        return f"SIP/2.0/WS {self.host};branch={branch or 'z9hG4bK' + str(random.randrange(10 ** 7))}"

    def send_bytes(self, data):
        self.link.send(data.decode())

    def receive_bytes(self, timeout):
        self.link.socket.settimeout(timeout)
        while True:
            text = self.link.receive()
            if text.strip():
                return text.encode()

    def close(self):
        self.link.close()


class RawPhone(Endpoint):
    def __init__(self, server, user, password="", domain="house.test"):
        super().__init__(user, password, domain)
        host, port = server.rsplit(":", 1)
        self.server = (host, int(port))
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.contact = f"sip:{user}@127.0.0.1:{self.port}"
        self.others = {}

    def via(self, branch=None):
        return f"SIP/2.0/UDP 127.0.0.1:{self.port};branch=z9hG4bK{branch or word(12)};rport"

    def send_bytes(self, data):
        self.socket.sendto(data, self.server)

    def receive_bytes(self, timeout):
        self.socket.settimeout(timeout)
        while True:
            data = self.socket.recv(65536)
            if not data.strip():
                continue
            # UDP repeats; each message counts once.
            key = data.split(b"\r\n\r\n")[0]
            if key in self.others:
                continue
            self.others[key] = True
            return data

    def close(self):
        self.socket.close()
