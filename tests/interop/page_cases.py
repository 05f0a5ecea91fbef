"""What happens to a page at wss-bridge: sound before the answer, a reload, ICE anew, a connection cut."""

import re

from bridge import LEVEL, USERS, Bridge, answering, configuration, let_answer, log_in, ringing, web_phone
from browser import EAR, Chromium, Pages, WebPhone, wait_for_tone
from harness import Offhook, Sipp, case, expect, expect_equal, expect_tone, wait_until, workdir, write_tone
from relay import TcpRelay
from tone import g711_tone

# The call of the built-in page, its state and the words beside it.
CARD = '(document.querySelector(".call .state") || {textContent: ""}).textContent'


def dial(window, target):
    window.run(f"""(() => {{
        document.getElementById("target").value = {target!r};
        document.getElementById("call-audio").click();
    }})()""")


@case("bridge: early media is heard before the answer; called off; answered by another phone", timeout=90)
def early_media():
    tone = workdir() / "tone.ul"
    tone.write_bytes(g711_tone(660, 8000))
    phone, forked = ringing(tone, 3), ringing(tone, 1, answers="second")
    devices = [[f'name = "{name}"', f'uri = "sip:{name}@127.0.0.1:{peer.port}"']
               for name, peer in (("ring", phone), ("forked", forked))]
    bridge, pages, browser = Bridge(config=configuration(devices=devices)), Pages(), Chromium()
    page = web_phone(browser, pages, bridge, "anna", hz=700)

    def heard_early(target):
        call = page.call(target)
        page.event("progress", {"index": call})
        page.hears(660)
        expect(not [e for e in page.events() if e["name"] == "accepted" and e["index"] == call],
               "the tone came before the answer")
        return call

    call = heard_early("sip:ring@house.test")
    let_answer(phone, 0)
    page.event("confirmed", {"index": call})
    page.hears(660)
    page.do(call, "terminate()")
    page.event("ended", {"index": call})

    # Called off while the early media sounds.
    call = heard_early("sip:ring@house.test")
    page.do(call, "terminate()")
    page.event("failed", {"index": call, "cause": "Canceled"})

    # One phone rang, another answered: the page keeps its one transport.
    call = heard_early("sip:forked@house.test")
    let_answer(forked, 0)
    page.event("confirmed", {"index": call})
    page.hears(660)
    page.do(call, "terminate()")
    forked.succeeds()

    # The built-in page: the tone while it still says that it rings.
    window = browser.open(bridge.http + "/")
    log_in(window, "ben")
    dial(window, "ring")
    wait_for_tone(window, EAR, 660, "the built-in page")
    expect_equal(window.run(CARD), "ringing …", "what it shows meanwhile")
    let_answer(phone, 2)
    window.wait(f"/^0:0/.test({CARD})", "the call is up")
    wait_for_tone(window, EAR, 660, "the built-in page")
    window.run('document.querySelector(".call .hangup").click()')
    phone.succeeds()
    browser.quit()
    bridge.stop()


@case("bridge: a page reloaded in a call: the far side is told, and the page is back without a ghost", timeout=120)
def reload():
    bridge, pages, browser = Bridge(), Pages(), Chromium()
    phone = answering(bridge, "ben", "--count", "2")
    page = web_phone(browser, pages, bridge, "anna", hz=700)
    page.call("sip:ben@house.test")
    page.event("confirmed")
    page.hears(440)
    page.reload()
    expect_equal(phone.wait_event("call.ended")["by"], "remote", "who ended the call")
    bridge.wait_event("bridge.ended")
    page.start()
    page.registered()

    # Only the page that is there rings, and a reload while it rings tells the caller.
    calling = Offhook("call", *bridge.account("carl"), "--timeout", "30s", "sip:anna@house.test", name="carl")
    page.event("session", {"originator": "remote"})
    expect_equal(bridge.events_named("bridge.call")[-1]["devices"], 1, "devices that ring")
    page.reload()
    expect_equal(calling.wait_event("call.ended", timeout=5)["code"], 480, "what the caller is told")
    calling.exit_code()

    # The built-in page says goodbye by itself, and is the same device afterwards.
    window = browser.open(bridge.http + "/")
    log_in(window, "anna")
    dial(window, "ben")
    window.wait(f"/^0:0/.test({CARD})", "the call is up")
    wait_for_tone(window, EAR, 440, "the built-in page")
    instance = window.run("phone.instance")
    window.reload()
    wait_until(lambda: len(phone.events_named("call.ended")) == 2, "the phone's second call ends", timeout=3)
    log_in(window, "anna")
    expect_equal(window.run("phone.instance"), instance, "the device after the reload")
    status = Offhook("wss-bridge", "--status", audio=None)
    shown = status.wait_event("bridge.status")
    status.ends(0)
    expect_equal([b["agent"] for b in shown["bindings"] if b["user"] == "anna" and b["reachable"]], [""],
                 "anna's devices that can be reached: the built-in page")
    expect_equal(shown["calls"], [], "calls")
    phone.ends(0)
    browser.quit()
    bridge.stop()


