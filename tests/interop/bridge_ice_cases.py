"""wss-bridge: media of many browsers over one UDP port, and over TCP where UDP does not pass."""

import re
import select
import socket
import ssl
import threading
import urllib.request

from bridge import LEVEL, USERS, Bridge, answering, configuration, web_phone
from browser import Chromium, Pages, WebPhone
from harness import (Offhook, case, expect, expect_equal, expect_tone, free_port, wait_until, workdir,
                     write_tone)
from relay import TcpRelay

def metric(bridge, name):
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the bridge made its certificate itself
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    text = urllib.request.urlopen(bridge.http + "/metrics", context=anybody).read().decode()
    return int(re.search(rf"^offhook_bridge_{name} (\d+)$", text, re.M).group(1))


def candidates(page, index):
    """(transport, port) of each one that the bridge offered."""
    sdp = page.window.run(f"phone.connection({index}).remoteDescription.sdp")
    return set(re.findall(r"^a=candidate:\S+ 1 (\w+) \d+ \S+ (\d+) ", sdp, re.M))


def pair(page, index):
    """The transport of the pair in use, on both sides of it."""
    return page.window.run(f"""(async () => {{
        const reports = await phone.connection({index}).getStats();
        for (const r of reports.values()) if (r.type === "transport" && r.selectedCandidatePairId) {{
            const used = reports.get(r.selectedCandidatePairId);
            return [reports.get(used.localCandidateId).protocol, reports.get(used.remoteCandidateId).protocol];
        }}
        return null;
    }})()""")


def steer(page, pattern, into):
    """Descriptions from the bridge get `into` where they have `pattern`, a regular expression."""
    page.window.run(f"""(phone.ua.on("newRTCSession", (e) => e.session.on("sdp", (s) => {{
        if (s.originator === "remote") s.sdp = s.sdp.replace(/{pattern}/g, {into!r});
    }})), null)""")


class Nat:
    """Datagrams to `port` go on to `target` from another port; rebind() takes a new one, as a NAT does."""

    def __init__(self, target):
        self.target = ("127.0.0.1", target)
        self.near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.near.bind(("127.0.0.1", 0))
        self.port = self.near.getsockname()[1]
        self.client = None
        self.rebind()
        threading.Thread(target=self._run, daemon=True).start()

    def rebind(self):
        self.far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.far.bind(("127.0.0.1", 0))

    def _run(self):
        while True:
            far = self.far
            for ready in select.select([self.near, far], [], [], 0.05)[0]:
                data, source = ready.recvfrom(4096)
                if ready is self.near:
                    self.client = source
                    far.sendto(data, self.target)
                elif self.client and far is self.far:
                    self.near.sendto(data, self.client)


@case("bridge: browsers share one UDP port, strangers are counted, a NAT changes its mind", timeout=120)
def one_port():
    port, users = free_port(), {**USERS, "dora": "mint-58"}
    low = 20000 if port > 30000 else 50000  # ports of phones, where the other one is not
    bridge = Bridge(config=configuration(users, extra=f'ice_port = {port}\nrtp_ports = "{low}-{low + 999}"'))
    pages, browser = Pages(), Chromium()
    recording = workdir() / "carl.record.wav"
    phone = answering(bridge, "carl", "--record", recording)
    nat = Nat(port)
    anna = web_phone(browser, pages, bridge, "anna", hz=500, answer=True)
    ben = web_phone(browser, pages, bridge, "ben", hz=800)
    dora = WebPhone(browser, pages, bridge.web, "dora", users["dora"], hz=700).registered()
    steer(dora, f" {port} typ host", f" {nat.port} typ host")
    call = ben.call("sip:anna@house.test")
    ben.event("confirmed")
    other = dora.call("sip:carl@house.test")
    dora.event("confirmed")
    for page, hz in ((anna, 800), (ben, 500), (dora, 440)):
        page.hears(hz)
    expect_equal(candidates(ben, call), {("udp", str(port))}, "what ben's browser is offered")
    expect_equal(candidates(anna, 0), {("udp", str(port))}, "what anna's browser is offered")
    before = metric(bridge, "media_strangers_total")  # what browsers sent before they had proved their address
    expect(before < 50, f"{before} datagrams were dropped")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for _ in range(100):
            stranger.sendto(bytes([0x80]) + bytes(171), ("127.0.0.1", port))
        wait_until(lambda: metric(bridge, "media_strangers_total") >= before + 100, "they are counted")
    told = bridge.wait_event("bridge.refused", {"kind": "media_udp"})
    expect(told["times"] >= 50 and told["reason"] == "nobody's media", f"what is told: {told}")
    expect_equal(len([e for e in bridge.events_named("bridge.refused") if e["kind"] == "media_udp"]), 1,
                 "times that it was told; what browsers send before they have proved their address was not")
    # The browser is behind another port from one moment to the next; its next check says so.
    nat.rebind()
    received = dora.stats(other)["audio"]["received"]
    wait_until(lambda: dora.stats(other)["audio"]["received"] > received + 50, "sound goes on", 15, 0.2)
    dora.hears(440)
    dora.window.run("new Promise(r => setTimeout(r, 1200))")
    dora.do(other, "terminate()")
    phone.ends(0)
    expect_tone(recording, 700, -13.5, 1.0, side=1)
    for page, hz in ((anna, 800), (ben, 500)):
        page.hears(hz)
    ben.do(call, "terminate()")
    anna.event("ended")
    browser.quit()
    bridge.stop()


