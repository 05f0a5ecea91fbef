"""What a process has cost so far, from /proc and its CPU clock, and figures that are compared in one run."""

import dataclasses
import pathlib
import re
import statistics
import time


def cpu_seconds(pid):
    """User and system time of all its threads, to the nanosecond: the clock of clock_getcpuclockid(3)."""
    return time.clock_gettime((~pid << 3) | 2)


def switches(pid):
    """(times it waited, times the scheduler took its core away), of all threads."""
    waited = taken = 0
    for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
        found = dict(re.findall(r"^(\w*voluntary_ctxt_switches):\s+(\d+)$", status.read_text(), re.M))
        waited += int(found["voluntary_ctxt_switches"])
        taken += int(found["nonvoluntary_ctxt_switches"])
    return waited, taken


def memory_mb(pid):
    """(resident, private) in MB."""
    found = dict(re.findall(r"^(\w+):\s+(\d+) kB$", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M))
    private = int(found["Private_Dirty"]) + int(found["Private_Clean"])
    return int(found["Rss"]) / 1024, private / 1024


class Window:
    """What processes cost while something happens: several windows, all processes in each of them at once, so that
    the neighbours on a shared machine disturb them alike."""

    def __init__(self, pids, seconds, rounds):
        self.cpu = {pid: [] for pid in pids}      # share of a core, percent
        self.waits = {pid: [] for pid in pids}    # voluntary context switches per second
        for _ in range(rounds):
            started = time.monotonic()
            before = {pid: (cpu_seconds(pid), switches(pid)[0]) for pid in pids}
            time.sleep(seconds)
            length = time.monotonic() - started
            for pid in pids:
                cpu, waits = cpu_seconds(pid) - before[pid][0], switches(pid)[0] - before[pid][1]
                self.cpu[pid].append(100 * cpu / length)
                self.waits[pid].append(waits / length)


@dataclasses.dataclass
class Row:
    """One line of the report. ours and peers: the samples, in pairs of one moment when both are there."""
    name: str
    unit: str
    ours: list
    peers: list = dataclasses.field(default_factory=list)
    peer: str = ""                 # whose figures `peers` are
    most_ratio: float = None       # the goals
    most: float = None
    note: str = ""

    @property
    def median(self):
        return statistics.median(self.ours)

    @property
    def ratios(self):
        return [a / b for a, b in zip(self.ours, self.peers) if b > 0]

    @property
    def ratio(self):
        return statistics.median(self.ratios) if self.ratios else None

    @property
    def met(self):
        """True, False, or None when there is no goal or nothing to compare with."""
        verdicts = []
        if self.most is not None:
            verdicts.append(self.median <= self.most)
        if self.most_ratio is not None and self.ratio is not None:
            verdicts.append(self.ratio <= self.most_ratio)
        return all(verdicts) if verdicts else None

    @property
    def goal(self):
        parts = []
        if self.most_ratio is not None:
            parts.append(f"ratio <= {self.most_ratio:g}")
        if self.most is not None:
            parts.append(f"<= {self.most:g} {self.unit}")
        return ", ".join(parts)

    def as_json(self):
        def digest(values):
            if not values:
                return None
            return {"median": round(statistics.median(values), 4), "min": round(min(values), 4),
                    "max": round(max(values), 4)}
        return {"name": self.name, "unit": self.unit, "ours": digest(self.ours), "peer": self.peer or None,
                "peers": digest(self.peers), "ratio": digest(self.ratios), "goal": self.goal or None,
                "met": self.met, "note": self.note or None}

    def as_text(self):
        def span(values, width):
            text = f"{statistics.median(values):.3g}"
            if len(values) > 1:
                text += f" ({min(values):.3g}..{max(values):.3g})"
            return f"{text:{width}}"
        theirs = f"{self.peer} {span(self.peers, 0)}" if self.peers else self.peer
        ratio = f"{self.ratio:.2f}" if self.ratio is not None else "-"
        verdict = {True: "met", False: "MISSED", None: ""}[self.met]
        note = f"  [{self.note}]" if self.note else ""
        return (f"{self.name:26} {span(self.ours, 22)} {self.unit:7} {theirs:34} {ratio:>6}  "
                f"{self.goal:28} {verdict}{note}").rstrip()
