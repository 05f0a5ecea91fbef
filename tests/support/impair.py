#!/usr/bin/env python3
"""A bad network between two SIP phones on the loopback, as a process of its own: UDP from the one to the other and
back goes through here, SIP untouched, media delayed, lost, overtaken and doubled by a seeded generator.

The first to call is told where by the first line of standard output, {"sip": PORT}. Each phone takes the relay for
its peer: addresses in SIP and SDP are rewritten to sockets that stand for the other one's.

Standard input: `cut` ends every way there is (what descriptions name from then on is a new one), `block` ends all
media for good, `report` prints {"to_callee": …, "to_caller": …} of the RTP so far. Its end is ours."""

import argparse
import heapq
import json
import random
import re
import select
import socket
import time

HOST = "127.0.0.1"


class Direction:
    """What happened to the RTP packets that way."""

    def __init__(self, options, seed):
        self.options, self.random = options, random.Random(seed)
        self.dropping, self.last_due, self.last_came = 0, 0.0, None
        self.packets = self.lost = self.runs = self.duplicates = self.overtaken = 0
        self.delays, self.late_ms, self.stalled_ms = [], 0.0, 0.0
        self.lost_before = False

    def fate(self, now):
        """When copies of the packet that came now are to leave."""
        o, chance = self.options, lambda percent: self.random.random() * 100 < percent
        if self.last_came is not None and now - self.last_came > 0.035:
            self.stalled(now - self.last_came - 0.02)
        self.last_came = now
        self.packets += 1
        delay = (o.delay + o.jitter * (2 * self.random.random() - 1)) / 1000
        overtaken, doubled = chance(o.reorder), chance(o.duplicate)
        if self.dropping == 0 and chance(o.loss / o.burst):
            self.dropping = o.burst
        if self.dropping > 0:
            self.dropping -= 1
            self.lost += 1
            self.runs += not self.lost_before
            self.lost_before = True
            return []
        self.lost_before = False
        due = now + delay
        if overtaken:
            due += 0.025
            self.overtaken += 1
        else:
            due = self.last_due = max(due, self.last_due)
        self.delays.append((due - now) * 1000)
        self.duplicates += doubled
        return [due] * (2 if doubled else 1)

    def stalled(self, seconds):
        """The sender, or we, were later than the network is to be: the machine is busy."""
        self.late_ms = max(self.late_ms, seconds * 1000)
        self.stalled_ms += seconds * 1000

    def report(self):
        delays = sorted(self.delays) or [0.0]
        loss = self.lost / max(1, self.packets)
        run = self.lost / max(1, self.runs)
        return {"packets": self.packets, "lost": self.lost, "loss_percent": 100 * loss,
                "burst_ratio": max(1.0, run * (1 - loss)), "duplicates": self.duplicates, "overtaken": self.overtaken,
                "delay_ms": sum(delays) / len(delays), "least_ms": delays[0], "most_ms": delays[-1],
                "late_ms": self.late_ms, "stalled_ms": self.stalled_ms}


class Standin:
    """A socket that stands for one of the phones' own: what comes here is for `real`."""

    def __init__(self, real, side, sip, fd):
        self.real, self.side, self.sip, self.socket = real, side, sip, fd
        self.port = fd.getsockname()[1]
        self.dead = False


def bind(port=0):
    fd = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        fd.bind((HOST, port))
    except OSError:
        fd.close()
        return None
    return fd


def bind_pair():
    while True:
        first = bind()
        port = first.getsockname()[1]
        if port % 2 == 0 and (second := bind(port + 1)):
            return first, second
        first.close()


