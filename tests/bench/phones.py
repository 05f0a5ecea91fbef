"""The phones that are compared, each with as little as it needs: one call, a file for a microphone, no loudspeaker."""

import json
import os
import pathlib
import select
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/interop"))
from processes import Failure, Process, Skip, bound_port, need, wait_until, workdir  # noqa: E402
from tone import write_tone  # noqa: E402

PROGRAM = os.path.abspath(os.environ.get("OFFHOOK_PLAIN", ROOT / "build/default/offhook"))
TOOLS = pathlib.Path(os.environ.get("BENCH_TOOLS", ROOT / "build/bench")).resolve()
MODULES = "/usr/lib/baresip/modules"
RATES = {"pcmu": 8000, "opus": 48000}
# Both encode Opus alike: mono, 24 kbit/s, complexity 5, in-band FEC for 10 % of loss, tuned for voice.
OPUS = ["opus_bitrate 24000", "opus_stereo no", "opus_sprop_stereo no", "opus_complexity 5", "opus_inbandfec yes",
        "opus_packet_loss 10", "opus_application voip"]


def environment():
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OFFHOOK", "XDG_"))}
    home = str(workdir())
    kept.update(HOME=home, XDG_CONFIG_HOME=home + "/config", XDG_RUNTIME_DIR=home, NO_COLOR="1")
    return kept


def tone(rate):
    path = workdir() / f"tone-{rate}.wav"
    return path if path.exists() else write_tone(path, 440, 150, rate)


def offhook_call(codec, uri, *more):
    return [PROGRAM, "call", "--audio", "none", "--codecs", codec, "--play", str(tone(RATES[codec])), "--then", "wait",
            *more, uri]


def baresip_call(codec, uri, extra=(), account=""):
    """A configuration directory and the command that dials `uri` with it."""
    folder = workdir() / f"baresip-{codec}-{time.monotonic_ns()}"
    folder.mkdir()
    module, spec = ("opus", "opus/48000/2") if codec == "opus" else ("g711", "pcmu")
    lines = ["poll_method epoll", "sip_listen 127.0.0.1:0", "net_interface 127.0.0.1",
             f"audio_source aufile,{tone(RATES[codec])}", f"ausrc_srate {RATES[codec]}", "ausrc_channels 1",
             f"module_path {MODULES}", f"module {module}.so", "module aufile.so", "module_tmp account.so",
             "module_app menu.so", *(OPUS if codec == "opus" else []), *extra]
    (folder / "config").write_text("\n".join(lines) + "\n")
    (folder / "accounts").write_text(f"<sip:bench@127.0.0.1>;audio_codecs={spec};regint=0{account}\n")
    return [need("baresip"), "-4", "-f", str(folder), "-e", f"/dial {uri}"]


class Tool(Process):
    """One of our measuring programs; its stdout is JSON lines."""

    def __init__(self, *args, stdin=subprocess.DEVNULL):
        super().__init__([TOOLS / args[0], *args[1:]], args[0], stdin=stdin, stdout=subprocess.PIPE)

    def line(self, timeout=30):
        ready, _, _ = select.select([self.popen.stdout], [], [], timeout)
        text = self.popen.stdout.readline() if ready else b""
        if not text:
            raise Failure(f"{self.name} said nothing: {self.stderr().strip()}")
        return json.loads(text)


def tool(*args):
    """Runs one to its end: its lines."""
    done = subprocess.run([str(TOOLS / args[0]), *map(str, args[1:])], capture_output=True, text=True, env=environment())
    if done.returncode != 0:
        raise Failure(f"{' '.join(map(str, args))}: {done.stderr.strip() or 'failed'}")
    return [json.loads(line) for line in done.stdout.splitlines()]


class Reflector(Tool):
    """Answers one call and sends its RTP back."""

    def __init__(self, codec="pcmu"):
        super().__init__("peer", "answer", codec)
        self.port = self.line()["port"]
        self.uri = f"sip:bench@127.0.0.1:{self.port}"

    def wait_rtp(self):
        if self.line().get("event") != "rtp":
            raise Failure("no RTP came")


class Phone(Process):
    """Either phone, in a call with a reflector of its own."""

    def __init__(self, argv, name):
        super().__init__(argv, name, env=environment())


def answerer(*args, listen="udp:127.0.0.1:0"):
    """`offhook answer --auto`: (process, port)."""
    phone = Phone([PROGRAM, "answer", "--auto", "--audio", "none", "--listen", listen, *map(str, args)], "offhook-answer")
    return phone, bound_port(phone, "udp")


def baresip_answerer():
    """baresip that answers by itself: (process, port)."""
    argv = baresip_call("pcmu", "", account=";answermode=auto")[:-2]
    phone = Phone(argv, "baresip-answer")
    return phone, bound_port(phone, "udp")


__all__ = ["Failure", "PROGRAM", "Phone", "ROOT", "Reflector", "Skip", "TOOLS", "Tool", "answerer", "baresip_answerer",
           "baresip_call", "bound_port", "environment", "need", "offhook_call", "tool", "tone", "wait_until", "workdir"]
