"""A browser without a browser: SIP over WebSocket from a plain socket, and crowds of such that dawdle."""

import base64
import hashlib
import os
import resource
import socket
import ssl
import threading
import time

from processes import Failure


def allow_many_sockets():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def trusting():
    """A TLS context that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def upgrade_request(host, headers=""):
    key = base64.b64encode(os.urandom(16)).decode()
    return (f"GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\nOrigin: http://{host}\r\n{headers}\r\n").encode()


def frame(opcode, payload, fin=True):
    """A client's frame; its mask is zero, which is a mask (RFC 6455 §5.3)."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes([(0x80 if fin else 0) | opcode]) + length + bytes(4) + payload


class WebClient:
    def __init__(self, address, tls=False, timeout=20.0, headers="", source=""):
        host, port = address.rsplit(":", 1)
        self.address = address
        self.socket = socket.create_connection((host, int(port)), timeout, source_address=(source, 0) if source else None)
        if tls:
            self.socket = trusting().wrap_socket(self.socket)
        self.buffer = b""
        self.socket.sendall(upgrade_request(address, headers))
        while b"\r\n\r\n" not in self.buffer:
            self._read()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        if not head.startswith(b"HTTP/1.1 101 "):
            raise Failure(f"no WebSocket: {head[:200]!r}")

    def _read(self):
        more = self.socket.recv(65536)
        if not more:
            raise Failure("the server closed the connection")
        self.buffer += more

    def send(self, text):
        self.socket.sendall(frame(1, text.encode()))

    def receive(self):
        """The next message; pings are answered."""
        while True:
            while len(self.buffer) < 2 or len(self.buffer) < self._end():
                self._read()
            opcode, end = self.buffer[0] & 15, self._end()
            payload, self.buffer = self.buffer[2 if self.buffer[1] < 126 else 4:end], self.buffer[end:]
            if opcode == 9:
                self.socket.sendall(frame(10, payload))
            elif opcode <= 2:
                return payload.decode()

    def _end(self):
        length = self.buffer[1]
        if length < 126:
            return 2 + length
        return 4 + int.from_bytes(self.buffer[2:4].ljust(2, b"\0"), "big") if len(self.buffer) >= 4 else 4

    def close(self):
        self.socket.close()


def _parameter(challenge, name):
    return challenge.split(f'{name}="')[1].split('"')[0]


def register(client, user, password, domain="house.test"):
    """REGISTER with digest (MD5): the status of the answer, to the first request where that is no challenge."""
    call_id = os.urandom(8).hex()

    def request(number, more=""):
        return (f"REGISTER sip:{domain} SIP/2.0\r\nVia: SIP/2.0/WS {user}.invalid;branch=z9hG4bK{user}{number}\r\n"
                f"Max-Forwards: 70\r\nFrom: <sip:{user}@{domain}>;tag={user}\r\nTo: <sip:{user}@{domain}>\r\n"
                f"Call-ID: {call_id}\r\nCSeq: {number} REGISTER\r\nExpires: 600\r\n"
                f"Contact: <sip:{user}@{user}.invalid;transport=ws>\r\n{more}Content-Length: 0\r\n\r\n")

    def md5(text):
        return hashlib.md5(text.encode()).hexdigest()

    client.send(request(1))
    challenge = client.receive()
    lines = [line for line in challenge.split("\r\n") if line.startswith("WWW-Authenticate:") and "algorithm=SHA" not in line]
    if not challenge.startswith("SIP/2.0 401 "):
        return int(challenge.split(" ")[1])
    if not lines:
        raise Failure(f"no challenge: {challenge[:300]}")
    realm, nonce = _parameter(lines[0], "realm"), _parameter(lines[0], "nonce")
    proof = md5(f"{md5(f'{user}:{realm}:{password}')}:{nonce}:00000001:c:auth:{md5(f'REGISTER:sip:{domain}')}")
    client.send(request(2, f'Authorization: Digest username="{user}", realm="{realm}", nonce="{nonce}", '
                           f'uri="sip:{domain}", algorithm=MD5, qop=auth, nc=00000001, cnonce="c", response="{proof}"\r\n'))
    return int(client.receive().split(" ")[1])


def client_hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        trusting().wrap_bio(incoming, outgoing).do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()


class Dawdlers:
    """Connections that never get anywhere, a quarter of each kind: without a word; with all of the first message but its
    last byte; with a whole first message and nothing after it; and one byte at a time. They stay until end()."""

    def __init__(self, address, tls=False, count=1000):
        host, port = address.rsplit(":", 1)
        self.first = client_hello() if tls else upgrade_request(address)
        self.all, self.dribbling = [], []
        for number in range(count):
            one = socket.create_connection((host, int(port)), 20)
            one.setblocking(False)
            self.all.append(one)
            kind = number % 4
            if kind == 1:
                one.send(self.first[:-1])
            elif kind == 2:
                one.send(self.first)
            elif kind == 3:
                self.dribbling.append(one)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._dribble, daemon=True)
        self._thread.start()

    def _dribble(self):
        for at in range(len(self.first) - 1):
            for one in self.dribbling:
                try:
                    one.send(self.first[at:at + 1])
                except OSError:
                    pass  # it had to go
            if self._ended.wait(0.02):
                return

    def open(self):
        """How many of them the server still has."""
        def closed(one):
            try:
                while one.recv(65536):
                    pass
                return True
            except BlockingIOError:
                return False
            except OSError:
                return True
        return sum(not closed(one) for one in self.all)

    def end(self):
        self._ended.set()
        self._thread.join()
        for one in self.all:
            one.close()


def timed_register(address, user, password, tls=False, domain="house.test"):
    """(status, seconds) from the connection attempt to the answer of the second REGISTER."""
    started = time.monotonic()
    client = WebClient(address, tls)
    status = register(client, user, password, domain)
    return status, time.monotonic() - started
