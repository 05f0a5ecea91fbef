"""offhook on a terminal of its own: what it shows, and keys pressed on it."""

import os
import pty
import termios
import threading

from offhook import PROGRAM, environment
from processes import Process, expect, expect_equal, wait_until


class TerminalPhone(Process):
    """`offhook ARGS` with standard input and error on a pseudo-terminal."""

    def __init__(self, *args, name, audio="none"):
        self.master, slave = pty.openpty()
        self.before = termios.tcgetattr(slave)
        self.shown = ""
        command = [PROGRAM, *map(str, args), "--audio", audio]
        super().__init__(["sh", "-c", 'exec "$@" 2>&0', "sh", *command], name, env=environment({"TERM": "xterm"}),
                         stdin=slave)
        self.slave = slave
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        with open(self.err_path, "ab") as copy:
            while True:
                try:
                    got = os.read(self.master, 4096)
                except OSError:
                    return
                copy.write(got)
                copy.flush()
                self.shown += got.decode(errors="replace")

    def press(self, keys):
        os.write(self.master, keys.encode())

    def shows(self, text, timeout=15.0, after=0):
        """Waits until `text` has been shown (from character `after` on)."""
        wait_until(lambda: text in self.shown[after:], f"{self.name} shows {text!r}", timeout)

    def ends(self, code, timeout=20.0):
        expect_equal(self.exit_code(timeout), code, f"{self.name}: exit code")
        self.check_sanitizers()
        after = termios.tcgetattr(self.slave)
        expect(after[3] == self.before[3], "the terminal's mode is as it was")
