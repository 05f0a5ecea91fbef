"""wss-bridge between a real browser (Chromium with JsSIP) and real phones, at its own registrar."""

import itertools

from bridge import LEVEL, USERS, Bridge, answering, web_phone
from browser import Chromium, Pages
from capture import rtp_streams
from harness import Baresip, Offhook, case, expect_equal, expect_tone, wait_until, workdir, write_tone


def expect_captured(path):
    """Four streams, two of them what goes in and comes out again: in the clear on the browser's side as well."""
    streams = [payloads for payloads in rtp_streams(path).values() if len(payloads) > 30]
    expect_equal(len(streams), 4, "streams of RTP in the capture")
    same = [1 for one, other in itertools.combinations(streams, 2) if len(set(one) & set(other)) > 30]
    expect_equal(len(same), 2, "pairs of streams with the same payloads")
    expect_equal(path.stat().st_mode & 0o77, 0, "what others may do with the capture")


@case("bridge: a browser calls a phone, heard both ways, and all of it in a capture", timeout=90)
def browser_to_phone():
    pcap = workdir() / "bridge.pcap"
    bridge, pages, browser = Bridge("--pcap", pcap), Pages(), Chromium()
    recording = workdir() / "ben.record.wav"
    phone = answering(bridge, "ben", "--record", recording)
    page = web_phone(browser, pages, bridge, "anna", hz=700)
    call = page.call("sip:ben@house.test")
    page.event("confirmed")
    page.hears(440)
    phone.wait_event("call.answered")
    wait_until(lambda: bridge.events_named("bridge.media"), "media is up")
    stats = page.stats(call)
    expect_equal(stats["transport"]["dtls"], "connected", "DTLS")
    page.window.run("new Promise(r => setTimeout(r, 1500))")
    stats = page.stats(call)
    expect_equal(stats["audio"]["lost"], 0, "packets lost towards the browser")
    page.do(call, "terminate()")
    ended = phone.wait_event("call.ended")
    expect_equal((ended["by"], ended["code"]), ("remote", 200), "how the phone saw it end")
    phone.ends(0)
    expect_tone(recording, 700, -13.5, 1.0, side=1)
    bridge.wait_event("bridge.ended", {"reason": "the caller hung up"})
    browser.quit()
    bridge.stop()
    expect_captured(pcap)


@case("bridge: a phone calls a browser, hold from both sides, digits both ways", timeout=120)
def phone_to_browser():
    bridge, pages, browser = Bridge(), Pages(), Chromium()
    page = web_phone(browser, pages, bridge, "anna", hz=700, answer=True)
    tone = write_tone(workdir() / "tone.wav", 440, 60, 8000, dbfs=LEVEL)
    recording = workdir() / "ben.record.wav"
    phone = Offhook("call", "--play", tone, "--record", recording, "--do",
                    "wait answer; wait dtmf 8 20s; hold; wait 3s; resume; wait 3s; dtmf 5; wait 25s; hangup",
                    *bridge.account("ben"), "--timeout", "80s", "sip:anna@house.test", name="ben")
    phone.wait_event("call.answered", timeout=20)
    page.event("confirmed")
    page.hears(440)
    page.do(0, 'sendDTMF("8", {transportType: "RFC2833"})')
    phone.wait_event("call.dtmf", {"digit": "8", "sent": False, "method": "rfc4733"})
    phone.wait_event("call.held")
    page.event("hold", {"originator": "remote"})
    page.hears_nothing()
    phone.wait_event("call.resumed")
    page.event("unhold", {"originator": "remote"})
    page.hears(440)
    # The page holds, and takes it back.
    page.do(0, "hold()")
    phone.wait_event("call.remote-hold")
    page.do(0, "unhold()")
    page.event("unhold", {"originator": "local"})
    page.hears(440)
    page.do(0, 'sendDTMF("9", {transportType: "RFC2833"})')
    phone.wait_event("call.dtmf", {"digit": "9", "sent": False, "method": "rfc4733"})
    # Digits of the page as INFO, which the bridge turns into telephone-events.
    page.do(0, 'sendDTMF("7", {transportType: "INFO"})')
    phone.wait_event("call.dtmf", {"digit": "7", "sent": False, "method": "rfc4733"})
    page.window.run("new Promise(r => setTimeout(r, 1500))")
    page.do(0, "terminate()")
    phone.wait_event("call.ended", {"by": "remote"})
    phone.exit_code(20)
    expect_tone(recording, 700, -13.5, 1.0, side=1)
    browser.quit()
    bridge.stop()


