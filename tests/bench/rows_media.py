"""The rows about many calls, encryption and delay."""

import json
import subprocess
import time

from measure import Row, Window, memory_mb
from phones import (PROGRAM, Failure, Phone, Tool, answerer, baresip_call, bound_port, environment, need, offhook_call,
                    tool, tone)
from processes import Process
from rows import peer_or_none, rows


class Echo(Process):
    """`offhook answer --echo`: a far end that speaks SRTP, where a reflector would use our own key against us."""

    def __init__(self, codec):
        argv = [PROGRAM, "answer", "--auto", "--audio", "none", "--listen", "udp:127.0.0.1:0", "--json", "--codecs", codec,
                "--srtp", "required", "--echo"]
        super().__init__(argv, "offhook-echo", env=environment(), stdout=subprocess.PIPE)
        self.uri = f"sip:bench@127.0.0.1:{bound_port(self, 'udp')}"

    def wait_rtp(self):
        for line in self.popen.stdout:
            event = json.loads(line)
            if event.get("event") == "call.media":
                return
        raise Failure(f"no RTP came: {self.stderr().strip()}")


def encrypted(codec, name, most_ratio, options):
    phones, ends = [], []
    other, note = peer_or_none(lambda: need("baresip"))
    for which in ["ours"] + (["theirs"] if other else []):
        end = Echo(codec)
        ends.append(end)
        if which == "ours":
            phones.append(Phone(offhook_call(codec, end.uri, "--srtp", "required"), "offhook-call"))
        else:
            phones.append(Phone(baresip_call(codec, end.uri, ["module srtp.so"], ";mediaenc=srtp-mand"), "baresip"))
        end.wait_rtp()
    time.sleep(1.5)
    pids = [p.pid for p in phones]
    window = Window(pids, 3.0, options.rounds)
    memory = [memory_mb(pid)[0] for pid in pids]
    for process in phones + ends:
        process.stop()
    theirs = pids[1] if other else None
    yield Row(f"{name}.cpu", "% core", window.cpu[pids[0]], window.cpu.get(theirs, []), "baresip", most_ratio, note=note)
    yield Row(f"{name}.memory", "MB", memory[:1], memory[1:], "baresip", note=note)


@rows("call.srtp.g711.cpu", "call.srtp.g711.memory")
def srtp_g711(options):
    """A G.711 call with keys in the SDP (AES_CM_128_HMAC_SHA1_80)."""
    yield from encrypted("pcmu", "call.srtp.g711", 0.6, options)


@rows("call.srtp.opus.cpu", "call.srtp.opus.memory")
def srtp_opus(options):
    yield from encrypted("opus", "call.srtp.opus", 0.8, options)


@rows("calls.100.cpu", "calls.100.memory", "calls.100.loss")
def hundred(options):
    """100 G.711 calls answered with --play in one process; what each costs beyond the first."""
    count = 100
    cost = {}
    for number in (1, count):
        phone, port = answerer("--codecs", "pcmu", "--count", "1000", "--at-once", "128", "--play", tone(8000), "--then",
                               "wait")
        caller = Tool("peer", "calls", str(port), str(number), "14")
        if caller.line().get("event") != "up":
            raise Failure("the calls did not come up")
        time.sleep(2)
        window = Window([phone.pid], 2.0, 3)
        cost[number] = (window.cpu[phone.pid], memory_mb(phone.pid)[0] * 1024, window.waits[phone.pid])
        lost = caller.line()
        phone.stop()
    each = [cpu / count for cpu in cost[count][0]]
    yield Row("calls.100.cpu", "% core", each, cost[1][0], "one call alone", most_ratio=1.0, note="of each of 100 calls")
    yield Row("calls.100.memory", "kB", [(cost[count][1] - cost[1][1]) / (count - 1)], most=150,
              note="for each call beyond the first")
    share = 100 * (1 - lost["received_least"] / lost["sent_each"])
    yield Row("calls.100.loss", "%", [max(0.0, share)], most=2, note="packets missing in the worst of 100 calls")


@rows("echo.delay")
def echo_delay(options):
    """From network to network through `answer --echo`: a frame that comes in on time, and its sound going out."""
    phone, port = answerer("--codecs", "pcmu", "--echo", "--count", "9")
    samples = [tool("peer", "delay", port, 6)[0]["median_ms"] for _ in range(max(2, options.rounds // 2))]
    phone.stop()
    # One frame (20 ms) and the jitter buffer at its smallest (20 ms).
    yield Row("echo.delay", "ms", samples, most=40, note="one frame and a jitter buffer of one frame")

