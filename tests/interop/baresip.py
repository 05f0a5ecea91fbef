"""baresip 1.0.0 as a peer: an own configuration directory, driven and watched through its ctrl_tcp module."""

import json
import os
import pathlib
import socket
import threading
import time
import wave

from offhook import PROGRAM
from processes import Failure, Process, bound_port, need, sockets, wait_until, workdir
from tone import write_tone

MODULES = "/usr/lib/baresip/modules"
# name -> (module, the account's audio_codecs entry, rate and channels of its audio, name in its SDP)
CODECS = {
    "pcmu": ("g711", "pcmu", 8000, 1),
    "pcma": ("g711", "pcma", 8000, 1),
    "g722": ("g722", "g722", 16000, 1),
    "opus": ("opus", "opus/48000/2", 48000, 2),
    "l16": ("l16", "L16/8000/1", 8000, 1),
}


def write_card(directory, rate):
    """An ALSA configuration with the paced test card (tests/support/alsa_pace.c) as "card"; plays into card.raw."""
    module = pathlib.Path(PROGRAM).resolve().parent / "libasound_module_pcm_pace.so"
    if not module.exists():
        raise Failure(f"{module} is missing: make {module.parent.name}'s offhook-tests builds it")
    conf = directory / "asound.conf"
    conf.write_text(f'</usr/share/alsa/alsa.conf>\npcm_type.pace {{ lib "{module}" }}\n'
                    f'pcm.card {{ type pace rate {rate} out "{directory}/card.raw" }}\n')
    return conf


