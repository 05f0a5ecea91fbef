"""The program under test: started with --json, its events read as they come."""

import json
import os
import pathlib
import subprocess
import threading
import time

from processes import ROOT, SANITIZER_EXIT, Failure, Process, bound_port, expect_equal, workdir

PROGRAM = os.path.abspath(os.environ.get("OFFHOOK", ROOT / "build/offhook"))
# For what measures time: the program without sanitizers.
PLAIN = os.path.abspath(os.environ.get("OFFHOOK_PLAIN", ROOT / "build/offhook"))
# What a sanitized program may need on top of a time: it starts slowly on a busy machine.
ALLOWANCE = 0.0 if PROGRAM == PLAIN else 2.0


def environment(extra=None):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OFFHOOK", "XDG_"))}
    home = str(workdir())
    kept.update(HOME=home, XDG_CONFIG_HOME=home + "/config", XDG_RUNTIME_DIR=home, NO_COLOR="1",
                ASAN_OPTIONS=f"exitcode={SANITIZER_EXIT}:detect_leaks=1:allocator_may_return_null=1",
                UBSAN_OPTIONS="print_stacktrace=1")
    kept.update(extra or {})
    return kept


class Offhook(Process):
    """offhook with `args`. plain: the build without sanitizers. raw: stdout goes to a file and is not JSON."""

    def __init__(self, *args, name=None, env=None, plain=False, raw=False, stdin=subprocess.DEVNULL, audio="none",
                 file_limit=None):
        command = [PLAIN if plain else PROGRAM, *map(str, args)]
        if not raw:
            command.append("--json")
        if audio and "--audio" not in command:
            command += ["--audio", audio]
        if file_limit:  # in units of 512 bytes: a disk that is full early
            command = ["sh", "-c", f"trap '' XFSZ; ulimit -f {file_limit}; exec \"$@\"", "sh", *command]
        self.events = []
        self._changed = threading.Condition()
        super().__init__(command, name or f"offhook-{args[0]}", env=environment(env), stdin=stdin,
                         stdout=None if raw else subprocess.PIPE)
        if not raw:
            self._reader = threading.Thread(target=self._read, daemon=True)
            self._reader.start()

    def _read(self):
        with open(self.out_path, "ab") as copy:
            for line in self.popen.stdout:
                copy.write(line)
                copy.flush()
                try:
                    event = json.loads(line)
                except ValueError:
                    event = {"event": "not JSON", "text": line.decode(errors="replace")}
                event["seen"] = time.monotonic()
                with self._changed:
                    self.events.append(event)
                    self._changed.notify_all()

    def wait_event(self, name, match=None, timeout=15.0, after=0):
        """The first event of that name (from index `after` on) whose fields are as in `match` (values, or
        functions of the value)."""
        def fits(event):
            return event.get("event") == name and all(
                want(event.get(key)) if callable(want) else event.get(key) == want
                for key, want in (match or {}).items())

        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                for event in self.events[after:]:
                    if fits(event):
                        return event
                left = deadline - time.monotonic()
                if left <= 0 or (not self._reader.is_alive() and not self.alive()):
                    seen = ", ".join(e.get("event", "?") for e in self.events) or "none"
                    raise Failure(f"{self.name}: no event {name} {match or ''} "
                                  f"({'ended' if left > 0 else f'{timeout:g} s'}); events: {seen}")
                self._changed.wait(min(left, 0.2))

    def events_named(self, name):
        with self._changed:
            return [e for e in self.events if e.get("event") == name]

    @property
    def result(self):
        """The last line, which a one-shot command makes its result. For a program that has ended."""
        self._reader.join(5)
        if not self.events or self.events[-1].get("event") != "result":
            raise Failure(f"{self.name}: the last line is not the result: {self.events[-1:]}")
        return self.events[-1]

    def ends(self, exit_code, timeout=30.0):
        """Waits for the end and checks the exit code, the result line, the sequence and the sanitizers. The
        result event."""
        code = self.exit_code(timeout)
        self._reader.join(5)
        self.check_sanitizers()
        expect_equal(code, exit_code, f"{self.name}: exit code ({self.stderr()[-300:].strip()})")
        expect_equal(self.result.get("exit"), exit_code, f"{self.name}: exit in the result line")
        numbers = [e.get("seq") for e in self.events]
        expect_equal(numbers, list(range(numbers[0], numbers[0] + len(numbers))), f"{self.name}: seq")
        return self.result

    def port(self, transport="udp", host="127.0.0.1"):
        return bound_port(self, "udp" if transport == "udp" else "tcp", host)


def answerer(*args, transport="udp", host="127.0.0.1", **options):
    """`offhook answer` on a free port: (process, its URI)."""
    literal = f"[{host}]" if ":" in host else host
    phone = Offhook("answer", "--auto", "--listen", f"{transport}:{literal}:0", *args, **options)
    port = phone.port(transport, host)
    return phone, f"sip:callee@{literal}:{port};transport={transport}"


def trace_messages(path):
    """The SIP messages of a --trace=FILE: a list of (sent, start line)."""
    found = []
    sent = None
    for line in pathlib.Path(path).read_text(errors="replace").splitlines():
        if " SIP/2.0" in line or line.startswith("SIP/2.0 "):
            found.append((sent, line.strip()))
    return found