@case("bridge: a browser and baresip, refused, cancelled, early media", timeout=120)
def baresip_and_refusals():
    bridge, pages, browser = Bridge(), Pages(), Chromium()
    peer = Baresip(name="carl", codec="pcma", hz=660, registrar="house.test",
                   account=f';auth_pass={USERS["carl"]};outbound="sip:{bridge.udp};transport=udp";regint=60')
    bridge.registered("carl")
    page = web_phone(browser, pages, bridge, "anna", hz=700, answer=True)
    call = page.call("sip:carl@house.test")
    page.event("confirmed")
    page.hears(660)
    page.window.run("new Promise(r => setTimeout(r, 1200))")
    page.do(call, "terminate()")
    peer.wait_event("CALL_CLOSED")
    expect_tone(peer.heard, 700, -13.5, 0.5)
    peer.dial("sip:anna@house.test")
    page.event("session", {"index": 1, "originator": "remote"})
    page.event("confirmed", {"index": 1})
    page.hears(660)
    peer.command("hangup")
    page.event("ended", {"index": 1})

    # Nobody there, no such name, another domain: the page is told, and nothing is relayed.
    for target, status in (("sip:ben@house.test", 480), ("sip:nobody@house.test", 404),
                           ("sip:victim@198.51.100.7", 403)):
        index = page.call(target)
        failed = page.event("failed", {"index": index})
        expect_equal(failed.get("status"), status, f"calling {target}")
    busy = Offhook("answer", "--code", "486", *bridge.account("ben"), name="ben")
    bridge.registered("ben")
    index = page.call("sip:ben@house.test")
    expect_equal(page.event("failed", {"index": index})["cause"], "Busy", "busy")
    busy.ends(10)
    slow = Offhook("answer", "--delay", "60s", *bridge.account("ben"), name="ben2")
    wait_until(lambda: len(bridge.events_named("bridge.registered")) >= 4, "ben again")
    index = page.call("sip:ben@house.test")
    page.event("progress", {"index": index})
    page.do(index, "terminate()")
    slow.wait_event("call.ended", {"code": 487})
    page.event("failed", {"index": index, "cause": "Canceled"})
    browser.quit()
    bridge.stop()


@case("bridge: two browsers, messages, two devices, a lost connection", timeout=150)
def browsers():
    bridge, pages, browser = Bridge(), Pages(), Chromium()
    anna = web_phone(browser, pages, bridge, "anna", hz=500, answer=True)
    ben = web_phone(browser, pages, bridge, "ben", hz=800)
    call = ben.call("sip:anna@house.test")
    ben.event("confirmed")
    anna.hears(800)
    ben.hears(500)
    ben.window.run('(phone.ua.sendMessage("sip:anna@house.test", "the door is open"), null)')
    expect_equal(anna.event("message")["text"], "the door is open", "MESSAGE")
    # The socket dies in the middle of the call and comes back; the far side's BYE still arrives.
    ben.window.run("(phone.socket._ws.close(), null)")
    bridge.wait_event("bridge.disconnected", {"user": "ben"})
    number = len(ben.events())
    ben.event("registered", after=number - 1)
    ben.hears(500)
    anna.do(0, "terminate()")
    ben.event("ended", {"index": call})
    # Two devices of one user ring; one answers, the other is told.
    phone = Offhook("answer", "--delay", "30s", *bridge.account("anna"), name="anna-desk")
    wait_until(lambda: len([e for e in bridge.events_named("bridge.registered") if e["user"] == "anna"]) >= 2,
               "the second device")
    second = ben.call("sip:anna@house.test")
    ben.event("confirmed", {"index": second})
    phone.wait_event("call.ended", {"code": 487}, timeout=20)
    ben.hears(500)
    # The page is reloaded: the call ends, and it can register again.
    ben.window.run("(window.onpagehide = null, null)")
    ben.do(second, "terminate()")
    anna.event("ended", {"index": 1})
    browser.quit()
    bridge.stop()


@case("bridge: an attended transfer between three browsers", timeout=90)
def attended():
    bridge, pages, browser = Bridge(), Pages(), Chromium()
    anna = web_phone(browser, pages, bridge, "anna", hz=500, answer=True, refer=True)
    carl = web_phone(browser, pages, bridge, "carl", hz=1200, answer=True)
    ben = web_phone(browser, pages, bridge, "ben", hz=800)
    first = ben.call("sip:anna@house.test")
    ben.event("confirmed", {"index": first})
    second = ben.call("sip:carl@house.test")
    ben.event("confirmed", {"index": second})
    carl.hears(800)
    ben.window.run(f'(phone.sessions[{first}].refer("sip:carl@house.test", {{replaces: phone.sessions[{second}], '
                   'eventHandlers: {accepted: () => phone.note("transferred")}}), null)')
    ben.event("transferred")
    anna.hears(1200)
    carl.hears(500)
    ben.event("ended", {"index": second})
    ben.do(first, "terminate()")
    anna.event("ended", {"index": 0})
    anna.do(1, "terminate()")
    carl.event("ended", {"index": 1})
    browser.quit()
    bridge.stop()