class Relay:
    def __init__(self, options):
        self.standins = []
        self.waiting, self.count = [], 0
        self.blocked = False
        ways = ("to_callee", "to_caller")
        self.ways = {name: Direction(options, options.seed * 2 + n) for n, name in enumerate(ways)}
        self.delay = options.delay / 1000
        self.callee = self.add((HOST, options.target), "callee", True, bind())
        self.caller = None

    def add(self, real, side, sip, fd):
        self.standins.append(Standin(real, side, sip, fd))
        return self.standins[-1]

    def of(self, real):
        return next((s for s in self.standins if s.real == real and not s.dead), None)

    def media(self, port, side, pair=False):
        """The socket that stands for `port` of that side."""
        known = self.of((HOST, port))
        if known:
            return known
        first, second = bind_pair() if pair else (bind(), None)
        if second:
            self.add((HOST, port + 1), side, False, second)
        return self.add((HOST, port), side, False, first)

    def rewritten(self, data, sender, receiver):
        """A SIP message of `sender` as `receiver` is to see it."""
        head, _, body = data.decode(errors="surrogateescape").partition("\r\n\r\n")
        ports = {str(sender.real[1]): str(sender.port), str(receiver.port): str(receiver.real[1])}
        head = re.sub(rf"{re.escape(HOST)}:(\d+)", lambda m: f"{HOST}:{ports.get(m[1], m[1])}", head)
        if "m=audio" in body:
            # Ways past us are none: other addresses, and relays.
            body = re.sub(rf"a=candidate:(?!\S+ \d \S+ \d+ {re.escape(HOST)} )[^\r]*\r\n", "", body)
            body = re.sub(r"(m=audio )([1-9]\d*)",
                          lambda m: m[1] + str(self.media(int(m[2]), sender.side, True).port), body)
            body = re.sub(r"(a=rtcp:)(\d+)", lambda m: m[1] + str(self.media(int(m[2]), sender.side).port), body)
            body = re.sub(rf"(a=candidate:\S+ \d \S+ \d+ {re.escape(HOST)} )(\d+)",
                          lambda m: m[1] + str(self.media(int(m[2]), sender.side).port), body)
            size = len(body.encode(errors="surrogateescape"))
            head = re.sub(r"(?im)^(content-length|l):[^\r]*", f"Content-Length: {size}", head)
        return (head + "\r\n\r\n" + body).encode(errors="surrogateescape")

    def arrived(self, at, data, source):
        now = time.monotonic()
        if at.sip:
            return self.pass_sip(at, data, source)
        if self.blocked or at.dead:
            return None
        other = "caller" if at.side == "callee" else "callee"
        sender = self.of(source) or self.add(source, other, False, bind())
        rtp = len(data) >= 12 and data[0] >> 6 == 2 and not 200 <= data[1] <= 207
        way = self.ways["to_" + at.side]
        for due in way.fate(now) if rtp else [now + self.delay]:
            self.count += 1
            heapq.heappush(self.waiting, (due, self.count, way if rtp else None, sender, at, data))
        return None

    def pass_sip(self, at, data, source):
        if at is self.callee:
            if self.caller is None or self.caller.real != source:
                self.caller = self.add(source, "caller", True, bind())
            sender, receiver = self.caller, self.callee
        else:
            sender, receiver = self.callee, at
        if b"\r\n\r\n" in data and len(data) > 8:
            data = self.rewritten(data, sender, receiver)
        sender.socket.sendto(data, receiver.real)

    def leave(self):
        now = time.monotonic()
        seen = set()
        while self.waiting and self.waiting[0][0] <= now:
            due, _, way, sender, receiver, data = heapq.heappop(self.waiting)
            if way and way not in seen and now - due > 0.01:
                way.stalled(now - due)
            seen.add(way)
            if not self.blocked and not receiver.dead:
                sender.socket.sendto(data, receiver.real)

    def command(self, line):
        if line == "cut":
            for standin in self.standins:
                standin.dead = standin.dead or not standin.sip
        elif line == "block":
            self.blocked = True
        elif line == "report":
            print(json.dumps({name: way.report() for name, way in self.ways.items()}), flush=True)

    def run(self):
        commands = open(0, "rb", buffering=0)  # a buffer would hide lines from select()
        print(json.dumps({"sip": self.callee.port}), flush=True)
        while True:
            pause = max(0.0, self.waiting[0][0] - time.monotonic()) if self.waiting else None
            ready, _, _ = select.select([commands, *(s.socket for s in self.standins)], [], [], pause)
            self.leave()
            for standin in list(self.standins):
                if standin.socket in ready:
                    try:
                        self.arrived(standin, *standin.socket.recvfrom(65536))
                    except OSError:
                        pass  # nobody listens there any more
            if commands in ready:
                line = commands.readline()
                if not line:
                    return
                self.command(line.decode().strip())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", type=int, metavar="PORT", help="of the phone that is called")
    for name, default in (("seed", 1), ("burst", 1)):
        parser.add_argument("--" + name, type=int, default=default)
    for name in ("loss", "delay", "jitter", "reorder", "duplicate"):
        parser.add_argument("--" + name, type=float, default=0.0, help="ms, or percent")
    Relay(parser.parse_args()).run()


if __name__ == "__main__":
    main()
