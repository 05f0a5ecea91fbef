"""rtpengine in user space on the loopback."""

import os
import socket
import threading

from processes import Process, free_port, need, workdir

_started = 0


class Rtpengine(Process):
    """.address is where its control protocol (ng) listens. Its media ports are a hundred of this process's own: it
    binds with SO_REUSEADDR and would share a port with another instance."""

    def __init__(self):
        global _started
        number, _started = _started, _started + 1
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        low = 20000 + (os.getpid() * 2 + number) % 120 * 100
        super().__init__([need("rtpengine"), "--table=-1", "--interface=127.0.0.1", f"--listen-ng={self.address}",
                          "--config-file=none", f"--listen-cli=127.0.0.1:{free_port()}", "--foreground", "--log-stderr",
                          "--log-level=4", "--dtls-passive", f"--port-min={low}", f"--port-max={low + 99}",
                          f"--pidfile={workdir()}/rtpengine{number}.pid"], f"rtpengine{number}")


class NgRelay:
    """Between the bridge and rtpengine. answer: what the bridge is told instead (bytes behind the cookie)."""

    def __init__(self, engine):
        self.answer, self.offers = None, 0
        self.point_at(engine)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def point_at(self, engine):
        host, port = engine.split(":")
        self.engine = (host, int(port))

    def run(self):
        bridge = None
        while True:
            data, source = self.socket.recvfrom(65536)
            if source == self.engine:
                self.socket.sendto(data, bridge)
                continue
            bridge = source
            self.offers += b"7:command5:offer" in data
            if self.answer is None:
                self.socket.sendto(data, self.engine)
            else:
                self.socket.sendto(data.split(b" ")[0] + b" " + self.answer, bridge)
