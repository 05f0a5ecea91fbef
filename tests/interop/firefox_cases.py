"""wss-bridge and the other browser: Firefox has an ICE, DTLS and SRTP of its own."""

from bridge import Bridge, answering, web_phone
from browser import Pages
from firefox import Firefox, own_address
from harness import case, expect, expect_equal, expect_tone, workdir


@case("bridge: Firefox calls a phone, heard both ways, hold, digits", timeout=150)
def both_ways():
    bridge, pages, browser = Bridge(host=own_address()), Pages(), Firefox()
    recording = workdir() / "ben.record.wav"
    phone = answering(bridge, "ben", "--record", recording)
    page = web_phone(browser, pages, bridge, "anna", hz=700)
    call = page.call("sip:ben@house.test")
    page.event("confirmed")
    page.hears(440)
    page.do(call, "hold()")
    phone.wait_event("call.remote-hold")
    page.window.wait(f"phone.sessions[{call}].unhold()", "the page may offer again")
    page.event("unhold", {"originator": "local"})
    page.hears(440)
    page.do(call, 'sendDTMF("9", {transportType: "RFC2833"})')
    phone.wait_event("call.dtmf", {"digit": "9", "sent": False, "method": "rfc4733"})
    page.do(call, 'sendDTMF("7", {transportType: "INFO"})')
    phone.wait_event("call.dtmf", {"digit": "7", "sent": False, "method": "rfc4733"})
    page.window.run("new Promise(r => setTimeout(r, 1500))")
    stats = page.stats(call)
    expect_equal(stats["transport"]["dtls"], "connected", "DTLS")
    expect(stats["audio"]["received"] > 100, f"only {stats['audio']['received']} packets came")
    page.do(call, "terminate()")
    phone.ends(0)
    expect_tone(recording, 700, -13.5, 1.0, side=1)
    browser.quit()
    bridge.stop()
