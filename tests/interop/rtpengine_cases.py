"""wss-bridge with its media on rtpengine: what pages and phones are told, and what becomes of calls when a daemon fails."""

import re

from bridge import LEVEL, Bridge, answering, ringing, web_phone
from browser import Chromium, Pages
from forks import At, devices, other_answers, sipjs_page, spend_call, tone
from harness import Offhook, case, expect, expect_equal, expect_tone, wait_until, workdir, write_tone
from rtpengine import NgRelay, Rtpengine

# What a page is never told: it is rtpengine's, the phone's, or for SIP.
FOREIGN = ("a=rtcp:", "a=crypto", "a=group", "a=extmap", "a=ice-options", "a=rtcp-xr", "a=ssrc")


def descriptions(trace, sort):
    """The session descriptions that the bridge has sent by now, of `sort` (RTP/AVP, UDP/TLS)."""
    sent = re.findall(r"^--- \S+ sent .*?\n(.*?)(?=^--- |\Z)", trace.read_text(errors="replace"), re.M | re.S)
    return [m[m.index("v=0\n"):] for m in sent if "\nv=0\n" in m and re.search(rf"^m=\w+ \d+ {sort}", m, re.M)]


def expect_tables(sdp, formats, direction="sendrecv"):
    """T2 and T3 of a call with sound."""
    expect_equal(re.findall(r"^m=\w+ \d+ (.*?)$", sdp, re.M), [f"UDP/TLS/RTP/SAVPF {formats}"], "the m-lines")
    for line in ("a=ice-lite", "a=rtcp-mux", "a=end-of-candidates", "a=mid:0", f"a={direction}",
                 "a=msid:offhook offhook0"):
        expect(f"\n{line}\n" in sdp, f"{line} in {sdp}")
    for line in FOREIGN:
        expect(f"\n{line}" not in sdp, f"{line} in {sdp}")


@case("bridge: calls in both directions on rtpengine, held from both sides, described by the bridge's tables",
      timeout=150)
def both_ways():
    pages, browser, engine = Pages(), Chromium(), Rtpengine()
    trace = workdir() / "bridge.trace"
    bridge = Bridge("--media", f"rtpengine:{engine.address}", f"--trace={trace}")
    recording = workdir() / "ben.record.wav"
    phone = answering(bridge, "ben", "--codecs", "pcma,pcmu", "--record", recording)
    page = web_phone(browser, pages, bridge, "anna", hz=700, answer=True)
    call = page.call("sip:ben@house.test")
    page.event("confirmed", {"index": call})
    page.hears(440)
    expect_tables(descriptions(trace, "UDP/TLS")[-1], "8 0 126")
    page.hold(call)
    phone.wait_event("call.remote-hold", {"on": True})
    page.resume(call)
    page.hears(440)
    page.do(call, 'sendDTMF("4", {transportType: "RFC2833"})')
    phone.wait_event("call.dtmf", {"digit": "4", "method": "rfc4733"})
    sent = page.stats(call)["audioOut"]["sent"]
    page.window.wait(f"phone.stats({call}).then((s) => s.audioOut.sent > {sent} + 100)", "two seconds of sound")
    page.do(call, "terminate()")
    phone.wait_event("call.ended", {"by": "remote"})
    phone.ends(0)
    expect_tone(recording, 700, -13.5, 1.0, side=1)

    # The phone calls, holds and takes back; its telephone-event keeps its number.
    tone = write_tone(workdir() / "ben2.wav", 440, 60, 8000, dbfs=LEVEL)
    phone = Offhook("call", "--codecs", "pcmu", "--play", tone, "--do",
                    "wait answer; wait dtmf 8 20s; hold; wait 2s; resume; wait dtmf 9 20s; hangup",
                    *bridge.account("ben"), "--timeout", "80s", "sip:anna@house.test", name="ben2")
    page.event("confirmed", {"index": 1})
    page.hears(440)
    expect_tables(descriptions(trace, "UDP/TLS")[-1], "0 101")
    page.do(1, 'sendDTMF("8", {transportType: "RFC2833"})')
    page.event("hold", {"index": 1, "originator": "remote"}, timeout=25)
    expect_tables(descriptions(trace, "UDP/TLS")[-1], "0 101", "sendonly")
    page.hears_nothing()
    page.event("unhold", {"index": 1, "originator": "remote"})
    page.hears(440)
    page.do(1, 'sendDTMF("9", {transportType: "RFC2833"})')
    phone.wait_event("call.ended", {"by": "local"}, timeout=25)
    phone.ends(0)
    told = descriptions(trace, "RTP/AVP")
    expect(len(told) >= 5, f"descriptions for phones: {told}")
    for sdp in told:
        for line in ("a=ssrc", "a=msid", "a=extmap", "a=mid", "a=candidate", "a=rtcp", "a=ice"):
            expect(f"\n{line}" not in sdp, f"{line} in what a phone was told: {sdp}")
    browser.quit()
    bridge.stop()
    engine.stop()