@case("bridge: an ice_port that cannot be had, or makes no sense, ends it with one line", timeout=60)
def port_taken():
    def ends(code, *lines):
        config = configuration(extra="\n".join(lines), name="wrong")
        bridge = Offhook("wss-bridge", "-c", config, "--listen", "ws://127.0.0.1:0", "--sip", "udp:127.0.0.1:0",
                         name="wrong", audio=None)
        expect_equal(bridge.exit_code(20), code, f"the exit code with {lines}")
        return bridge.stderr()

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        low = 20000 if port > 30000 else 50000
        said = ends(20, f"ice_port = {port}", f'rtp_ports = "{low}-{low + 999}"')
        expect(f"UDP port {port}" in said and "in use" in said, said)
    expect("among the ports of phones" in ends(2, "ice_port = 30500", 'rtp_ports = "30000-30999"'), "overlap")
    expect("rtpengine" in ends(2, "ice_tcp = true", 'media = "rtpengine:127.0.0.1:2223"'), "with rtpengine")


@case("bridge: no UDP for the browser: sound both ways by TCP on the wss port, also when the connection breaks",
      timeout=120)
def tcp():
    bridge = Bridge("--ice-tcp", web="wss")
    pages, browser = Pages(), Chromium()
    recording = workdir() / "ben.record.wav"
    phone = answering(bridge, "ben", "--record", recording)
    between = TcpRelay(int(bridge.sockets["wss"].rsplit(":", 1)[1]))
    page = web_phone(browser, pages, bridge, "anna", hz=700, answer=True)
    steer(page, "a=candidate:\\S+ 1 udp .*\\r\\n", "")  # the bridge itself checks nothing, so no UDP is left
    call = page.call("sip:ben@house.test")
    page.event("confirmed")
    page.hears(440)
    expect_equal(candidates(page, call), {("tcp", bridge.sockets["wss"].rsplit(":", 1)[1])}, "what is offered")
    expect_equal(pair(page, call), ["tcp", "tcp"], "the pair in use")
    page.window.run("new Promise(r => setTimeout(r, 1200))")
    expect_equal(page.stats(call)["audio"]["lost"], 0, "packets lost towards the browser")
    page.do(call, "terminate()")
    phone.ends(0)
    expect_tone(recording, 700, -13.5, 1.0, side=1)
    # The page is called, and its connection breaks in the middle: the call goes on by a new one.
    port = bridge.sockets["wss"].rsplit(":", 1)[1]
    steer(page, f" {port} typ host tcptype", f" {between.port} typ host tcptype")
    tone = write_tone(workdir() / "carl.wav", 440, 60, 8000, dbfs=LEVEL)
    caller = Offhook("call", "--play", tone, "--then", "wait", *bridge.account("carl"), "--timeout", "60s",
                     "sip:anna@house.test", name="carl")
    caller.wait_event("call.answered", timeout=20)
    page.event("confirmed", {"index": call + 1})
    page.hears(440)
    before = between.accepted
    expect(before >= 1, "the media goes through the relay")
    between.drop()
    wait_until(lambda: between.accepted > before, "the browser connects again", 15)
    received = page.stats(call + 1)["audio"]["received"]
    wait_until(lambda: page.stats(call + 1)["audio"]["received"] > received + 50, "sound is back", 15, 0.2)
    page.hears(440)
    page.do(call + 1, "terminate()")
    caller.wait_event("call.ended", {"by": "remote"})
    expect(metric(bridge, "media_tcp_total") >= 3, "connections for media are counted")
    browser.quit()
    bridge.stop()


