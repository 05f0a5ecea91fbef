"""Relays on the loopback that a case can cut: what a NAT or a broken line does to a phone, without root."""

import re
import select
import socket
import threading


class TcpRelay:
    """Connections to `port` go on to `target`; drop() ends all of them."""

    def __init__(self, target):
        self.target = target
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.accepted, self._pairs, self._lock = 0, [], threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listening.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                near.close()
                continue
            with self._lock:
                self.accepted += 1
                self._pairs.append((near, far))
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    @staticmethod
    def _pump(one, other):
        try:
            while part := one.recv(65536):
                other.sendall(part)
        except OSError:
            pass
        for end in (one, other):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def drop(self):
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # it was over already
                end.close()

    def close(self):
        self.listening.shutdown(socket.SHUT_RDWR)  # close() alone would let a waiting accept() have one more
        self.listening.close()
        self.drop()


class UdpRelay:
    """A NAT: datagrams to `port` leave by a port of its own towards `target`; move() makes that another one. cut()
    ends it for all who have used it; from other ports of theirs it goes on, unless it is for good."""

    def __init__(self, target, host="127.0.0.1", port=0):
        self.target = ("127.0.0.1", target)
        self.towards = lambda data: data  # what becomes of datagrams on their way there
        self.near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.near.bind((host, port))
        self.port = self.near.getsockname()[1]
        self.peer, self.far, self.seen, self.dead, self.over = None, None, set(), set(), False
        self.move()
        threading.Thread(target=self._run, daemon=True).start()

    def move(self):
        far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        far.bind(("127.0.0.1", 0))
        self.far = far
        self.public_port = far.getsockname()[1]

    def cut(self, for_good=False):
        self.dead |= self.seen
        self.over = for_good

    def _run(self):
        while True:
            far = self.far
            ready, _, _ = select.select([self.near, far], [], [], 0.05)
            if self.near in ready:
                data, source = self.near.recvfrom(65536)
                self.seen.add(source)
                if source not in self.dead and not self.over:
                    self.peer = source
                    self.far.sendto(self.towards(data), self.target)
            if far in ready and self.peer:
                data = far.recv(65536)
                if self.peer not in self.dead and not self.over:
                    self.near.sendto(data, self.peer)


class MediaRelay:
    """Between a bridge and a phone: SIP datagrams to `port` go on to the phone, with the video of the description led
    through sockets of ours, where lose() takes packets away and .feedback counts what RTCP asked of the phone."""

    def __init__(self, target):
        self.sip = UdpRelay(target)
        self.port = self.sip.port
        self.sip.towards = self._rewrite
        self.rtp, self.rtcp = self._pair()
        self.bridge, self.phone = {}, {}  # socket -> address of either side
        self.lost, self._lose = 0, {"phone": 0, "bridge": 0}
        self.feedback = []  # (payload type, format) of RTCP towards the phone that asks for a key frame
        threading.Thread(target=self._run, daemon=True).start()

    @staticmethod
    def _pair():
        while True:
            rtp, rtcp = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
            rtp.bind(("127.0.0.1", 0))
            port = rtp.getsockname()[1]
            try:
                if port % 2 == 0:
                    rtcp.bind(("127.0.0.1", port + 1))
                    return rtp, rtcp
            except OSError:
                pass
            rtp.close()
            rtcp.close()

    def _rewrite(self, data):
        head, _, body = data.partition(b"\r\n\r\n")
        video = re.search(rb"^m=video (\d+)", body, re.M)
        if not video or video[1] == b"0":
            return data
        port = int(video[1])
        self.bridge = {self.rtp: ("127.0.0.1", port), self.rtcp: ("127.0.0.1", port + 1)}
        body = body.replace(video[0], b"m=video %d" % self.rtp.getsockname()[1])
        return re.sub(rb"(?mi)^Content-Length:.*\r$", b"Content-Length: %d\r" % len(body), head) + b"\r\n\r\n" + body

    def lose(self, packets, towards="bridge"):
        """The next `packets` of RTP do not arrive."""
        self._lose[towards] = packets

    def _run(self):
        while True:
            ready, _, _ = select.select([self.rtp, self.rtcp], [], [])
            for one in ready:
                data, source = one.recvfrom(65536)
                side = "phone" if source == self.bridge.get(one) else "bridge"  # where it goes
                if side == "bridge":
                    self.phone[one] = source
                if one is self.rtp and self._lose[side]:
                    self._lose[side] -= 1
                    self.lost += 1
                    continue
                if one is self.rtcp and side == "phone":
                    self._note(data)
                to = self.bridge.get(one) if side == "bridge" else self.phone.get(one)
                if to:
                    one.sendto(data, to)

    def _note(self, data):
        while len(data) >= 8:
            if data[1] in (192, 206):
                self.feedback.append((data[1], data[0] & 31))
            data = data[(data[2] << 8 | data[3]) * 4 + 4:]
