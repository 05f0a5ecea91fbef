"""wss-bridge, what a phone does to a page: hands it to somebody else, gives up calling it, writes to it; and a page that
registers anew."""

import re
import urllib.request

from bridge import USERS, Bridge, answering, log_in, web_phone
from bridge_wire import registered
from browser import EAR, Chromium, Pages, wait_for_tone
from harness import Offhook, case, expect, expect_equal, wait_until, workdir
from raw_sip import RawPhone

NOTE = 'document.getElementById("note").textContent'


def registers(bridge):
    text = urllib.request.urlopen(bridge.http + "/metrics").read().decode()
    return int(re.search(r"^offhook_bridge_registers_total (\d+)$", text, re.M)[1])


def hand_over(bridge, first, second, *args, name="carl"):
    """offhook calls `first` and hands it to `second`."""
    return Offhook("transfer", f"sip:{first}@house.test", f"sip:{second}@house.test", *args, *bridge.account("carl"),
                   "--timeout", "40s", name=name)


@case("bridge: a phone hands a page to another phone, blind and attended, and each hears the other", timeout=120)
def handed_over():
    bridge, pages, browser = Bridge(), Pages(), Chromium()
    recording = workdir() / "ben.record.wav"
    phone = answering(bridge, "ben", "--count", "3", "--record", recording)
    page = web_phone(browser, pages, bridge, "anna", hz=700, answer=True, refer=True)
    hand_over(bridge, "anna", "ben").ends(0)
    page.event("confirmed", {"index": 1})
    page.hears(440)
    page.do(1, "terminate()")
    wait_until(lambda: len(phone.events_named("call.ended")) == 1, "ben's call ends")
    hand_over(bridge, "anna", "ben", "--attended", name="attended").ends(0)
    page.event("confirmed", {"index": 3})
    page.hears(440)
    page.do(3, "terminate()")
    wait_until(lambda: len(phone.events_named("call.ended")) == 3, "ben's calls end")
    phone.signal(15)
    phone.exit_code()
    page.window.run("(phone.ua.stop(), null)")

    # The built-in page the same way.
    phone = answering(bridge, "ben")
    window = browser.open(bridge.http + "/")
    log_in(window, "anna")
    transferor = hand_over(bridge, "anna", "ben", name="carl2")
    window.wait('!document.getElementById("incoming").hidden', "it rings")
    window.run('document.getElementById("answer").click()')
    transferor.ends(0)
    phone.wait_event("call.answered")
    wait_for_tone(window, EAR, 440, "the built-in page")
    window.wait("cards.size === 1 && [...cards.keys()][0].who === 'ben'", "one call is shown, with ben")
    window.run('document.querySelector(".call .hangup").click()')
    phone.ends(0)
    browser.quit()
    bridge.stop()


@case("bridge: a phone gives up calling a page, messages both ways, a page that registers anew", timeout=90)
def small_things():
    bridge, pages, browser = Bridge(), Pages(), Chromium()
    page = web_phone(browser, pages, bridge, "anna", hz=700)
    window = browser.open(bridge.http + "/")
    log_in(window, "carl")
    # CANCEL by the phone: JsSIP's page and the built-in one.
    for user in ("anna", "carl"):
        caller = Offhook("call", *bridge.account("ben"), "--ring-timeout", "2s", "--timeout", "30s",
                         f"sip:{user}@house.test", name=f"ben-{user}")
        if user == "anna":
            page.event("session", {"index": 0, "originator": "remote"})
            page.event("failed", {"index": 0, "cause": "Canceled"})
        else:
            window.wait('!document.getElementById("incoming").hidden', "it rings")
            window.wait('document.getElementById("incoming").hidden', "it rings no more")
            expect(window.run(NOTE).startswith("ben called at "), "it says who called")
        caller.ends(11)
    # MESSAGE both ways.
    for user in ("anna", "carl"):
        Offhook("message", f"sip:{user}@house.test", "the door is open", *bridge.account("ben"), name=f"say-{user}").ends(0)
    expect_equal(page.event("message")["text"], "the door is open", "what JsSIP's page gets")
    window.wait('document.getElementById("messages").textContent === "ben: the door is open"', "what the built-in page shows")
    phone = registered(RawPhone(bridge.udp, "ben", USERS["ben"]))
    page.window.run('(phone.ua.sendMessage("sip:ben@house.test", "who is there?"), null)')
    message = phone.wait("MESSAGE", "the message")
    expect_equal((message.body, message.get("content-type")), ("who is there?", "text/plain"), "what the phone gets")
    phone.reply(message, 200, "OK", contact=False)
    phone.register(more=(("Expires", "0"),))
    phone = answering(bridge, "ben")
    # It registers anew, and is there once.
    before = registers(bridge)
    page.window.run("(phone.ua.register(), null)")
    wait_until(lambda: registers(bridge) >= before + 2, "it is challenged, and proves it")
    status = Offhook("wss-bridge", "--status", audio=None)
    users = sorted(b["user"] for b in status.wait_event("bridge.status")["bindings"])
    status.ends(0)
    expect_equal(users, ["anna", "ben", "carl"], "registrations")
    call = page.call("sip:ben@house.test")
    page.event("confirmed", {"index": call})
    page.hears(440)
    page.do(call, "terminate()")
    phone.ends(0)
    browser.quit()
    bridge.stop()