@case("bridge: whoever comes by TCP without a leg's password is shown the door, and UDP stays the first choice",
      timeout=90)
def tcp_strangers():
    bridge = Bridge(config=configuration(extra="ice_tcp = true"))
    pages, browser = Pages(), Chromium()
    answering(bridge, "ben")
    page = web_phone(browser, pages, bridge, "anna", hz=700)
    call = page.call("sip:ben@house.test")
    page.event("confirmed")
    page.hears(440)
    host, port = bridge.sockets["ws"].rsplit(":", 1)
    offered = candidates(page, call)
    expect(("tcp", port) in offered and len(offered) == 2, f"candidates: {offered}")
    expect_equal(pair(page, call), ["udp", "udp"], "the pair in use")
    # The ufrag is no secret of its own: without the password it opens nothing.
    ufrag = page.window.run(f"phone.connection({call}).remoteDescription.sdp.match(/ice-ufrag:(.*)/)[1].trim()")
    user = (ufrag + ":x").encode()
    attribute = b"\x00\x06" + len(user).to_bytes(2, "big") + user + bytes(-len(user) % 4)
    attribute += b"\x00\x08\x00\x14" + bytes(20)
    check = b"\x00\x01" + len(attribute).to_bytes(2, "big") + b"\x21\x12\xa4\x42" + bytes(12) + attribute
    for first in (len(check).to_bytes(2, "big") + check, b"\x00\x05hello", b"\x01\xff" + bytes(511)):
        with socket.create_connection((host, int(port)), timeout=10) as stranger:
            stranger.sendall(first)
            expect_equal(stranger.recv(100), b"", "what a stranger gets")
    expect_equal(metric(bridge, "media_tcp_refused_total"), 3, "strangers refused")
    expect_equal(bridge.wait_event("bridge.refused", {"kind": "media_tcp"})["source"], "127.0.0.1", "who is told of")
    page.hears(440)
    browser.quit()
    bridge.stop()


def reached(page, index):
    """The address of the bridge in the pair that is used."""
    return page.window.run(f"""(async () => {{
        const reports = await phone.connection({index}).getStats();
        for (const r of reports.values()) if (r.type === "transport" && r.selectedCandidatePairId && r.dtlsState === "connected")
            return reports.get(reports.get(r.selectedCandidatePairId).remoteCandidateId).address;
        return null;
    }})()""")


@case("bridge: a browser reaches a leg by the public address, by a local one and by IPv6", timeout=120)
def addresses():
    bridge, pages, browser = Bridge("--listen", "ws://[::1]:0", "--public-address", "127.0.0.9"), Pages(), Chromium()
    answering(bridge, "ben", "--count", "3")
    for address in ("127.0.0.9", "127.0.0.1", "::1"):
        page = web_phone(browser, pages, bridge, "anna", hz=700)
        steer(page, f"a=candidate:(?!.* {address} ).*\\r\\n", "")
        call = page.call("sip:ben@house.test")
        page.event("confirmed", {"index": call})
        page.hears(440)
        expect_equal(wait_until(lambda: reached(page, call), "the pair"), address, "the address that is used")
        page.do(call, "terminate()")
        page.event("ended", {"index": call})
    bridge.stop()
    # Nothing comes back from a public address that no NAT here turns around: the local one does.
    bridge = Bridge("--public-address", "203.0.113.9", name="hairpin")
    answering(bridge, "ben")
    page = web_phone(browser, pages, bridge, "anna", hz=700)
    call = page.call("sip:ben@house.test")
    page.event("confirmed", {"index": call})
    wait_until(lambda: bridge.events_named("bridge.media"), "media is up")
    sdp = page.window.run(f"phone.connection({call}).remoteDescription.sdp")
    expect(re.search(r"^a=candidate:\S+ 1 udp 2130706431 203\.0\.113\.9 ", sdp, re.M), f"the public address first: {sdp}")
    used = reached(page, call)
    expect(used != "203.0.113.9" and f" {used} " in sdp, f"the address that is used: {used}")
    browser.quit()
    bridge.stop()
