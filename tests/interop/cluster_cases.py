"""Two bridges with one key in front of Kamailio: a browser moves from one to the other in a call."""

import re
import socket

import certificates
from bridge import LEVEL, edge, secret
from bridge_wire import JSSIP_ALLOW, invite_from, registered
from browser import Chromium, Pages, WebPhone
from harness import (Kamailio, Offhook, case, expect, expect_equal, expect_tone, free_port, wait_until, workdir,
                     write_tone)
from raw_sip import RawBrowser, RawPhone, plain_sdp, uri_of, web_sdp
from relay import TcpRelay
from rtpengine import Rtpengine


def pair(registrar, *args, between="tcp", mode="path"):
    """The two bridges of offhook-wss-bridge(1), "Two bridges in front of one registrar", on the loopback; `between`
    is the transport that they speak with each other."""
    ports = [free_port(), free_port()]
    peers = ", ".join(f'"{between}:127.0.0.1:{port}"' for port in ports)
    bridges = [edge(registrar, "--upstream-mode", mode, "--sip", f"{between}:127.0.0.1:{port}",
                    f"--trace={workdir() / f'edge{port}.trace'}", *args, name=f"edge{port}",
                    extra=f'cluster_key = "one secret for both"\ncluster_peers = [{peers}]\n') for port in ports]
    for bridge, port in zip(bridges, ports):
        bridge.peer, bridge.trace = f"127.0.0.1:{port}", workdir() / f"edge{port}.trace"
    return bridges


def stolen_bye(page, call, via):
    """The BYE that the page would send, by somebody who knows all about its dialog."""
    dialog = page.window.run(f"""(() => {{
        const dialog = phone.sessions[{call}]._dialog;
        return {{call_id: dialog._id.call_id, local: dialog._id.local_tag, remote: dialog._id.remote_tag,
                 target: String(dialog._remote_target), routes: dialog._route_set.map(String)}};
    }})()""")
    routes = "".join(f"Route: {route}\r\n" for route in dialog["routes"])
    return (f"BYE {dialog['target']} SIP/2.0\r\nVia: SIP/2.0/{via};branch=z9hG4bKstolen{len(via)}\r\n{routes}"
            f"From: <sip:anna@x>;tag={dialog['local']}\r\nTo: <sip:ben@x>;tag={dialog['remote']}\r\n"
            f"Call-ID: {dialog['call_id']}\r\nCSeq: 9000 BYE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n")


