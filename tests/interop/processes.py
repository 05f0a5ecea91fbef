"""Processes of a test case: started by pid, logged to files, ended on every way out, and looked up in /proc
so that nothing has to listen on a port that was fixed beforehand."""

import atexit
import ctypes
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SANITIZER_EXIT = 99
SANITIZER_MARKS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "WARNING: ThreadSanitizer")


class Failure(AssertionError):
    """What was expected and what was seen."""


class Skip(Exception):
    """A peer program is missing."""


def expect(condition, text):
    if not condition:
        raise Failure(text)


def expect_equal(seen, wanted, what):
    if seen != wanted:
        raise Failure(f"{what}: expected {wanted!r}, got {seen!r}")


def need(program):
    """The path of a peer program; Skip when it is not installed."""
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if not path:
        raise Skip(f"{program} is not installed")
    return path


_workdir = None
_processes = []


def workdir():
    """The temporary directory of this case, removed when the case passes."""
    global _workdir
    if _workdir is None:
        _workdir = pathlib.Path(tempfile.mkdtemp(prefix="offhook-"))
        atexit.register(shutil.rmtree, _workdir, ignore_errors=True)
    return _workdir


_prctl = ctypes.CDLL(None).prctl


def _die_with_parent():
    _prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG: survives no crash of the case


class Process:
    """One started program. Its stderr (and stdout, unless piped) go to files in the work directory."""

    def __init__(self, argv, name, *, env=None, cwd=None, stdin=subprocess.DEVNULL, stdout=None):
        self.name = name
        number = len(_processes)
        self.err_path = workdir() / f"{number:02}-{name}.err"
        self.out_path = workdir() / f"{number:02}-{name}.out"
        self.argv = [str(a) for a in argv]
        with open(self.err_path, "wb") as err, open(self.out_path, "wb") as out:
            self.started = time.monotonic()
            self.popen = subprocess.Popen(self.argv, env=env, cwd=cwd or workdir(), stdin=stdin,
                                          stdout=stdout or out, stderr=err, preexec_fn=_die_with_parent)
        _processes.append(self)

    @property
    def pid(self):
        return self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def stderr(self):
        return self.err_path.read_text(errors="replace")

    def stdout(self):
        return self.out_path.read_text(errors="replace")

    def signal(self, number):
        if self.alive():
            self.popen.send_signal(number)

    def exit_code(self, timeout=20.0):
        """Waits for the end; negative: killed by that signal."""
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} did not end within {timeout:g} s") from None

    def stop(self, timeout=5.0):
        self.signal(signal.SIGTERM)
        try:
            self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()

    def check_sanitizers(self):
        text = self.stderr()
        for mark in SANITIZER_MARKS:
            if mark in text:
                raise Failure(f"{self.name}: a sanitizer complains: {text[text.index(mark):][:3000]}")


def end_all():
    """Kills what is left; in reverse order, by pid."""
    for process in reversed(_processes):
        if process.alive():
            process.popen.kill()
            process.popen.wait()


atexit.register(end_all)


def logs(limit=6000):
    """The tails of everything the case's processes wrote, for the report of a failure."""
    parts = []
    for process in _processes:
        code = process.popen.poll()
        parts.append(f"--- {process.name}: {' '.join(process.argv)}\n    exit code {code}")
        for path in (process.out_path, process.err_path):
            text = path.read_text(errors="replace").strip() if path.exists() else ""
            if text:
                parts.append(f"    {path.suffix[1:]}: {text[-limit:]}")
        if hasattr(process, "events"):
            parts.extend(f"    event: {e}" for e in process.events[-40:])
    return "\n".join(parts)


def wait_until(condition, what, timeout=10.0, step=0.01):
    """Polls `condition` until it returns something true; what it returned."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not within {timeout:g} s")
        time.sleep(step)


# -- ports ----------------------------------------------------------------------------------------------------

def free_port(host="127.0.0.1"):
    """A port that is free for UDP and TCP now. Somebody may take it before it is used: callers start again with
    another one when the bind fails."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(50):
        with socket.socket(family, socket.SOCK_STREAM) as tcp, socket.socket(family, socket.SOCK_DGRAM) as udp:
            tcp.bind((host, 0))
            try:
                udp.bind((host, tcp.getsockname()[1]))
            except OSError:
                continue
            return tcp.getsockname()[1]
    raise Failure("no free port")


def _address(text, family):
    host, port = text.split(":")
    raw = bytes.fromhex(host)
    words = b"".join(raw[i:i + 4][::-1] for i in range(0, len(raw), 4)) if sys.byteorder == "little" else raw
    return socket.inet_ntop(family, words), int(port, 16)


def sockets(pid):
    """What `pid` has bound: a list of (kind, host, port); kind is udp, or tcp for listening sockets."""
    inodes = set()
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                link = os.readlink(f"/proc/{pid}/fd/{fd}")
            except OSError:
                continue
            if link.startswith("socket:["):
                inodes.add(link[8:-1])
    except OSError:
        return []
    found = []
    for table, kind, family in (("udp", "udp", socket.AF_INET), ("udp6", "udp", socket.AF_INET6),
                                ("tcp", "tcp", socket.AF_INET), ("tcp6", "tcp", socket.AF_INET6)):
        try:
            lines = pathlib.Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[9] in inodes and (kind == "udp" or fields[3] == "0A"):
                found.append((kind, *_address(fields[1], family)))
    return found


def bound_port(process, kind, host="127.0.0.1", timeout=10.0, among=lambda port: True):
    """Waits until `process` has bound a port of that kind on `host`; the port."""
    def look():
        if not process.alive():
            raise Failure(f"{process.name} ended with {process.popen.returncode} before it listened: "
                          f"{process.stderr()[-500:]}")
        return [p for k, h, p in sockets(process.pid) if k == kind and h == host and p != 0 and among(p)]
    return wait_until(look, f"{process.name} listens on {kind}:{host}", timeout)[0]
