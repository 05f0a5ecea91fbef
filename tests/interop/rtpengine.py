"""rtpengine in user space on the loopback."""

import os

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