@case("bridge: ICE anew, and a connection that is cut, in a call whose sound goes on", timeout=90)
def restart_and_cut():
    bridge, pages, browser = Bridge(), Pages(), Chromium()
    cut = TcpRelay(int(bridge.web.split(":")[2].split("/")[0]))
    tone = write_tone(workdir() / "tone.wav", 440, 60, 8000, dbfs=LEVEL)
    recording, trace = workdir() / "ben.record.wav", workdir() / "ben.trace"
    page = WebPhone(browser, pages, f"ws://127.0.0.1:{cut.port}/ws", "anna", USERS["anna"], hz=700,
                    answer=True).registered()
    phone = Offhook("call", "--play", tone, "--record", recording, "--do",
                    "wait answer; wait dtmf 1 30s; hold; wait dtmf 2 20s; resume; wait dtmf 3 20s; hangup",
                    *bridge.account("ben"), "--timeout", "80s", f"--trace={trace}", "sip:anna@house.test", name="ben")
    page.event("confirmed")
    page.hears(440)

    # The page gathers anew (another network): the bridge takes that up alone, and the phone notices nothing.
    ufrag = '/a=ice-ufrag:(\\S+)/.exec(phone.sessions[0].connection.localDescription.sdp)[1]'
    before = page.window.run(ufrag)
    page.window.run("""new Promise((done) => phone.sessions[0].renegotiate(
        {useUpdate: false, rtcOfferConstraints: {iceRestart: true}}, done))""")
    expect(page.window.run(ufrag) != before, "ICE was started anew")
    received = page.stats(0)["audio"]["received"]
    page.window.wait(f"phone.stats(0).then((s) => s.audio.received > {received} + 50 && s.transport.ice === 'connected')",
                     "packets over the new pair")
    page.hears(440)
    expect(not re.search(r" received .*\nINVITE ", trace.read_text()), "the phone hears nothing of it")

    # The socket dies. The phone's requests reach the page over its next one.
    cut.drop()
    bridge.wait_event("bridge.disconnected", {"user": "anna"})
    again = len(page.events())
    page.hears(440)
    page.event("registered", after=again - 1)
    page.do(0, 'sendDTMF("1", {transportType: "RFC2833"})')
    page.event("hold", {"originator": "remote"})
    page.hears_nothing()
    page.do(0, 'sendDTMF("2", {transportType: "INFO"})')
    page.event("unhold", {"originator": "remote"})
    page.hears(440)
    page.do(0, 'sendDTMF("3", {transportType: "RFC2833"})')
    page.event("ended", {"index": 0, "originator": "remote"})
    phone.exit_code()
    expect_tone(recording, 700, -13.5, 2.0, side=1)
    browser.quit()
    bridge.stop()
    cut.close()


@case("bridge: a page is called without an offer, and the codec changes in the call; its password is wrong", timeout=60)
def late_offer():
    tones = {law: workdir() / f"tone.{law}" for law in ("pcmu", "pcma")}
    tones["pcmu"].write_bytes(g711_tone(660, 8000))
    tones["pcma"].write_bytes(g711_tone(1000, 8000, "pcma"))
    bridge, pages, browser = Bridge(config=configuration(devices=[['uri = "sip:door@127.0.0.1"']])), Pages(), Chromium()
    page = web_phone(browser, pages, bridge, "anna", hz=700, answer=True)
    phone = Sipp("uac_page", target=bridge.udp, keys=tones)
    page.event("confirmed", {"index": 0})
    page.hears(660)
    page.do(0, 'sendInfo("text/plain", "go on")')
    page.hears(1000)
    page.do(0, 'sendInfo("text/plain", "hang up")')
    page.event("ended", {"index": 0, "originator": "remote"})
    phone.succeeds()
    guesser = WebPhone(browser, pages, bridge.web, "ben", "wrong")
    expect_equal(guesser.event("registrationFailed")["cause"], "Authentication Error", "a wrong password")
    browser.quit()
    bridge.stop()
