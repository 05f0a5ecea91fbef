"""wss-bridge: calls of SIP.js with early media that one phone rings and another answers, with and without --hide-forks."""

import re

from bridge import LEVEL, Bridge, answering, let_answer, ringing
from browser import Chromium, Pages
from forks import At, devices, other_answers, rings, sipjs_page, tone
from harness import Offhook, case, expect, expect_equal, expect_tone, wait_until, workdir, write_tone


@case("bridge: SIP.js with early media ends a call that another phone answers, unless forks are hidden", timeout=120)
def another_answers():
    phone = ringing(tone(660), 2, rings="rang", answers="answered")
    pages, browser = Pages("sipjs-bundle.js"), Chromium()
    config = devices(ring=phone)
    bridge = Bridge(config=config, name="open")
    page = sipjs_page(browser, pages, bridge)
    call = rings(page, "sip:ring@house.test")
    let_answer(phone, 0)
    page.event("ended", {"index": call})
    expect(not [e for e in page.events() if e["name"] == "confirmed"], "without --hide-forks the call came up")
    wait_until(lambda: phone.received("BYE"), "SIP.js hangs up")
    bridge.stop()

    trace = workdir() / "hidden.trace"
    bridge = Bridge("--hide-forks", f"--trace={trace}", config=config, name="hidden")
    page = sipjs_page(browser, pages, bridge)
    call = rings(page, "sip:ring@house.test")
    let_answer(phone, 1)
    page.event("confirmed", {"index": call})
    page.hears(660)
    tags = {e["tag"] for e in page.events() if e["name"] in ("progress", "accepted")}
    expect_equal((len(tags), tags & {"rang2", "answered2"}), (1, set()), f"tags that the page saw: {tags}")
    page.do(call, "bye()")
    phone.succeeds()
    bye = phone.received("BYE")[-1]
    expect_equal(re.search(r"^To:.*;tag=(\w+)", bye, re.M)[1], "answered2", "whom the BYE is for")
    browser.quit()
    bridge.stop()


@case("bridge: the phone of two that began last is heard, and the one that answers has the call", timeout=120)
def two_phones():
    first, second = ringing(tone(660), 1, rings="one"), ringing(tone(1000), 1, rings="two")
    pages, browser = Pages("sipjs-bundle.js"), Chromium()
    bridge = Bridge("--hide-forks", config=devices(ring=[first, second]))
    page = sipjs_page(browser, pages, bridge)
    other_answers(page, first, second, 660, 1000)
    browser.quit()
    bridge.stop()


def desk(name, *args):
    """offhook as a phone without a registration, which rings for a while."""
    recording = workdir() / f"{name}.record.wav"
    sound = write_tone(workdir() / f"{name}.wav", 440, 30, 8000, dbfs=LEVEL)
    phone = Offhook("answer", "--delay", "3s", "--play", sound, "--record", recording, "--then", "wait", "--listen",
                    "udp:127.0.0.1:0", *args, name=name)
    phone.recording = recording
    return phone


@case("bridge: who answers has no codec of the early media: a re-INVITE to SIP.js, or transcoding", timeout=150)
def other_codec():
    pages, browser = Pages("sipjs-bundle.js"), Chromium()
    for transcode in (False, True):
        loud, silent = ringing(tone(660), 1), desk(f"silent{int(transcode)}", "--codecs", "pcma")
        bridge = Bridge("--hide-forks", *(["--transcode", "1"] if transcode else []),
                        config=devices(ring=[loud, At(silent.port())]), name=f"codec{int(transcode)}")
        page = sipjs_page(browser, pages, bridge)
        call = rings(page, "sip:ring@house.test")
        before = page.window.run(f"phone.connection({call}).localDescription.type")
        expect_equal(before, "offer", "the page's part in the first exchange")
        page.event("confirmed", {"index": call})
        page.hears(440)
        if not transcode:  # the page was made an offer
            page.window.wait(f"phone.connection({call}).localDescription.type === 'answer'", "the re-INVITE")
        sent = page.stats(call)["audioOut"]["sent"]
        page.window.wait(f"phone.stats({call}).then((s) => s.audioOut.sent > {sent} + 150)", "three seconds of sound")
        if transcode:
            expect_equal(page.window.run(f"phone.connection({call}).localDescription.type"), "offer", "no re-INVITE")
        # Held and taken back, by either of the two.
        page.hold(call)
        silent.wait_event("call.remote-hold", {"on": True})
        page.resume(call)
        page.hears(440)
        page.do(call, "bye()")
        silent.wait_event("call.ended", {"by": "remote"})
        silent.ends(0)
        expect_tone(silent.recording, 700, -13.5, 1.0, side=1)
        bridge.stop()
    browser.quit()


@case("bridge: SIP.js hands a call on to another one (Replaces), the forks of both hidden", timeout=120)
def transfer():
    bridge = Bridge("--hide-forks")
    pages, browser = Pages("sipjs-bundle.js"), Chromium()
    page = sipjs_page(browser, pages, bridge)
    files = {user: workdir() / f"{user}.record.wav" for user in ("ben", "carl")}
    anywhere = workdir() / "anywhere.toml"  # SIP.js names the other phone's own address
    anywhere.write_text("[transfer]\nanywhere = true\n")
    phones = {user: answering(bridge, user, "-c", anywhere, "--refer", "allow", "--codecs", "pcmu", "--record",
                              files[user], hz=hz)
              for user, hz in (("ben", 440), ("carl", 1000))}
    first = page.call("sip:ben@house.test", earlyMedia=True)
    page.event("confirmed", {"index": first})
    page.hears(440)
    second = page.call("sip:carl@house.test", earlyMedia=True)
    page.event("confirmed", {"index": second})
    page.hears(1000)
    # What Replaces names is what carl knows, not what the page knows.
    page.window.run(f"(phone.transfer({first}, {second}), null)")
    phones["ben"].wait_event("call.transfer", {"role": "transferee", "done": True, "exit": 0})
    phones["carl"].wait_event("call.transfer", {"role": "target", "done": True})
    page.event("ended", {"index": second})
    phones["ben"].wait_event("call.media", {"what": "first"})
    size = files["carl"].stat().st_size
    wait_until(lambda: files["carl"].stat().st_size > size + 3 * 16000 * 2, "they talk", 15)
    phones["carl"].signal(15)
    phones["carl"].ends(130)
    phones["ben"].ends(0)
    expect_tone(files["ben"], 1000, LEVEL, 1.0, side=1)
    expect_tone(files["carl"], 440, LEVEL, 1.0, side=1)
    browser.quit()
    bridge.stop()