def strangers(page, call, other, bridges):
    """Neither another user of the second bridge nor a host that is no peer may speak for the page."""
    text = stolen_bye(page, call, "WS stranger.invalid")
    answer = other.window.run(f"""new Promise((done) => {{
        phone.socket._ws.addEventListener("message", (event) => done(event.data));
        phone.socket._ws.send({text!r});
    }})""")
    expect(answer.startswith("SIP/2.0 481 "), f"another user's BYE: {answer[:60]}")
    for bridge in bridges:
        host, port = bridge.udp.rsplit(":", 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.2", 0))
            stranger.settimeout(5)
            here = f"UDP 127.0.0.2:{stranger.getsockname()[1]};rport"
            stranger.sendto(stolen_bye(page, call, here).encode(), (host, int(port)))
            answer = stranger.recv(4096).decode()
        expect(answer.startswith("SIP/2.0 481 "), f"a stranger's BYE: {answer[:60]}")


def moves(registrar, browser, pages, bridges, name, called=False):
    """A page calls (or is called) through the first bridge, loses it and goes on by the second."""
    first, second = bridges
    domain = f"127.0.0.1:{registrar.port}"
    account = ["--aor", f"sip:ben@{domain}", "--registrar", f"sip:{domain}", "--password-file",
               secret(registrar.password), "--listen", "udp:127.0.0.1:0"]
    tone, recording = write_tone(workdir() / "tone.wav", 440, 60, 8000, dbfs=LEVEL), workdir() / f"{name}.wav"
    steps = "wait dtmf 1 20s; hold; wait dtmf 2 20s; resume; wait dtmf 3 30s; hangup"
    cut = TcpRelay(int(first.web.split(":")[2].split("/")[0]))
    page = WebPhone(browser, pages, f"ws://127.0.0.1:{cut.port}/ws", "anna", registrar.password, domain=domain,
                    hz=700, answer=True, spare=[second.web]).registered()
    first.wait_event("bridge.registered", {"user": "anna"})
    talk = ["--play", tone, "--record", recording, *account]
    if called:
        phone = Offhook("call", *talk, "--do", f"wait answer; {steps}", f"sip:anna@{domain}", name=f"ben-{name}")
        call = 0
    else:
        phone = Offhook("answer", "--auto", *talk, "--do", steps, name=f"ben-{name}")
        phone.wait_event("account.registered")
        call = page.call(f"sip:ben@{domain}")
    page.event("confirmed", {"index": call})
    page.hears(440)

    # The first is out of reach. The phone's re-INVITE finds the page by the second, which is asked for it.
    cut.drop()
    cut.close()
    first.wait_event("bridge.disconnected", {"user": "anna"})
    page.do(call, 'sendDTMF("1", {transportType: "RFC2833"})')
    page.event("hold", {"originator": "remote"})
    second.wait_event("bridge.registered", {"user": "anna"})

    # What the page sends inside the call finds the first.
    page.do(call, 'sendDTMF("2", {transportType: "INFO"})')
    page.event("unhold", {"originator": "remote"})
    page.hears(440)
    page.hold(call)
    phone.wait_event("call.remote-hold")
    page.resume(call)
    page.event("unhold", {"originator": "local"})
    page.hears(440)
    other = WebPhone(browser, pages, second.web, "carl", registrar.password, domain=domain).registered()
    strangers(page, call, other, bridges)
    received = page.stats(call)["audio"]["received"]
    wait_until(lambda: page.stats(call)["audio"]["received"] > received + 50, "the sound goes on", step=0.2)
    page.do(call, 'sendDTMF("3", {transportType: "RFC2833"})')
    page.event("ended", {"index": call, "originator": "remote"})
    phone.ends(0)
    expect_tone(recording, 700, -13.5, 1.0, side=1)
    first.wait_event("bridge.ended", {"reason": f"the {'caller' if called else 'callee'} hung up"})
    expect(not second.events_named("bridge.call"), "the second bridge has no call of its own")

    # The first is gone altogether. A new call comes by the second alone; its end is the page's.
    first.popen.kill()
    caller = Offhook("call", "--play", tone, *account, "--timeout", "30s", f"sip:anna@{domain}", name=f"ben2-{name}")
    page.event("confirmed", {"index": call + 1})
    page.hears(440)
    page.do(call + 1, "terminate()")
    caller.ends(0)
    second.wait_event("bridge.ended")
    page.window.run("(phone.ua.stop(), null)")
    page.event("unregistered")


@case("bridge: a page moves to another bridge of the cluster in a call, media in the bridge and on rtpengine",
      timeout=120)
def cluster():
    registrar, pages, browser = Kamailio(path=True), Pages(), Chromium()
    bridges = pair(registrar)
    moves(registrar, browser, pages, bridges, "anchored")
    bridges[1].stop()
    engine = Rtpengine()
    bridges = pair(registrar, "--media", f"rtpengine:{engine.address}")
    moves(registrar, browser, pages, bridges, "rtpengine", called=True)
    bridges[1].stop()
    engine.stop()
    registrar.stop()
    browser.quit()


@case("bridge: the cluster by UDP and by TLS between the bridges, and in front of a registrar without Path",
      timeout=300)
def other_clusters():
    pages, browser = Pages(), Chromium()
    certificate, trusted = certificates.make("edges")
    tls = ["--tls-certificate", certificate, "--tls-ca", trusted]
    for name, how, more, called in (("udp", {"between": "udp"}, [], False), ("tls", {"between": "tls"}, tls, True),
                                    ("contact", {"mode": "contact"}, [], True)):
        registrar = Kamailio(path="mode" not in how)
        bridges = pair(registrar, *more, **how)
        moves(registrar, browser, pages, bridges, name, called=called)
        bridges[1].stop()
        registrar.stop()
    browser.quit()


@case("bridge: the cluster on the wire: via-edge tells where a browser is, both ways, and neither end sees it", timeout=90)
def via_edge():
    registrar = Kamailio(path=True)
    first, second = pair(registrar, "--allow-native")
    domain = registrar.realm
    ben = RawPhone(f"127.0.0.1:{registrar.port}", "ben", registrar.password, domain)
    anna = registered(RawBrowser(first.sockets["ws"], "anna", registrar.password, domain))
    registered(ben)
    sent, invite = invite_from(anna, ben, f"sip:ben@{domain}", [JSSIP_ALLOW], web_sdp())
    ben.reply(invite, 200, "OK", body=plain_sdp(), tag="ben")
    ok = anna.wait(200, "200")
    ours, theirs = anna.dialog_of_caller(sent, ok), ben.dialog_of_callee(invite, "ben")
    anna.within(ours, "ACK", number=ours.number)
    ben.wait("ACK", "ACK")
    # The same browser at the other bridge.
    anna.close()
    first.wait_event("bridge.disconnected", {"user": "anna"})
    moved = RawBrowser(second.sockets["ws"], "anna", registrar.password, domain, host=anna.host)
    moved.contact = anna.contact
    registered(moved)
    moved.within(ours, "INFO", more=[("Content-Type", "text/plain")], body="from anna")
    info = ben.wait("INFO", "INFO")
    expect("via-edge" not in repr(info), f"what the phone sees: {info}")
    ben.reply(info, 200, contact=False)
    expect_equal(moved.wait(200, "answer").get("cseq").split()[1], "INFO", "the answer")
    # The phone's own finds it there.
    ben.within(theirs, "INFO", more=[("Content-Type", "text/plain")], body="from ben")
    info = moved.wait("INFO", "INFO")
    expect_equal((info.uri, info.body, "via-edge" in repr(info)), (moved.contact, "from ben", False), "for the browser")
    moved.reply(info, 200, contact=False)
    ben.wait(200, "answer")
    moved.within(ours, "BYE")
    ben.reply(ben.wait("BYE", "BYE"), 200, contact=False)
    moved.wait(200, "answer to BYE")
    for bridge in (first, second):
        bridge.stop()
    # Between the bridges: towards the first one it is a parameter of the Route, and its URI the Route back.
    way = re.compile(r'^Route: <sip:%s;transport=tcp;lr>;via-edge="sip:([\w-]{39})@%s;transport=tcp"' %
                     (re.escape(first.peer), re.escape(second.peer)), re.M)
    sent, received = (way.findall(bridge.trace.read_text()) for bridge in (second, first))
    expect_equal((len(sent), sent), (2, received), "INFO and BYE of the browser, from bridge to bridge")
    back = f"Route: <sip:{sent[0]}@{second.peer};transport=tcp;lr>"
    for bridge in (first, second):
        expect_equal(bridge.trace.read_text().count(back), 1, f"INFO of the phone, by {back}")
    registrar.stop()


@case("bridge: who moves to another bridge takes back the Contact of the first one, where the registrar knows no Path",
      timeout=60)
def takes_back():
    registrar = Kamailio()
    first, second = pair(registrar, "--allow-native", mode="contact")
    domain = registrar.realm
    asking = RawPhone(f"127.0.0.1:{registrar.port}", "anna", registrar.password, domain)

    def bindings():
        listed = asking.ask("REGISTER", f"sip:{domain}", f"<{asking.aor}>", [("Contact", None)], until=200)[1]
        return sorted(uri_of(contact).split("@")[1].split(";")[0] for contact in listed.elements("contact"))

    anna = registered(RawBrowser(first.sockets["ws"], "anna", registrar.password, domain))
    expect_equal(len(bindings()), 1, "bindings")
    anna.close()
    first.wait_event("bridge.disconnected", {"user": "anna"})
    moved = RawBrowser(second.sockets["ws"], "anna", registrar.password, domain, host=anna.host)
    moved.contact = anna.contact
    answer = moved.register()
    expect_equal([uri_of(contact) for contact in answer.elements("contact")], [moved.contact], "what it is told")
    soon = int(re.search(r";expires=(\d+)", answer.get("contact"))[1])
    expect(soon <= 20, f"it comes back soon: {answer.get('contact')}")
    expect_equal(len(bindings()), 2, "the first bridge's is still there")
    answer = moved.register()
    expect(int(re.search(r";expires=(\d+)", answer.get("contact"))[1]) > 500, answer.get("contact"))
    now = bindings()
    expect_equal(len(now), 1, "bindings")
    # The same at one bridge: by another connection.
    moved.close()
    second.wait_event("bridge.disconnected", {"user": "anna"})
    again = RawBrowser(second.sockets["ws"], "anna", registrar.password, domain, host=anna.host)
    again.contact = anna.contact
    again.register()
    again.register()
    expect_equal(bindings(), now, "bindings")
    for bridge in (first, second):
        bridge.stop()
    registrar.stop()
