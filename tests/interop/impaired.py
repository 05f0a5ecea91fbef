"""The network of tests/support/impair.py between two phones, and what the E-model (ITU-T G.107) makes of it."""

import json
import math
import re
import subprocess
import sys

from processes import ROOT, Process


class Impaired(Process):
    """To be called instead of `uri`. knobs: the options of impair.py."""

    def __init__(self, uri, name="impair", **knobs):
        target = re.search(r":(\d+)", uri.split("@")[1])[1]
        options = [f"--{name}={value}" for name, value in knobs.items()]
        super().__init__([sys.executable, ROOT / "tests/support/impair.py", target, *options], name,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.uri = f"sip:callee@127.0.0.1:{json.loads(self.popen.stdout.readline())['sip']}"

    def tell(self, command):
        self.popen.stdin.write(command.encode() + b"\n")
        self.popen.stdin.flush()

    def report(self):
        self.tell("report")
        return json.loads(self.popen.stdout.readline())


def mos(loss_percent, burst_ratio, delay_ms, bpl=25.1):
    """G.107 with all its defaults and G.711 with packet-loss concealment: equations 7-27, 7-29 and B-4."""
    delay = 0.0
    if delay_ms > 100:
        x = math.log2(delay_ms / 100)
        delay = 25 * ((1 + x ** 6) ** (1 / 6) - 3 * (1 + (x / 3) ** 6) ** (1 / 6) + 2)
    r = max(0.0, 93.2 - delay - 95 * loss_percent / (loss_percent / burst_ratio + bpl))
    return 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6
