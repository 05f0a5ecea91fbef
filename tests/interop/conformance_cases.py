"""Our RFC 6455 layer, in an echo server (tests/ws_echo), against the WebSockets of others and against frames that break
the rules."""

import asyncio
import http.server
import os
import pathlib
import socket
import sys
import threading

from browser import Chromium
from harness import Failure, Process, Skip, case, expect, expect_equal
from offhook import PROGRAM, environment
from web_client import frame

PROTOCOL_ERROR, NOT_UTF8 = 1002, 1007
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


class Echo(Process):
    def __init__(self):
        program = pathlib.Path(PROGRAM).resolve().with_name("ws-echo")
        if not program.exists():
            raise Failure(f"{program} is not built (make {program})")
        super().__init__([program, "127.0.0.1:0"], "ws-echo", env=environment(), stdout=-1)
        self.url = self.popen.stdout.readline().decode().strip()
        self.port = int(self.url.rsplit(":", 1)[1])


class Raw:
    """A connection that sends any bytes."""

    def __init__(self, echo):
        self.socket = socket.create_connection(("127.0.0.1", echo.port), 10)
        self.socket.sendall(f"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.socket.recv(1)
        expect(head.startswith(b"HTTP/1.1 101 "), f"no WebSocket: {head!r}")

    def _exactly(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise Failure("the server closed amid a frame")
            data += more
        return data

    def receive(self):
        """(opcode, payload) of the next frame."""
        head = self._exactly(2)
        expect(head[0] & 0x70 == 0 and head[1] < 128, f"a server's frame that begins with {head.hex()}")
        size = head[1]
        if size > 125:
            size = int.from_bytes(self._exactly(2 if size == 126 else 8), "big")
        return head[0] & 15, self._exactly(size)

    def closed_with(self):
        """The code of the close frame that is all that comes; None when it has none."""
        opcode, payload = self.receive()
        expect_equal(opcode, 8, "the frame that comes")
        try:
            expect_equal(self.socket.recv(1), b"", "what comes after the close frame")
        except ConnectionResetError:
            pass  # we were still sending
        return int.from_bytes(payload[:2], "big") if payload else None


def text(payload, fin=True):
    return frame(1, payload, fin)


def close(code, reason=b""):
    return frame(8, code.to_bytes(2, "big") + reason)


WRONG = [
    *((f"reserved bits {bits:#x}", bytes([0x81 | bits]) + text(b"x")[1:], PROTOCOL_ERROR) for bits in (0x10, 0x20, 0x40, 0x70)),
    *((f"opcode {code}", frame(code, b""), PROTOCOL_ERROR) for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
    ("a ping of 126 bytes", frame(9, b"x" * 126), PROTOCOL_ERROR),
    ("a ping in fragments", frame(9, b"x", fin=False), PROTOCOL_ERROR),
    ("a close in fragments", frame(8, b"", fin=False), PROTOCOL_ERROR),
    ("a continuation of nothing", frame(0, b"x"), PROTOCOL_ERROR),
    ("a text amid a text", text(b"x", fin=False) + text(b"y"), PROTOCOL_ERROR),
    ("no mask", b"\x81\x01x", PROTOCOL_ERROR),
    ("5 bytes with a length of 16 bits", b"\x81\xfe\x00\x05" + bytes(4) + b"hello", PROTOCOL_ERROR),
    ("126 bytes with a length of 64 bits", b"\x81\xff" + (126).to_bytes(8, "big") + bytes(130), PROTOCOL_ERROR),
    ("a length of 2^63", b"\x82\xff\x80" + bytes(7 + 4), PROTOCOL_ERROR),
    ("text that is not UTF-8", text(b"\xce\xba\xed\xa0\x80"), NOT_UTF8),
    ("half a character at the end", text(b"\xce\xba\xe1\xbd"), NOT_UTF8),
    ("an overlong slash", text(b"\xc0\xaf"), NOT_UTF8),
    ("beyond U+10FFFF", text(b"\xf4\x90\x80\x80"), NOT_UTF8),
    ("half a character at the end of fragments", text(b"\xe1", False) + frame(0, b"\xbd"), NOT_UTF8),
    ("no UTF-8 in a frame whose rest never comes", b"\x81\x8a" + bytes(4) + b"a\xff", NOT_UTF8),
    ("no UTF-8 in a message whose rest never comes", text(b"a\xff", fin=False), NOT_UTF8),
    ("half a close code", frame(8, b"\x03"), PROTOCOL_ERROR),
    ("a close reason that is not UTF-8", close(1000, b"\xff"), NOT_UTF8),
    *((f"close code {code}", close(code), PROTOCOL_ERROR)
      for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)),
]


@case("websocket: frames that break RFC 6455 end the connection with the right code")
def wrong_frames():
    echo = Echo()
    for what, wire, code in WRONG:
        for pieces in (1, len(wire)):  # at once, and byte by byte
            raw = Raw(echo)
            raw.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            size = -(-len(wire) // pieces)
            try:
                for at in range(0, len(wire), size):
                    raw.socket.sendall(wire[at:at + size])
            except OSError:
                pass  # it was judged before its end
            expect_equal(raw.closed_with(), code, f"{what}, in {pieces} pieces")
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999):
        raw = Raw(echo)
        raw.socket.sendall(close(code, b"because"))
        expect_equal(raw.closed_with(), code, f"the answer to close code {code}")
    raw = Raw(echo)
    raw.socket.sendall(frame(8, b""))
    expect_equal(raw.closed_with(), None, "the answer to a close without a code")
    raw = Raw(echo)
    raw.socket.sendall(text(b"one ", False) + frame(9, b"p1") + frame(0, b"two ", False) + frame(9, b"p2") +
                       frame(10, b"unasked") + frame(0, b"three"))
    expect_equal([raw.receive() for _ in range(3)], [(10, b"p1"), (10, b"p2"), (1, b"one two three")],
                 "pings amid a message in fragments")
    echo.stop()


@case("websocket: python3-websockets and ours understand each other")
def python_websockets():
    sys.path.append("/usr/lib/python3/dist-packages")  # Debian's package, whichever python3 runs this
    try:
        import websockets
    except ImportError:
        raise Skip("python3-websockets is not installed") from None
    echo = Echo()

    async def same(link, message, sent=None):
        await link.send(sent or message)
        back = await asyncio.wait_for(link.recv(), 20)
        expect(back == message, f"{len(message)} sent, {len(back)} came back, not the same")

    async def talk():
        async with websockets.connect(echo.url, max_size=None, compression="deflate") as link:
            for size in (0, 1, 125, 126, 127, 128, 65535, 65536, 1 << 20):
                await same(link, "x" * size)
                await same(link, os.urandom(size))
            whole = "Zwölf Boxkämpfer, κόσμε, 你好, \U0001f4de\U0010ffff " * 40
            await same(link, whole)
            for size in (1, 2, 7, 125, 126):
                await same(link, whole, [whole[at:at + size] for at in range(0, len(whole), size)])
            await same(link, b"abc", [b"", b"a", b"", b"bc", b""])
            for payload in (b"", b"ping", os.urandom(125)):
                pong = await link.ping(payload)
                await asyncio.wait_for(pong, 20)
            await link.pong(b"unasked")
            await same(link, "still there")
            for number in range(200):  # without waiting for each
                await link.send(str(number))
            expect_equal([await link.recv() for _ in range(200)], [str(n) for n in range(200)], "200 in a row")
        for code, reason in ((1000, "done"), (1001, ""), (3000, "ä" * 61), (4999, "last")):
            link = await websockets.connect(echo.url)
            await link.close(code, reason)
            expect_equal(link.close_code, code, "the close code that came back")

    asyncio.run(talk())
    echo.stop()


IN_PAGE = """new Promise((resolve, reject) => {
    const socket = new WebSocket('%s'), seen = [];
    socket.binaryType = 'arraybuffer';
    const sizes = [0, 1, 125, 126, 127, 65535, 65536, 300000];
    const texts = ['\\u{10ffff}κόσμε', ...sizes.map(s => 'ä'.repeat(s))];
    const blobs = sizes.map(s => Uint8Array.from({length: s}, (_, i) => i & 255));
    socket.onopen = () => { texts.forEach(t => socket.send(t)); blobs.forEach(b => socket.send(b)); };
    socket.onmessage = ({data}) => {
        const number = seen.push(true) - 1, text = number < texts.length;
        const want = text ? texts[number] : blobs[number - texts.length];
        const got = text ? data : new Uint8Array(data);
        if (got.length !== want.length || !Array.prototype.every.call(want, (x, i) => x === got[i]))
            reject(new Error(`message ${number} came back otherwise`));
        if (seen.length === texts.length + blobs.length) socket.close(4321, 'enough');
    };
    socket.onclose = e => resolve({count: seen.length, code: e.code, clean: e.wasClean, extensions: socket.extensions});
})"""


class EmptyPage(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, *_):
        pass


@case("websocket: Chromium and ours understand each other", timeout=90)
def chromium():
    echo, browser = Echo(), Chromium()
    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), EmptyPage)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    window = browser.open(f"http://127.0.0.1:{pages.server_port}/")  # a page of nowhere may not reach this machine
    expect_equal(window.run(IN_PAGE % echo.url), {"count": 17, "code": 4321, "clean": True, "extensions": ""},
                 "what the page saw")
    browser.quit()
    echo.stop()
