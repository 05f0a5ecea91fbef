"""A running phone without a face, and clients of its control socket."""

import json
import socket

from harness import Offhook, expect_equal, wait_until, workdir


class Control:
    """A client of the control socket."""

    def __init__(self):
        self.link = socket.socket(socket.AF_UNIX)
        self.link.connect(str(workdir() / "offhook/control"))
        self.link.settimeout(10)
        self.file = self.link.makefile("rwb")
        self.events, self.number = [], 0

    def line(self):
        return json.loads(self.file.readline())

    def ask(self, verb, **members):
        self.number += 1
        self.file.write(json.dumps({"id": self.number, "verb": verb, **members}).encode() + b"\n")
        self.file.flush()
        while True:
            got = self.line()
            if got.get("id") == self.number:
                return got
            self.events.append(got)

    def wait(self, name, **match):
        while True:
            for event in self.events:
                if event["event"] == name and all(event.get(k) == v for k, v in match.items()):
                    return event
            self.events.append(self.line())


def running(*args, host="127.0.0.1", timeout="60s", **options):
    phone = Offhook("run", "--listen", f"udp:{host}:0", "--timeout", timeout, *args, name="run", **options)
    wait_until((workdir() / "offhook/control").exists, "the control socket is there")
    return phone, f"sip:phone@{host}:{phone.port(host=host)};transport=udp"


def ctl(exit_code, *args):
    process = Offhook("ctl", *args, raw=True, audio=None)
    expect_equal(process.exit_code(15), exit_code, f"ctl {args}: {process.stderr()}")
    return process