@case("bridge: two phones ring, one is heard and the other answers; forks are hidden, the media on rtpengine",
      timeout=150)
def hidden_forks():
    pages, browser, engine = Pages("sipjs-bundle.js"), Chromium(), Rtpengine()
    first, second = ringing(tone(660), 1, rings="one"), ringing(tone(1000, "pcma"), 2, rings="none", codec="PCMA")
    spend_call(second)
    bridge = Bridge("--hide-forks", "--media", f"rtpengine:{engine.address}", config=devices(ring=[first, second]))
    page = sipjs_page(browser, pages, bridge)
    other_answers(page, first, second, 660, 1000)
    browser.quit()
    bridge.stop()
    engine.stop()


@case("bridge: the media on rtpengine, on the second one when the first is gone, and a page that is gone", timeout=120)
def rtpengine():
    pages, browser = Pages(), Chromium()
    first, second = Rtpengine(), Rtpengine()
    bridge = Bridge("--media", f"rtpengine:{first.address},{second.address}")
    phone = answering(bridge, "ben", "--count", "3")
    page = web_phone(browser, pages, bridge, "anna", hz=700)
    for round_ in range(2):
        call = page.call("sip:ben@house.test")
        page.event("confirmed", {"index": call})
        page.hears(440)
        page.do(call, "terminate()")
        wait_until(lambda: len(phone.events_named("call.ended")) > round_, "the phone's call ends")
        if round_ == 0:
            first.popen.terminate()
            bridge.wait_event("bridge.rtpengine", {"alive": False}, timeout=20)
    # The page is closed without a word: rtpengine tells that nothing comes from it, and the phone is told.
    call = page.call("sip:ben@house.test")
    page.event("confirmed", {"index": call})
    page.hears(440)
    page.window.close()
    bridge.wait_event("bridge.ended", {"reason": "the caller's media is gone"}, timeout=30)
    wait_until(lambda: len(phone.events_named("call.ended")) == 3, "the phone's third call ends")
    phone.ends(0)
    second.popen.terminate()
    browser.quit()
    bridge.stop()


@case("bridge: rtpengine dies in a call: it is said, other calls go on, and this one on another daemon after a hold",
      timeout=150)
def dies():
    pages, browser = Pages(), Chromium()
    engines = [Rtpengine(), Rtpengine()]
    relays = [NgRelay(engine.address) for engine in engines]
    sound = write_tone(workdir() / "dora.wav", 520, 30, 8000, dbfs=LEVEL)
    target = Offhook("answer", "--auto", "--count", "50", "--play", sound, "--then", "wait", "--listen",
                     "udp:127.0.0.1:0", name="dora")
    bridge = Bridge("--media", "rtpengine:" + ",".join(relay.address for relay in relays),
                    config=devices(dora=At(target.port())))
    recording = workdir() / "ben.record.wav"
    phone = answering(bridge, "ben", "--codecs", "pcmu", "--record", recording)
    page = web_phone(browser, pages, bridge, "anna", hz=700, answer=True)
    call = page.call("sip:ben@house.test")
    page.event("confirmed", {"index": call})
    page.hears(440)
    used = next(i for i, relay in enumerate(relays) if relay.offers)
    # Another page calls until its call is on the other one.
    other = web_phone(browser, pages, bridge, "carl", hz=900)
    while not relays[1 - used].offers:
        number = other.call("sip:dora@house.test")
        other.event("confirmed", {"index": number})
        if not relays[1 - used].offers:
            other.do(number, "terminate()")
            other.event("ended", {"index": number})
    other.hears(520)
    engines[used].popen.kill()
    told = bridge.wait_event("bridge.rtpengine", {"node": relays[used].address, "alive": False}, timeout=30)
    expect_equal(told["reason"], "it does not answer", "the reason")
    page.hears_nothing()
    other.hears(520)
    page.hold(call)
    page.resume(call)
    page.hears(440)
    size = recording.stat().st_size
    wait_until(lambda: recording.stat().st_size > size + 2 * 16000 * 2, "two seconds of sound", 15)
    # It comes back (at another port, behind the same address).
    again = Rtpengine()
    relays[used].point_at(again.address)
    bridge.wait_event("bridge.rtpengine", {"node": relays[used].address, "alive": True}, timeout=20)
    page.hears(440)
    other.hears(520)
    page.do(call, "terminate()")
    phone.ends(0)
    expect_tone(recording, 700, -13.5, 1.0, side=1)
    target.stop()
    browser.quit()
    bridge.stop()


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
    told = bridge.wait_event("bridge.rtpengine", {"node": relay.address, "alive": False})
    expect("makes no sense" in told["reason"], f"the reason: {told}")
    page.hears(440)
    relay.answer = None
    bridge.wait_event("bridge.rtpengine", {"node": relay.address, "alive": True}, timeout=20)
    page.hears(440)
    page.do(up, "terminate()")
    phone.ends(0)
    browser.quit()
    bridge.stop()
