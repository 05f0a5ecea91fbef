"""Under a service manager: what systemd is told, and where it says that files lie."""

import os
import signal
import socket
import stat

from bridge import Bridge, configuration
from harness import Failure, Offhook, case, expect, expect_equal, wait_until, workdir


class Manager:
    """The other end of NOTIFY_SOCKET, sd_notify(3)."""

    def __init__(self, name="manager", abstract=False):
        self.link = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = str(workdir() / f"{name}.notify")
        self.link.bind("\0" + path if abstract else path)
        self.link.settimeout(20)
        self.directories = {kind: workdir() / f"{name}.{kind}" for kind in ("state", "runtime")}
        for directory in self.directories.values():
            directory.mkdir(mode=0o700)
        self.environment = {"NOTIFY_SOCKET": "@" + path if abstract else path,
                            "STATE_DIRECTORY": str(self.directories["state"]),
                            "RUNTIME_DIRECTORY": f"{self.directories['runtime']}:/elsewhere"}

    def told(self, first):
        """The next message that begins so; those of the watchdog between are passed over."""
        while True:
            try:
                lines = self.link.recv(4096).decode().split("\n")
            except socket.timeout:
                raise Failure(f"never told {first}") from None
            if lines[0] == first:
                return lines
            expect_equal(lines, ["WATCHDOG=1"], f"while {first} is waited for")


@case("service: wss-bridge tells systemd of start, reload, its pulse and end; files lie where systemd says")
def bridge():
    manager = Manager(abstract=True)
    bridge = Bridge(web="wss", env={**manager.environment, "WATCHDOG_USEC": "400000"})
    expect_equal(manager.told("READY=1"), ["READY=1", "STATUS=3 users of house.test"], "ready")
    for _ in range(3):
        manager.told("WATCHDOG=1")
    expect((manager.directories["state"] / "bridge.pem").exists(), "the certificate is in the state directory")
    mode = os.stat(manager.directories["runtime"] / "bridge").st_mode
    expect(stat.S_ISSOCK(mode), "the status socket is in the runtime directory")
    status = Offhook("wss-bridge", "--status", name="status", audio=None, env=manager.environment)
    status.ends(0)
    bridge.popen.send_signal(signal.SIGHUP)
    expect(manager.told("RELOADING=1")[1].startswith("MONOTONIC_USEC="), "the time of the reload")
    manager.told("READY=1")
    bridge.popen.terminate()
    manager.told("STOPPING=1")
    bridge.ends(0)


@case("service: a stuck bridge does not feed the watchdog, nor does one whose parent is meant")
def watchdog():
    manager = Manager()
    bridge = Bridge(env={**manager.environment, "WATCHDOG_USEC": "200000"})
    manager.told("READY=1")
    manager.told("WATCHDOG=1")
    bridge.popen.send_signal(signal.SIGSTOP)
    wait_until(lambda: "State:\tT" in open(f"/proc/{bridge.pid}/status").read(), "it is stopped")
    manager.link.settimeout(1)
    try:
        for _ in range(10):  # those under way
            manager.link.recv(4096)
        raise Failure("it is stopped, and feeds the watchdog")
    except socket.timeout:
        pass
    finally:
        bridge.popen.send_signal(signal.SIGCONT)
    bridge.stop()
    manager = Manager("other")
    other = Bridge(name="other", env={**manager.environment, "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"})
    other.stop()
    expect_equal([manager.link.recv(4096).decode().split("\n")[0] for _ in range(2)], ["READY=1", "STOPPING=1"], "all")


@case("service: a credential is the service's alone, whatever its mode says; another file that others can read is told")
def credential():
    manager = Manager()
    path = configuration(name="credential")
    os.chmod(path, 0o440)
    for directory, warned in ((workdir(), False), (workdir() / "elsewhere", True)):
        bridge = Bridge(config=path, env={**manager.environment, "CREDENTIALS_DIRECTORY": str(directory)})
        bridge.stop()
        expect_equal("others can read the password" in bridge.stderr(), warned, f"warned with {directory}")


@case("service: run tells systemd too, and ctl finds its socket")
def run():
    manager = Manager()
    phone = Offhook("run", "--listen", "udp:127.0.0.1:0", "--aor", "sip:door@house.test", env=manager.environment)
    expect_equal(manager.told("READY=1"), ["READY=1", "STATUS=1 account"], "ready")
    Offhook("ctl", "status", name="ctl", audio=None, env=manager.environment).ends(0)
    phone.popen.send_signal(signal.SIGHUP)
    manager.told("RELOADING=1")
    manager.told("READY=1")
    Offhook("ctl", "quit", name="quit", audio=None, env=manager.environment).ends(0)
    manager.told("STOPPING=1")
    phone.ends(0)
