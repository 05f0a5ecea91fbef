"""wss-bridge: digits and codecs between a real browser and real phones."""

from bridge import LEVEL, USERS, Bridge, answering, configuration, web_phone
from browser import Chromium, Pages
from harness import Baresip, Offhook, Sipp, case, expect, expect_equal, expect_tone, wait_until, workdir, write_tone
from scenario import Scenario, sdp


def bare(bridge, codec, hz=660, user="carl"):
    """baresip registered as `user` with one codec."""
    peer = Baresip(name=user, codec=codec, hz=hz, registrar="house.test",
                   account=f';auth_pass={USERS[user]};outbound="sip:{bridge.udp};transport=udp";regint=60')
    bridge.registered(user)
    return peer


@case("bridge: digits of a page reach a phone that speaks Opus, also after its own hold", timeout=90)
def opus_digits():
    bridge, pages, browser = Bridge(), Pages(), Chromium()
    # baresip takes a digit for one only when packets without the end bit came.
    peer = bare(bridge, "opus")
    page = web_phone(browser, pages, bridge, "anna", hz=700, answer=True)
    for incoming, digits in ((False, "1234"), (True, "5678")):
        if incoming:
            peer.dial("sip:anna@house.test")
        else:
            page.call("sip:carl@house.test")
        index = int(incoming)
        page.event("confirmed", {"index": index})
        page.hears(660)

        def send(digit):
            page.do(index, f'sendDTMF("{digit}", {{transportType: "RFC2833"}})')
            wait_until(lambda: digit in peer.digits(), f"digit {digit} at baresip")

        send(digits[0])
        for digit in digits[1:]:
            page.hold(index)
            page.resume(index)
            send(digit)
        page.do(index, "terminate()")
        page.event("ended", {"index": index})
    browser.quit()
    bridge.stop()


def talk(page, index, peer_hz, seconds=1.6):
    """The page hears the peer, and sings to it for a while."""
    page.event("confirmed", {"index": index})
    page.hears(peer_hz)
    page.window.run(f"new Promise(r => setTimeout(r, {int(seconds * 1000)}))")


@case("bridge: a browser with Opus alone and phones without it, transcoded", timeout=150)
def transcoding():
    bridge, pages, browser = Bridge("--transcode", "1"), Pages(), Chromium()
    page = web_phone(browser, pages, bridge, "anna", hz=700, answer=True, codecs=["opus"])
    # The page calls; its digits arrive as telephone-events of the phone's clock.
    peer = bare(bridge, "pcmu")
    call = page.call("sip:carl@house.test")
    talk(page, call, 660)
    page.do(call, 'sendDTMF("5", {transportType: "RFC2833"})')
    wait_until(lambda: "5" in peer.digits(), "the digit at baresip")
    # One call is all that may be transcoded at once.
    other = answering(bridge, "ben", "--codecs", "g722,pcma")
    second = page.call("sip:ben@house.test")
    expect_equal(page.event("failed", {"index": second}).get("status"), 488, "one call too many")
    # Held and taken back, it is still transcoded.
    page.hold(call)
    page.resume(call)
    page.hears(660)
    page.do(call, "terminate()")
    page.event("ended", {"index": call})
    expect_tone(peer.heard, 700, -13.5, 0.5)
    other.popen.terminate()
    # A phone of G.722 calls the page.
    tone = write_tone(workdir() / "g722.wav", 1000, 30, 16000, dbfs=LEVEL)
    recording = workdir() / "g722.record.wav"
    phone = Offhook("call", "--codecs", "g722", "--play", tone, "--record", recording, "--do",
                    "wait answer; wait dtmf 7 20s; dtmf 3; wait 1s; hangup", *bridge.account("ben"), "--timeout", "60s",
                    "sip:anna@house.test", name="g722")
    index = second + 1
    talk(page, index, 1000)
    page.do(index, 'sendDTMF("7", {transportType: "RFC2833", duration: 200})')
    phone.wait_event("call.dtmf", {"digit": "7", "method": "rfc4733"})
    page.event("ended", {"index": index})
    phone.ends(0)
    expect_tone(recording, 700, -13.5, 0.5, side=1)
    browser.quit()
    bridge.stop()