class Baresip(Process):
    """One account `sip:NAME@127.0.0.1` on free ports of 127.0.0.1. It plays `hz` for as long as a call lasts and
    dumps what it decodes (.heard) into a WAV file."""

    def __init__(self, name="baresip", codec="pcmu", hz=660, dbfs=-15.0, transport="udp", answer="auto",
                 certificate=None, ca=None, account="", registrar=None, extra="", speaker=False, sound=None):
        """sound: a WAV file to play instead of the tone. speaker: it plays what it hears on a paced test card as well (.spoken). Its dump ends at the first hold:
        baresip 1.0.0 flushes the decode filters of a stream that was not sendrecv and never sets them up again."""
        self.codec, self.hz = codec, hz
        module, spec, rate, channels = CODECS[codec]
        self.dir = workdir() / f"{name}.d"
        self.dir.mkdir()
        wav = sound or write_tone(self.dir / "tone.wav", hz, 40, rate, channels, dbfs)
        lines = ["poll_method epoll", "sip_listen 127.0.0.1:0", "net_interface 127.0.0.1", "call_local_timeout 120",
                 "call_max_calls 4", f"audio_source aufile,{wav}", f"ausrc_srate {rate}",
                 f"ausrc_channels {channels}", f"snd_path {self.dir}", "jitter_buffer_delay 2-6",
                 "audio_buffer 20-160", "ctrl_tcp_listen 127.0.0.1:0", "opus_bitrate 48000",
                 "opus_stereo no" if channels == 1 else "opus_stereo yes",
                 f"module_path {MODULES}", f"module {module}.so", "module sndfile.so", "module aufile.so",
                 "module_tmp account.so", "module_app menu.so", "module_app ctrl_tcp.so"]
        env = None
        if speaker:
            lines += ["module alsa.so", "audio_player alsa,card", f"auplay_srate {rate}", "auplay_channels 1"]
            env = {**os.environ, "ALSA_CONFIG_PATH": str(write_card(self.dir, rate))}
        self.rate = rate
        if certificate:
            lines.append(f"sip_certificate {certificate}")
        if ca:
            lines.append(f"sip_cafile {ca}")
        (self.dir / "config").write_text("\n".join(lines) + "\n" + extra)
        at = registrar or "127.0.0.1"
        # A user part without digits in front: baresip looks its own account up by it.
        (self.dir / "accounts").write_text(
            f"<sip:{name}@{at};transport={transport}>;audio_codecs={spec};answermode={answer}"
            f"{account or ';regint=0'}\n")
        self.user, self.transport = name, transport
        self.events, self._replies = [], {}
        self._changed = threading.Condition()
        super().__init__([need("baresip"), "-f", self.dir, "-4"], name, stdin=None, env=env)
        self._connect()

    def _connect(self):
        # The control socket's listener speaks netstrings; the SIP listener (also TCP) does not answer them.
        def listeners():
            if not self.alive():
                raise Failure(f"baresip ended: {self.stdout()[-800:]}{self.stderr()[-800:]}")
            ports = [p for k, h, p in sockets(self.pid) if k == "tcp" and h == "127.0.0.1"]
            return ports if len(ports) >= 3 else None

        ports = wait_until(listeners, "baresip listens", 15)
        for port in ports:
            if self._try_control(port):
                break
        else:
            raise Failure(f"none of baresip's ports {ports} is its control socket")
        self.ports = {"udp": bound_port(self, "udp")}
        rest = [p for p in ports if p != self.control_port]
        self.ports.update(zip(("tcp", "tls"), rest))
        if self._is_tls(rest[0]):
            self.ports.update(tcp=rest[1], tls=rest[0])

    @staticmethod
    def _is_tls(port):
        """A TLS server answers a plain request with an alert or closes; SIP over TCP waits for more."""
        with socket.create_connection(("127.0.0.1", port), 2) as probe:
            probe.sendall(b"\r\n\r\n" + b"x" * 8)
            probe.settimeout(0.5)
            try:
                got = probe.recv(64)
            except TimeoutError:
                return False
            return not got.startswith(b"\r\n")

    def _try_control(self, port):
        link = socket.create_connection(("127.0.0.1", port), 2)
        text = json.dumps({"command": "about", "token": "hello"})
        link.sendall(f"{len(text)}:{text},".encode())
        link.settimeout(1.0)
        try:
            got = link.recv(4096)
        except OSError:
            got = b""
        if b'"token":"hello"' not in got:
            link.close()
            return False
        link.settimeout(None)
        self._link, self.control_port = link, port
        threading.Thread(target=self._read, daemon=True).start()
        return True

    def _read(self):
        data = b""
        while True:
            try:
                more = self._link.recv(65536)
            except OSError:
                return
            if not more:
                return
            data += more
            while b":" in data:
                length, rest = data.split(b":", 1)
                size = int(length)
                if len(rest) < size + 1:
                    break
                message, data = json.loads(rest[:size].decode(errors="replace")), rest[size + 1:]
                with self._changed:
                    if message.get("event"):
                        message["seen"] = time.monotonic()
                        self.events.append(message)
                    else:
                        self._replies[message.get("token")] = message
                    self._changed.notify_all()

    def command(self, name, params=None, timeout=5.0):
        token = f"t{time.monotonic_ns()}"
        message = {"command": name, "token": token}
        if params is not None:
            message["params"] = params
        text = json.dumps(message)
        self._link.sendall(f"{len(text)}:{text},".encode())
        with self._changed:
            if not self._changed.wait_for(lambda: token in self._replies, timeout):
                raise Failure(f"{self.name}: no reply to {name}")
            reply = self._replies.pop(token)
        if not reply.get("ok"):
            raise Failure(f"{self.name}: {name} {params or ''}: {reply.get('data')}")
        return reply.get("data")

    def wait_event(self, kind, timeout=15.0, after=0, match=lambda event: True):
        with self._changed:
            def look():
                return next((e for e in self.events[after:] if e["type"] == kind and match(e)), None)
            if not self._changed.wait_for(look, timeout):
                seen = ", ".join(e["type"] for e in self.events)
                raise Failure(f"{self.name}: no event {kind} in {timeout:g} s; events: {seen}")
            return look()

    def digits(self):
        """The DTMF digits heard so far."""
        with self._changed:
            return "".join(e.get("param", "") for e in self.events if e["type"] == "CALL_DTMF_START")

    def uri(self, transport=None):
        transport = transport or self.transport
        return f"sip:{self.user}@127.0.0.1:{self.ports[transport]};transport={transport}"

    def dial(self, uri):
        self.command("dial", uri)

    def hangup(self):
        self.command("hangup")

    @property
    def heard(self):
        """The WAV file of what it decoded in its last call."""
        files = sorted(self.dir.glob("dump-*-dec.wav"))
        if not files:
            raise Failure(f"{self.name} recorded nothing in {self.dir}")
        return files[-1]

    def heard_seconds(self):
        """How much it has decoded by now. While a dump is open only its size is true, not its header."""
        _, _, rate, channels = CODECS[self.codec]
        files = sorted(self.dir.glob("dump-*-dec.wav"))
        return (files[-1].stat().st_size - 44) / (2 * rate * channels) if files else 0.0

    def spoken_seconds(self):
        """How much it has played on its test card by now."""
        card = self.dir / "card.raw"
        return card.stat().st_size / 2 / self.rate if card.exists() else 0.0

    @property
    def spoken(self):
        """A WAV file of what its test card has played."""
        path = self.dir / "card.wav"
        with wave.open(str(path), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(self.rate)
            out.writeframes((self.dir / "card.raw").read_bytes())
        return path
