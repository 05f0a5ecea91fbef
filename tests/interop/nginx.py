"""nginx as a reverse proxy with TLS, with the location block that offhook-wss-bridge(1) shows."""

import os
import re
import socket

from certificates import make
from processes import ROOT, Process, free_port, need, wait_until, workdir

CONFIG = """daemon off;
worker_processes 1;
{user}
pid {work}/nginx.pid;
error_log stderr warn;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {work}/nginx-body;
    proxy_temp_path {work}/nginx-proxy;
    fastcgi_temp_path {work}/nginx-fastcgi;
    uwsgi_temp_path {work}/nginx-uwsgi;
    scgi_temp_path {work}/nginx-scgi;
    server {{
        listen 127.0.0.1:{tls} ssl;
        listen 127.0.0.1:{plain};
        ssl_certificate {certificate};
        ssl_certificate_key {certificate};
{location}
    }}
}}
"""


def location_of_manual(port):
    """The block as people copy it, with the port of the bridge in it."""
    page = (ROOT / "man/offhook-wss-bridge.1").read_text()
    block = re.search(r"^location / \{\n.*?^\}$", page, re.M | re.S)[0]
    return block.replace("127.0.0.1:8080", f"127.0.0.1:{port}")


class Nginx:
    """.origin is where browsers go (TLS), .plain the same without it."""

    def __init__(self):
        need("nginx")
        self.tls, self.port = free_port(), free_port()
        self.origin, self.plain = f"https://127.0.0.1:{self.tls}", f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self, bridge_port):
        config = workdir() / "nginx.conf"
        config.write_text(CONFIG.format(user="user root;" if os.geteuid() == 0 else "", work=workdir(), tls=self.tls, plain=self.port, certificate=make("nginx")[0],
                                        location=location_of_manual(bridge_port)))
        self.process = Process([need("nginx"), "-c", config], "nginx")
        def answers():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.tls)) == 0
        wait_until(answers, "nginx listens", 15, step=0.05)

    def stop(self):
        self.process.stop()
