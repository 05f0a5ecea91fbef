"""What wss-bridge makes of peers and disks that do not do as they should: it says so, and calls go on."""

import json
import socket
import threading
import urllib.request

from bridge import USERS, Bridge, answering, configuration, web_phone
from browser import Chromium, Pages, WebPhone
from harness import Offhook, case, expect, expect_equal, wait_until, workdir
from processes import free_port
from rtpengine import Rtpengine


class NgRelay:
    """Between the bridge and rtpengine. answer: what the bridge is told instead (bytes behind the cookie)."""

    def __init__(self, engine):
        host, port = engine.split(":")
        self.engine, self.answer = (host, int(port)), None
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        bridge = None
        while True:
            data, source = self.socket.recvfrom(65536)
            if source == self.engine:
                self.socket.sendto(data, bridge)
                continue
            bridge = source
            if self.answer is None:
                self.socket.sendto(data, self.engine)
            else:
                self.socket.sendto(data.split(b" ")[0] + b" " + self.answer, bridge)


NONSENSE = [b"", b"d2:", b"i5e", b"le", b"de", b"99999999999:x", b"\xff" * 100, b"d6:result2:oke", b"d6:resultle3:sdpi1ee",
            b"d6:result5:error12:error-reason4:whate", b"d6:result2:ok3:sdp7:nothinge"]


@case("bridge: rtpengine answers nonsense, and the call that is up goes on", timeout=120)
def nonsense():
    pages, browser, engine = Pages(), Chromium(), Rtpengine()
    relay = NgRelay(engine.address)
    bridge = Bridge("--media", f"rtpengine:{relay.address}")
    phone = answering(bridge, "ben")
    page = web_phone(browser, pages, bridge, "anna", hz=700)
    up = page.call("sip:ben@house.test")
    page.event("confirmed", {"index": up})
    page.hears(440)
    for answer in NONSENSE:
        relay.answer = answer
        page.event("failed", {"index": page.call("sip:ben@house.test")})
    bridge.wait_event("bridge.rtpengine", {"node": relay.address, "alive": False})
    page.hears(440)
    relay.answer = None
    bridge.wait_event("bridge.rtpengine", {"node": relay.address, "alive": True}, timeout=20)
    page.hears(440)
    page.do(up, "terminate()")
    phone.ends(0)
    browser.quit()
    bridge.stop()


@case("bridge: an upstream whose name is nowhere: it is said, and browsers are refused", timeout=60)
def nowhere():
    pages, browser = Pages(), Chromium()
    config = workdir() / "nowhere.toml"
    config.write_text('[bridge]\ndomain = "house.test"\nupstream = "sip:pbx.nowhere.invalid"\n')
    bridge = Bridge(config=config)
    told = bridge.wait_event("bridge.upstream", {"reachable": False}, timeout=30)
    expect("pbx.nowhere.invalid" in told["reason"], f"the reason: {told}")
    page = WebPhone(browser, pages, bridge.web, "anna", USERS["anna"])
    page.event("registrationFailed", timeout=40)
    expect_equal(urllib.request.urlopen(bridge.http + "/healthz").read(), b"ok\n", "/healthz")
    browser.quit()
    bridge.stop()


@case("bridge: registrations of phones survive a restart; a disk that is full costs nothing else", timeout=90)
def state_file():
    state, port, web = workdir() / "state.json", free_port(), free_port()

    def start(name, **options):
        bridge = Offhook("wss-bridge", "-c", configuration(), "--listen", f"ws://127.0.0.1:{web}", "--sip",
                         f"udp:127.0.0.1:{port}", "--state-file", state, name=name, audio=None, **options)
        bridge.wait_event("bridge.ready", timeout=20)
        return bridge

    def account(user):
        file = workdir() / f"{user}.password"
        file.write_text(USERS[user] + "\n")
        return ["--aor", f"sip:{user}@house.test", "--registrar", f"sip:127.0.0.1:{port}", "--proxy",
                f"sip:127.0.0.1:{port};lr", "--password-file", file, "--listen", "udp:127.0.0.1:0"]

    def call(name):
        caller = Offhook("call", "--hangup-after", "500ms", *account("carl"), "--timeout", "30s", "sip:ben@house.test",
                         name=name)
        caller.wait_event("call.answered", timeout=20)
        caller.ends(0)

    bridge = start("first")
    expect_equal(json.loads(state.read_text())["bindings"], [], "the file of the first start")
    phone = Offhook("answer", "--auto", "--count", "3", *account("ben"), name="ben")
    bridge.wait_event("bridge.registered", {"user": "ben"})
    wait_until(lambda: [b["user"] for b in json.loads(state.read_text())["bindings"]] == ["ben"], "ben is in the file")
    written = state.stat().st_mtime_ns
    call("before")
    bridge.popen.kill()
    bridge.popen.wait()
    bridge = start("second")
    call("after")  # nobody but the file says where ben is
    expect(not [e for e in bridge.events_named("bridge.registered") if e["user"] == "ben"], "ben did not register again")
    bridge.popen.terminate()
    bridge.ends(0)
    expect(state.stat().st_mtime_ns > written, "carl came and went")
    expect_equal(state.stat().st_mode & 0o777, 0o600, "who may read it")
    # A disk with room for half a kilobyte.
    bridge = start("full", file_limit=1)
    others = [Offhook("answer", "--auto", *account("anna"), name=f"anna{number}") for number in range(3)]
    wait_until(lambda: "registrations will not survive" in bridge.stderr(), "it says so")
    call("full-disk")
    phone.ends(0)
    expect_equal(bridge.stderr().count("will not survive"), 1, "how often it says so")
    expect_equal([b["user"] for b in json.loads(state.read_text())["bindings"]], ["ben"], "the file is as it was")
    expect(not state.with_name("state.json.new").exists(), "nothing is left beside it")
    for other in others:
        other.stop()
    bridge.popen.terminate()
    bridge.ends(0)
