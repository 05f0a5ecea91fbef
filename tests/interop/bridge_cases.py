"""wss-bridge between a real browser (Chromium with JsSIP) and real phones, at its own registrar."""

import itertools
import os
import socket
import urllib.request

from bridge import LEVEL, USERS, Bridge, answering, edge, log_in, secret, web_phone
from browser import Chromium, Pages, WebPhone, wait_for_sound
from capture import rtp_streams
from harness import (Baresip, Kamailio, Offhook, case, expect, expect_equal, expect_tone, wait_until, workdir,
                     write_tone)
from rtpengine import Rtpengine


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


@case("bridge: strangers, guessers and foreign pages are refused", timeout=90)
def attacks():
    bridge, pages, browser = Bridge(origin="https://elsewhere.example"), Pages(), Chromium()
    page = WebPhone(browser, pages, bridge.web, "anna", USERS["anna"])
    page.event("disconnected")
    expect(not bridge.events_named("bridge.registered"), "a foreign page registered")
    metrics = urllib.request.urlopen(bridge.http + "/metrics").read().decode()
    expect("offhook_bridge_origins_refused_total 0" not in metrics, "the refused Origin is counted")
    expect_equal(urllib.request.urlopen(bridge.http + "/healthz").read(), b"ok\n", "/healthz")
    # Guessing: five wrong passwords, then not even the right one helps.
    wrong = workdir() / "wrong"
    wrong.write_text("guess\n")
    account = bridge.account("anna")
    account[account.index("--password-file") + 1] = wrong
    for attempt in range(5):
        Offhook("register", "--once", *account, name=f"guess{attempt}").ends(14)
    bridge.wait_event("bridge.locked", {"user": "anna"})
    Offhook("register", "--once", *bridge.account("anna"), name="right").ends(14)
    Offhook("register", "--once", *bridge.account("ben"), name="ben").ends(0)
    # A flood from one stranger: most of it is dropped, and others register as ever.
    host, port = bridge.udp.rsplit(":", 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.2", 0))
        for number in range(1000):
            stranger.sendto(f"OPTIONS sip:{bridge.udp} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.2:{stranger.getsockname()[1]}"
                            f";branch=z9hG4bKf{number};rport\r\nFrom: <sip:x@y>;tag=1\r\nTo: <sip:{bridge.udp}>\r\n"
                            f"Call-ID: flood{number}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n".encode(), (host, int(port)))
        Offhook("register", "--once", *bridge.account("ben"), name="meanwhile").ends(0)
        stranger.setblocking(False)
        answers = 0
        try:
            while stranger.recv(4096):
                answers += 1
        except BlockingIOError:
            pass
    expect(100 <= answers <= 400, f"{answers} of 1000 requests of a stranger were answered")
    # No open relay: neither for strangers nor for users.
    stranger = Offhook("call", "--listen", "udp:127.0.0.1:0", "--timeout", "10s", f"sip:ben@{bridge.udp}",
                       name="stranger")
    expect_equal(stranger.exit_code(20), 12, "a stranger's call")
    relay = Offhook("call", *bridge.account("ben"), "--timeout", "20s", "sip:victim@198.51.100.7", name="relay")
    expect_equal(relay.exit_code(25), 14, "a call to another domain (403 in spite of the right password)")
    browser.quit()
    bridge.stop()


def click(window, selector):
    window.run(f"document.querySelector({selector!r}).click()")


@case("bridge: the built-in web phone calls, is called, holds, opens the door, transfers", timeout=150)
def built_in_phone():
    bridge, browser = Bridge("--door-code", "42#", origin="http://127.0.0.1:*"), Chromium()
    shots = os.environ.get("OFFHOOK_SCREENSHOTS")
    window = browser.open(bridge.http + "/", size=(390, 844))
    log_in(window, "anna")
    bridge.registered("anna")
    door = answering(bridge, "ben", "--expect-dtmf", "42#")
    window.run("""(() => {
        document.getElementById("target").value = "ben";
        document.getElementById("call-audio").click();
    })()""")
    window.wait('/^0:0/.test((document.querySelector(".call .state") || {}).textContent)', "the call is up")
    if shots:
        window.screenshot(f"{shots}/phone.png")
    wait_for_sound(window)
    click(window, ".call .hold")
    door.wait_event("call.remote-hold")
    window.wait('document.querySelector(".hold").getAttribute("aria-pressed") === "true" && '
                '!document.querySelector(".hold").disabled', "held")
    click(window, ".call .hold")
    window.wait('document.querySelector(".hold").getAttribute("aria-pressed") === "false"', "resumed")
    click(window, ".call .door")
    for digit in "42#":
        door.wait_event("call.dtmf", {"digit": digit, "method": "rfc4733"})
    click(window, ".call .hangup")
    door.wait_event("call.ended")
    door.ends(0)
    # It is called: it rings, answers by the keyboard, and the caller hangs up.
    caller = Offhook("call", "--hangup-after", "2s", *bridge.account("carl"), "--timeout", "40s",
                     "sip:anna@house.test", name="carl")
    window.wait('!document.getElementById("incoming").hidden', "it rings")
    expect_equal(window.run('document.activeElement.id'), "answer", "the button with the focus")
    expect(window.run('document.getElementById("incoming-who").textContent'), "who calls is shown")
    if shots:
        window.browser.command("/window/rect", {"width": 1200, "height": 800})
        window.screenshot(f"{shots}/desktop.png")
    click(window, "#answer")
    caller.wait_event("call.answered")
    caller.ends(0)
    window.wait('document.querySelectorAll(".call").length === 0', "the call is gone")
    # A second page transfers its call.
    other = browser.open(bridge.http + "/", size=(390, 844))
    log_in(other, "ben")
    target = answering(bridge, "carl", hz=520)
    other.run("""(() => {
        document.getElementById("target").value = "anna";
        document.getElementById("call-audio").click();
    })()""")
    window.wait('!document.getElementById("incoming").hidden', "anna's rings")
    click(window, "#answer")
    other.wait('/^0:0/.test((document.querySelector(".call .state") || {}).textContent)', "the call is up")
    other.run("""(() => {
        document.querySelector(".call .transfer").click();
        document.querySelector(".call .transfer-form input").value = "carl";
        document.querySelector(".call .transfer-form button").click();
    })()""")
    target.wait_event("call.answered", timeout=20)
    other.wait('document.querySelectorAll(".call").length === 0', "ben's call is gone")
    window.wait('document.querySelectorAll(".call").length === 1', "anna talks to carl")
    click(window, ".call .hangup")
    target.wait_event("call.ended")
    browser.quit()
    bridge.stop()


@case("bridge: in front of Kamailio, by Path and by Contact", timeout=150)
def kamailio_upstream():
    pages, browser = Pages(), Chromium()
    for mode, path in (("path", True), ("contact", False)):
        registrar = Kamailio(path=path)
        bridge = edge(registrar, "--upstream-mode", mode, name=f"edge-{mode}")
        domain = f"127.0.0.1:{registrar.port}"
        page = WebPhone(browser, pages, bridge.web, "anna", registrar.password, domain=domain, hz=700,
                        answer=True).registered()
        tone = write_tone(workdir() / f"{mode}.wav", 440, 30, 8000, dbfs=LEVEL)
        account = ["--aor", f"sip:ben@{domain}", "--registrar", f"sip:{domain}", "--password-file",
                   secret(registrar.password), "--listen", "udp:127.0.0.1:0"]
        phone = Offhook("answer", "--auto", "--play", tone, "--then", "wait", *account, name=f"ben-{mode}")
        phone.wait_event("account.registered")
        call = page.call(f"sip:ben@{domain}")
        page.event("confirmed", {"index": call})
        page.hears(440)
        page.do(call, "terminate()")
        phone.wait_event("call.ended", {"by": "remote"})
        phone.ends(0)
        # And the way in: the registrar finds the browser through the bridge.
        caller = Offhook("call", "--play", tone, "--hangup-after", "3s", *account, "--timeout", "30s",
                         f"sip:anna@{domain}", name=f"ben2-{mode}")
        page.event("confirmed", {"index": call + 1})
        page.hears(440)
        caller.ends(0)
        page.event("ended", {"index": call + 1})
        page.window.run("(phone.ua.stop(), null)")
        page.event("unregistered")
        bridge.stop()
        registrar.stop()
    browser.quit()


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


@case("bridge: wss with a certificate of its own, SDES towards baresip, --status", timeout=90)
def secure():
    bridge, pages, browser = Bridge("--srtp", "required", web="wss"), Pages(), Chromium()
    certificate = bridge.wait_event("bridge.certificate")
    expect_equal(len(certificate["sha256"].split(":")), 32, "the fingerprint shown")
    peer = Baresip(name="carl", codec="pcmu", hz=660, registrar="house.test", extra="module srtp.so\n",
                   account=f';auth_pass={USERS["carl"]};outbound="sip:{bridge.udp};transport=udp";regint=60;'
                           "mediaenc=srtp-mand")
    bridge.registered("carl")
    page = web_phone(browser, pages, bridge, "anna", hz=700, answer=True)
    call = page.call("sip:carl@house.test")
    page.event("confirmed")
    page.hears(660)
    status = Offhook("wss-bridge", "--status", audio=None)
    shown = status.wait_event("bridge.status")
    status.ends(0)
    expect_equal(sorted(b["user"] for b in shown["bindings"]), ["anna", "carl"], "who is registered")
    expect_equal([c["state"] for c in shown["calls"]], ["answered"], "the calls")
    expect(shown["calls"][0]["packets_from_callee"] > 0, f"packets: {shown['calls']}")
    page.window.run("new Promise(r => setTimeout(r, 800))")
    page.do(call, "terminate()")
    peer.wait_event("CALL_CLOSED")
    expect_tone(peer.heard, 700, -13.5, 0.5)
    # The certificate may change while it runs: SIGHUP, and calls go on.
    bridge.popen.send_signal(1)
    wait_until(lambda: len(bridge.events_named("bridge.certificate")) == 2, "the certificate is read again")
    browser.quit()
    bridge.stop()


@case("bridge: video between two browsers, decoded, with key frames on request", timeout=90)
def video():
    bridge, pages, browser = Bridge(), Pages(), Chromium()
    anna = web_phone(browser, pages, bridge, "anna", hz=500, video=True, answer=True)
    ben = web_phone(browser, pages, bridge, "ben", hz=800, video=True)
    call = ben.call("sip:anna@house.test")
    ben.event("confirmed")
    for page, index in ((anna, 0), (ben, call)):
        wait_until(lambda page=page, index=index: (page.stats(index).get("video") or {}).get("decoded", 0) > 20,
                   f"{page.user} sees the other", timeout=20, step=0.2)
    stats = ben.stats(call)
    expect(stats["videoOut"]["key"] >= 1, f"key frames: {stats}")
    ben.do(call, "terminate()")
    anna.event("ended", {"index": 0})
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
