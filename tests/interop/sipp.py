"""SIPp with a scenario of sipp/: one call, its result, what it saw."""

import pathlib
import re
import time

from processes import Failure, Process, expect_equal, free_port, need, sockets, wait_until, workdir

HERE = pathlib.Path(__file__).resolve().parent / "sipp"


class Sipp(Process):
    """Runs `scenario` (a file of sipp/ without .xml, or a path). target: HOST:PORT, for UAC scenarios.
    keys: values for {{name}} in the scenario."""

    def __init__(self, scenario, target=None, transport="u1", calls=1, timeout=40, keys=None, options=(),
                 host="127.0.0.1"):
        path = pathlib.Path(scenario)
        self.path = path if path.exists() else HERE / f"{scenario}.xml"
        self.scenario = self.path.stem
        text = self.path.read_text()
        for key, value in (keys or {}).items():
            text = text.replace("{{" + key + "}}", str(value))
        filled = workdir() / f"{self.scenario}-{time.monotonic_ns()}.xml"
        filled.write_text(text)
        self.host = host
        for _ in range(5):
            self.port = free_port(host)
            argv = [need("sipp"), "-sf", filled, "-m", calls, "-i", host, "-p", self.port, "-nostdin",
                    "-t", transport, "-timeout", timeout, "-timeout_error", "-trace_err", "-trace_msg",
                    "-message_file", self._file("messages"), "-error_file", self._file("errors"), "-cid_str",
                    "%u-%p@sipp"]
            argv += list(options() if callable(options) else options)  # with ports of their own: new ones each time
            if target:
                argv.append(target)
            super().__init__(argv, f"sipp-{self.scenario}")
            if self._listens():
                return
        raise Failure(f"sipp {self.scenario} cannot listen: {self.stderr()[-300:]}")

    def _file(self, kind):
        return workdir() / f"{self.scenario}-{self.port}.{kind}"

    def _listens(self):
        def look():
            if not self.alive():
                return "ended"
            return any(p == self.port for _, _, p in sockets(self.pid)) and "listens"
        state = wait_until(look, f"sipp {self.scenario} starts", 10)
        if state == "listens":
            return True
        # A UAC may have done its call already; a clash of ports is the only reason to try again.
        return "already in use" not in self.stderr() + self.stdout()

    def uri(self, user="service", transport="udp"):
        return f"sip:{user}@{self.host}:{self.port};transport={transport}"

    def messages(self):
        """What went over the wire, in order: (direction, text); direction is "sent" or "received"."""
        path = self._file("messages")
        if not path.exists():
            return []
        parts = re.split(r"^-{20,}.*\n(?:UDP|TCP|TLS) message (sent|received) .*?:\n\n",
                         path.read_text(errors="replace"), flags=re.M)
        return list(zip(parts[1::2], parts[2::2]))

    def received(self, method):
        """The requests of that method (or responses whose status line begins so) that arrived."""
        return [text for way, text in self.messages() if way == "received"
                and (text.startswith(method + " ") or text.startswith("SIP/2.0 " + method))]

    def succeeds(self, timeout=45.0):
        """Waits for the end: the scenario must have run through."""
        code = self.exit_code(timeout)
        errors = self._file("errors")
        text = errors.read_text(errors="replace")[-1500:] if errors.exists() else ""
        expect_equal(code, 0, f"sipp {self.scenario}: exit code {text}")
