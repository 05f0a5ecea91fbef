"""wss-bridge and those who have no business there: foreign pages, guessers of passwords, floods, open-relay attempts."""

import re
import socket
import urllib.request

from bridge import USERS, Bridge
from browser import Chromium, Pages, WebPhone
from harness import Offhook, case, expect, expect_equal, workdir
from web_client import WebClient, register, upgrade_request


def refusals(bridge):
    """By kind, as /metrics has them and --status too."""
    text = urllib.request.urlopen(bridge.http + "/metrics").read().decode()
    metrics = {kind: int(count) for kind, count in re.findall(r'^offhook_bridge_refusals_total{reason="(\w+)"} (\d+)$', text, re.M)}
    status = Offhook("wss-bridge", "--status", audio=None)
    expect_equal(status.wait_event("bridge.status")["refusals"], metrics, "--status beside /metrics")
    status.ends(0)
    return metrics


@case("bridge: strangers, guessers and foreign pages are refused", timeout=90)
def attacks():
    bridge, pages, browser = Bridge(origin="https://elsewhere.example"), Pages(), Chromium()
    page = WebPhone(browser, pages, bridge.web, "anna", USERS["anna"])
    page.event("disconnected")
    expect(not bridge.events_named("bridge.registered"), "a foreign page registered")
    told = bridge.wait_event("bridge.refused", {"kind": "origin"})
    expect_equal((told["source"], told["reason"]), ("127.0.0.1", f"a page of {pages.origin} may not connect"), "what is told")
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
    expect_equal(bridge.wait_event("bridge.refused", {"kind": "guessing"})["source"], "127.0.0.1", "who is told of")
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
    expect_equal([(e["source"], e["code"]) for e in bridge.events_named("bridge.refused") if e["kind"] == "rate"],
                 [("127.0.0.2", 503)], "the flood is told of once")
    # No open relay: neither for strangers nor for users.
    stranger = Offhook("call", "--listen", "udp:127.0.0.1:0", "--timeout", "10s", f"sip:ben@{bridge.udp}",
                       name="stranger")
    expect_equal(stranger.exit_code(20), 12, "a stranger's call")
    relay = Offhook("call", *bridge.account("ben"), "--timeout", "20s", "sip:victim@198.51.100.7", name="relay")
    expect_equal(relay.exit_code(25), 14, "a call to another domain (403 in spite of the right password)")
    browser.quit()  # the page tried again and again
    counted = refusals(bridge)
    for kind, least in (("policy", 2), ("guessing", 1), ("origin", 1), ("rate", 500)):
        expect(counted[kind] >= least, f"refusals: {counted}")
    bridge.stop()


def close_code(client, frame):
    """What the bridge says when it ends the connection that sent this; and it does end it."""
    client.socket.sendall(frame)
    got = client.buffer
    while more := client.socket.recv(4096):
        got += more
    expect_equal(got[0], 0x88, "a Close frame")
    return int.from_bytes(got[2:4], "big")


@case("bridge: handshakes and frames that break the rules end their own connection, and nobody else's")
def broken_frames():
    bridge = Bridge("--allow-native")
    address = bridge.sockets["ws"]
    client = WebClient(address)
    expect_equal(register(client, "anna", USERS["anna"]), 200, "anna's REGISTER")
    host, port = address.rsplit(":", 1)
    for header in (b"Sec-WebSocket-Protocol: sip\r\n", b"Sec-WebSocket-Version: 13\r\n"):
        with socket.create_connection((host, int(port)), 10) as link:
            link.sendall(upgrade_request(address).replace(header, b""))
            expect(link.recv(4096).startswith(b"HTTP/1.1 4"), f"an upgrade without {header}")
    masked = bytes(4)
    for what, frame, code in (("not masked", b"\x81\x04\r\n\r\n", 1002),
                              ("with a reserved bit", b"\xc1\x84" + masked + b"\r\n\r\n", 1002),
                              ("of an unknown kind", b"\x83\x84" + masked + b"\r\n\r\n", 1002),
                              ("a PING in parts", b"\x09\x80" + masked, 1002),
                              ("of 2^64-1 bytes", b"\x81\xff" + b"\xff" * 8 + masked, 1002),
                              ("of 2^63-1 bytes", b"\x81\xff\x7f" + b"\xff" * 7 + masked, 1009),
                              ("of 65,537 bytes", b"\x81\xff" + (65537).to_bytes(8, "big") + masked, 1009)):
        expect_equal(close_code(WebClient(address), frame), code, f"a frame {what}")
    expect_equal(register(client, "anna", USERS["anna"]), 200, "her next one")
    bridge.stop()
