"""wss-bridge with the other library of browsers' phones: SIP.js, which names no instance and knows no UPDATE."""

from bridge import LEVEL, USERS, Bridge, answering
from browser import Chromium, Pages, WebPhone
from harness import Offhook, case, expect, expect_equal, expect_tone, workdir, write_tone


@case("bridge: SIP.js registers, calls and is called, holds, comes back over another connection", timeout=90)
def sipjs():
    bridge, pages, browser = Bridge(), Pages("sipjs-bundle.js"), Chromium()
    recording = workdir() / "ben.record.wav"
    phone = answering(bridge, "ben", "--record", recording)
    page = WebPhone(browser, pages, bridge.web, "anna", USERS["anna"], page="sipjs.html", hz=700,
                    answer=True).registered()
    call = page.call("sip:ben@house.test")
    page.event("confirmed", {"index": call})
    page.hears(440)
    page.hold(call)
    phone.wait_event("call.remote-hold", {"on": True})
    page.resume(call)
    phone.wait_event("call.remote-hold", {"on": False})
    page.hears(440)
    expect(page.window.run(f'phone.digit({call}, "5")'), "digit 5 is on its way")
    phone.wait_event("call.dtmf", {"digit": "5", "method": "rfc4733"})
    page.window.wait(f"phone.stats({call}).then((stats) => stats.audioOut.sent > 100)", "two seconds of sound")
    page.do(call, "bye()")
    phone.wait_event("call.ended", {"by": "remote"})
    phone.ends(0)
    expect_tone(recording, 700, -13.5, 1.0, side=1)
    failing = page.call("sip:nobody@house.test")
    expect_equal(page.event("failed", {"index": failing})["status"], 404, "calling nobody")

    # Called: held by the phone, and hung up by it over the connection that the page came back with.
    tone = write_tone(workdir() / "tone.wav", 440, 60, 8000, dbfs=LEVEL)
    caller = Offhook("call", "--play", tone, "--do", "wait answer; wait dtmf 1 20s; hold; wait dtmf 2 20s; resume; "
                     "wait dtmf 3 20s; hangup", *bridge.account("carl"), "--timeout", "60s", "sip:anna@house.test",
                     name="carl")
    called = failing + 1
    page.event("confirmed", {"index": called})
    page.hears(440)
    expect(page.window.run(f'phone.digit({called}, "1")'), "digit 1 is on its way")
    caller.wait_event("call.held")
    page.hears_nothing()
    page.window.run("phone.comeBack()")
    page.do(called, "info({requestOptions: {body: {contentDisposition: 'render', "
                    "contentType: 'application/dtmf-relay', content: 'Signal=2\\r\\nDuration=100\\r\\n'}}})")
    caller.wait_event("call.resumed")
    page.hears(440)
    expect(page.window.run(f'phone.digit({called}, "3")'), "digit 3 is on its way")
    page.event("ended", {"index": called})
    caller.ends(0)
    browser.quit()
    bridge.stop()
