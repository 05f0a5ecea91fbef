"""What wss-bridge makes of peers and disks that do not do as they should: it says so, and calls go on."""

import json
import urllib.request

from bridge import USERS, Bridge, configuration
from browser import Chromium, Pages, WebPhone
from harness import Offhook, case, expect, expect_equal, wait_until, workdir
from processes import free_port


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
    phone = Offhook("answer", "--auto", "--count", "4", *account("ben"), name="ben")
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
    expect_equal(bridge.stderr().count("will not survive"), 1, "how often it says so")
    expect_equal([b["user"] for b in json.loads(state.read_text())["bindings"]], ["ben"], "the file is as it was")
    expect(not state.with_name("state.json.new").exists(), "nothing is left beside it")
    for other in (phone, *others):
        other.stop()
    bridge.popen.terminate()
    bridge.ends(0)
