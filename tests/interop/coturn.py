"""coturn as STUN and TURN server on free loopback ports: UDP, TCP and TLS, with one user."""

import socket
import time

from certificates import make as make_certificate
from processes import Failure, Process, free_port, need, workdir

USER, PASSWORD = "alice", "turn-secret"


class Coturn(Process):
    def __init__(self):
        self.certificate, self.ca = make_certificate("turn")
        self.udp_port, self.tls_port = free_port(), free_port()
        low = 49152 + free_port() % 12000
        home = workdir() / "coturn.d"
        home.mkdir()
        super().__init__([need("turnserver"), "-n", "--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1",
                          "--listening-port", self.udp_port, "--tls-listening-port", self.tls_port, "--lt-cred-mech",
                          "--user", f"{USER}:{PASSWORD}", "--realm", "offhook.test", "--allow-loopback-peers",
                          "--no-cli", "--no-dtls", "--cert", self.certificate, "--pkey", self.certificate,
                          "--min-port", low, "--max-port", low + 400, "--log-file", "stdout", "--simple-log",
                          "--userdb", home / "users", "--pidfile", home / "pid", "-v"], "turnserver", cwd=home)
        self._wait()

    def _wait(self):
        request = bytes.fromhex("000100002112a442") + b"offhook-test"
        deadline = time.monotonic() + 20
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(0.3)
            probe.connect(("127.0.0.1", self.udp_port))
            while time.monotonic() < deadline:
                try:
                    probe.send(request)
                    if probe.recv(2048)[:2] == b"\x01\x01":
                        return
                except OSError:
                    time.sleep(0.1)
                if not self.alive():
                    break
        raise Failure(f"turnserver does not answer: {self.stdout()[-1500:]}{self.stderr()[-500:]}")

    def stun(self):
        return f"stun:127.0.0.1:{self.udp_port}"

    def turn(self, way="udp"):
        if way == "tls":
            return f"turns:{USER}@127.0.0.1:{self.tls_port}"
        return f"turn:{USER}@127.0.0.1:{self.udp_port}?transport={way}"

    def env(self):
        return {"OFFHOOK_TURN_PASSWORD": PASSWORD}
