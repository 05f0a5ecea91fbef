"""Relays on the loopback that a case can cut: what a NAT or a broken line does to a phone, without root."""

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
    """A NAT: datagrams to `port` leave by a port of its own towards `target`; move() makes that another one."""

    def __init__(self, target):
        self.target = ("127.0.0.1", target)
        self.near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.near.bind(("127.0.0.1", 0))
        self.port = self.near.getsockname()[1]
        self.peer, self.far = None, None
        self.move()
        threading.Thread(target=self._run, daemon=True).start()

    def move(self):
        far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        far.bind(("127.0.0.1", 0))
        self.far = far
        self.public_port = far.getsockname()[1]

    def _run(self):
        while True:
            far = self.far
            ready, _, _ = select.select([self.near, far], [], [], 0.05)
            if self.near in ready:
                data, self.peer = self.near.recvfrom(65536)
                self.far.sendto(data, self.target)
            if far in ready and self.peer:
                self.near.sendto(far.recv(65536), self.peer)
