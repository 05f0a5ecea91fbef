"""Raw SIP over a socket: bytes in, bytes out, for messages that no stack would send."""

import re
import socket
import time


class Wire:
    """A UDP socket or TCP connection to HOST:PORT of the program under test."""

    def __init__(self, port, transport="udp", host="127.0.0.1"):
        self.transport = transport
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
        self.socket.settimeout(5)
        self.socket.connect((host, port))
        self.local_port = self.socket.getsockname()[1]
        self.closed = False

    def send(self, data):
        try:
            self.socket.sendall(data if isinstance(data, bytes) else data.encode())
        except OSError:
            self.closed = True

    def receive(self, wait):
        """Everything that arrives until nothing came for `wait` seconds or the other side closed."""
        data = b""
        deadline = time.monotonic() + wait
        while not self.closed:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            self.socket.settimeout(left)
            try:
                more = self.socket.recv(65536)
            except TimeoutError:
                break
            except OSError:
                self.closed = True
                break
            if not more and self.transport != "udp":
                self.closed = True
                break
            data += more
        return data

    def until(self, pattern, wait=5.0):
        """Reads until `pattern` (bytes, a regular expression) is in what came; what came."""
        data = b""
        deadline = time.monotonic() + wait
        while not re.search(pattern, data) and not self.closed and time.monotonic() < deadline:
            data += self.receive(0.05)
        return data

    def close(self):
        self.socket.close()


def options(port, local_port, transport="udp", host="127.0.0.1", tag="alive"):
    return (f"OPTIONS sip:callee@{host}:{port} SIP/2.0\r\n"
            f"Via: SIP/2.0/{transport.upper()} {host}:{local_port};branch=z9hG4bK{tag}{time.monotonic_ns()};rport\r\n"
            f"From: <sip:probe@{host}>;tag={tag}\r\nTo: <sip:callee@{host}>\r\nCall-ID: {tag}{time.monotonic_ns()}\r\n"
            "CSeq: 7 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n")


def answers_options(port, transport="udp", wait=5.0):
    """The phone answers OPTIONS with 200 on a new socket."""
    wire = Wire(port, transport)
    try:
        wire.send(options(port, wire.local_port, transport))
        return b"SIP/2.0 200" in wire.until(rb"SIP/2\.0 \d+ ", wait)
    finally:
        wire.close()


def final_statuses(data):
    """The final status codes in the responses of `data`, in order."""
    return [int(c) for c in re.findall(rb"(?:^|\n)SIP/2\.0 (\d{3})", data) if c >= b"200"]