@case("bridge: without --transcode a call without a common codec is 488", timeout=60)
def no_transcoding():
    bridge, pages, browser = Bridge(), Pages(), Chromium()
    page = web_phone(browser, pages, bridge, "anna", hz=700, codecs=["opus"])
    answering(bridge, "ben", "--codecs", "pcmu")
    index = page.call("sip:ben@house.test")
    expect_equal(page.event("failed", {"index": index}).get("status"), 488, "no common codec")
    browser.quit()
    bridge.stop()


@case("bridge: a page holds by UPDATE, and baresip, which refuses that, is held by a re-INVITE", timeout=60)
def hold_by_update():
    trace = workdir() / "bridge.trace"
    bridge, pages, browser = Bridge(f"--trace={trace}"), Pages(), Chromium()
    peer = bare(bridge, "pcmu")
    page = web_phone(browser, pages, bridge, "anna", hz=700)
    call = page.call("sip:carl@house.test")
    page.event("confirmed", {"index": call})
    page.hears(660)
    page.hold(call, useUpdate=True)
    page.hears_nothing()
    page.resume(call, useUpdate=True)
    page.hears(660)
    page.do(call, "terminate()")
    peer.wait_event("CALL_CLOSED")
    browser.quit()
    bridge.stop()


@case("bridge: SIPp calls a page without an offer: the page makes it, and hears what SIPp sends back", timeout=90)
def without_an_offer():
    scenario = Scenario("offerless").invite("Allow: INVITE, ACK, BYE")
    scenario.recv(100, optional=True).recv(180, optional=True)
    scenario.recv(200, {"*": "m=audio [1-9][0-9]* RTP/AVP "}).ack(body=sdp())
    # Once more inside the call: whom the page hears does not change.
    scenario.pause(4000).request("INVITE", 2, branch="[branch]").recv(100, optional=True)
    scenario.recv(200, {"*": "m=audio [1-9][0-9]* RTP/AVP "}).ack(2, body=sdp(version=2))
    scenario.pause(5000).request("BYE", 3).recv(200)
    door = ['name = "door"', 'uri = "sip:door@127.0.0.1"']  # whoever calls from here
    bridge, pages, browser = Bridge(config=configuration(devices=[door])), Pages(), Chromium()
    page = web_phone(browser, pages, bridge, "anna", hz=700, answer=True)
    peer = Sipp(scenario.write(), bridge.udp, options=["-s", "anna", "-rtp_echo"])
    page.event("confirmed", {"index": 0})
    bridge.wait_event("bridge.media")
    page.hears(700)
    wait_until(lambda: len(peer.received("200")) >= 2, "the answer to the second INVITE")
    received = page.stats(0)["audio"]["received"]
    wait_until(lambda: page.stats(0)["audio"]["received"] > received + 50, "the sound goes on", step=0.2)
    peer.succeeds()
    page.event("ended", {"index": 0, "originator": "remote"})
    ended = bridge.wait_event("bridge.ended", {"reason": "the caller hung up"})
    expect(min(ended["packets_from_caller"], ended["packets_from_callee"]) > 50, f"packets both ways: {ended}")
    browser.quit()
    bridge.stop()


@case("bridge: digits of a page by INFO and as its own events at one moment: the phone hears each of them once", timeout=90)
def both_ways_of_digits():
    bridge, pages, browser = Bridge(), Pages(), Chromium()
    phone = answering(bridge, "ben", "--codecs", "pcmu")
    page = web_phone(browser, pages, bridge, "anna", hz=700)
    call = page.call("sip:ben@house.test")
    page.event("confirmed", {"index": call})
    page.hears(440)
    for info, own in ("12", "34", "56"):
        page.do(call, f'sendDTMF("{info}", {{transportType: "INFO"}}), '
                      f'phone.sessions[{call}].sendDTMF("{own}", {{transportType: "RFC2833"}})')
        for digit in (info, own):
            phone.wait_event("call.dtmf", {"digit": digit, "sent": False})
    heard = [event["digit"] for event in phone.events_named("call.dtmf")]
    expect_equal(sorted(heard), sorted("123456"), "digits")
    page.do(call, "terminate()")
    phone.ends(0)
    browser.quit()
    bridge.stop()
