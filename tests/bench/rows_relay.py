"""The media relay: CPU for each packet that comes in as RTP and goes out as SRTP, against rtpengine in user space and a
loop that receives and sends and does nothing else."""

import re
import socket
import subprocess

from measure import Row, cpu_seconds
from phones import TOOLS, Failure, Skip, Tool, need, tool, workdir
from processes import Process, free_port, sockets, wait_until
from rows import peer_or_none, rows

FLOWS, SECONDS = 200, 6.0


def sdp(port, protocol="RTP/AVP", more=""):
    return ("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {port} {protocol} 0\r\na=rtpmap:0 PCMU/8000\r\n{more}")


class Load(Tool):
    """The flows, waiting for where to send."""

    def __init__(self, flows, seconds):
        super().__init__("relay_load", "load", str(flows), str(seconds), stdin=subprocess.PIPE)
        self.ends = [tuple(map(int, self.popen.stdout.readline().split())) for _ in range(flows)]

    def run(self, ports):
        self.popen.stdin.write("".join(f"{p}\n" for p in ports).encode())
        self.popen.stdin.close()
        return self.line(SECONDS + 30)


class Floor(Tool):
    def __init__(self, ends):
        super().__init__("relay_load", "floor", str(len(ends)), stdin=subprocess.PIPE)
        self.popen.stdin.write("".join(f"{b}\n" for _, b in ends).encode())
        self.popen.stdin.close()
        self.ports = [int(self.popen.stdout.readline()) for _ in ends]


class Ours(Tool):
    def __init__(self, ends):
        if not (TOOLS / "relay_bench").exists():
            raise Skip("this offhook has no wss-bridge")
        super().__init__("relay_bench", stdin=subprocess.PIPE)
        self.popen.stdin.write("".join(f"{a} {b}\n" for a, b in ends).encode())
        self.popen.stdin.close()
        self.ports = [int(self.popen.stdout.readline()) for _ in ends]


def bencode(value):
    if isinstance(value, dict):
        return b"d" + b"".join(bencode(k) + bencode(value[k]) for k in sorted(value)) + b"e"
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    raw = value.encode()
    return str(len(raw)).encode() + b":" + raw


class Rtpengine(Process):
    """In user space, without its kernel module; driven by the ng protocol."""

    def __init__(self, ends):
        self.control = free_port()
        super().__init__([need("rtpengine"), "--table=-1", "--interface=127.0.0.1", f"--listen-ng=127.0.0.1:{self.control}",
                          "--foreground", "--log-stderr", "--log-level=3", "--num-threads=2", "--port-min=40000",
                          "--port-max=49999", f"--pidfile={workdir()}/rtpengine.pid"], "rtpengine")
        wait_until(lambda: ("udp", "127.0.0.1", self.control) in sockets(self.pid) or not self.alive(), "rtpengine starts")
        self.link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.link.settimeout(5)
        self.link.connect(("127.0.0.1", self.control))
        self.ports = [self.call(number, a, b) for number, (a, b) in enumerate(ends)]

    def ask(self, number, what, fields):
        self.link.send(f"{number}{what} ".encode() + bencode({"call-id": f"c{number}", "from-tag": "a", "command": what,
                                                              **fields}))
        try:
            reply = self.link.recv(8192).decode()
        except OSError as error:
            raise Failure(f"rtpengine: {error}: {self.stderr()[-300:]}") from None
        if "3:sdp" not in reply:
            raise Failure(f"rtpengine: {reply}")
        return int(re.search(r"m=audio (\d+)", reply).group(1)), reply

    def call(self, number, a, b):
        """Where A is to send."""
        _, offer = self.ask(number, "offer", {"sdp": sdp(a), "transport-protocol": "RTP/SAVP", "ICE": "remove",
                                              "DTLS": "off"})
        line = re.search(r"a=crypto:(\d+) (AES_CM_128_HMAC_SHA1_80) ", offer)
        key = f"a=crypto:{line.group(1)} {line.group(2)} inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n"
        port, _ = self.ask(number, "answer", {"sdp": sdp(b, "RTP/SAVP", key), "to-tag": "b"})
        return port


def cost(relay_of, flows=FLOWS):
    """(microseconds of CPU for each packet that came out, what the load says)."""
    load = Load(flows, SECONDS)
    relay = relay_of(load.ends)
    before = cpu_seconds(relay.pid)
    done = load.run(relay.ports)
    spent = cpu_seconds(relay.pid) - before
    for one in (relay, load):
        one.stop()
    if done["received"] < 0.9 * done["sent"]:
        raise Failure(f"{relay.name} passed {done['received']} of {done['sent']} packets")
    return 1e6 * spent / max(1, done["received"]), done


@rows("bridge.relay.rtpengine", "bridge.relay.floor")
def relay(options):
    """200 flows of 50 packets a second, through each of them in turn."""
    floor, ours, theirs, note, lost = [], [], [], "", 0
    for _ in range(max(2, options.rounds)):
        floor.append(cost(Floor)[0])
        sample, done = cost(Ours)
        ours.append(sample)
        lost += done["sent"] - done["received"]
        if not note:
            sample, note = peer_or_none(lambda: cost(Rtpengine)[0])
            theirs += [sample] if sample else []
    yield Row("bridge.relay.rtpengine", "us", ours, theirs, "rtpengine", 0.75, note=note)
    yield Row("bridge.relay.floor", "us", ours, floor, "bare loop", 1.35, note=f"{lost} packets lost")


@rows("bridge.relay.lost", "bridge.relay.delay")
def calls_300(options):
    """300 calls, 50 packets a second each way: nothing is lost, nothing is late. The bare loop's delay is that of the
    machine and of the load itself."""
    ours = [cost(Ours, 600)[1] for _ in range(max(2, options.rounds // 2))]
    floor = [cost(Floor, 600)[1] for _ in ours]
    yield Row("bridge.relay.lost", "packets", [d["sent"] - d["received"] for d in ours], most=0,
              note=f"of {ours[0]['sent']} each time")
    added = [max(0, a["p99_ms"] - b["p99_ms"]) for a, b in zip(ours, floor)]
    yield Row("bridge.relay.delay", "ms", added, most=0.3, note="at the 99th percentile, beyond the bare loop's; "
              f"in all {max(d['p99_ms'] for d in ours):.2f} ms")


@rows("bridge.media.up")
def media_up(_options):
    """From the browser's first connectivity check to keys on both sides."""
    samples = [line["ms"] for line in tool("connect_bench", 100)]
    slow = sum(s > 100 for s in samples)
    yield Row("bridge.media.up", "ms", samples, most=100, note=f"{100 - slow} of 100 within 100 ms")


@rows("bridge.transcode.pcmu", "bridge.transcode.g722")
def transcode(options):
    """A second of a call that is transcoded, both directions: how many places a core has. Without sockets and SRTP, which
    are the relay's rows."""
    lines = tool("transcode_bench", max(2, options.rounds))
    for codec in ("pcmu", "g722"):
        samples = [line["us"] / 1e3 for line in lines if line["codecs"] == f"opus {codec}"]
        if samples:
            calls = 1e3 / sorted(samples)[len(samples) // 2]
            yield Row(f"bridge.transcode.{codec}", "ms", samples, note=f"for each second of an Opus call; {calls:.0f} "
                      "calls fill one core")
