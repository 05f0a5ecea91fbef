"""wss-bridge: its certificate is replaced while it runs, seen by a real TLS client; and what it is for, wss."""

import hashlib
import socket
import ssl
import subprocess
import threading

import certificates
from bridge import USERS, Bridge, configuration, web_phone
from browser import Chromium, Pages
from harness import Baresip, Offhook, case, expect, expect_equal, expect_tone, need, wait_until, workdir


def pair(name):
    """A certificate and its key in two files, and its SHA-256 as openssl shows it."""
    both, cert = certificates.make(name)
    shown = subprocess.run(["openssl", "x509", "-in", cert, "-noout", "-fingerprint", "-sha256"], check=True,
                           capture_output=True, text=True).stdout
    return cert, both.with_suffix(".key"), shown.split("=")[1].strip()


def shown_by(bridge):
    """The SHA-256 of the certificate that a new TLS client gets."""
    hello = subprocess.run([need("openssl"), "s_client", "-connect", bridge.sockets["wss"]], input=b"",
                           capture_output=True, timeout=20)
    shown = subprocess.run(["openssl", "x509", "-noout", "-fingerprint", "-sha256"], input=hello.stdout, check=True,
                           capture_output=True)
    return shown.stdout.decode().split("=")[1].strip()


def web_socket(bridge):
    """A browser's connection, open for SIP."""
    host, port = bridge.sockets["wss"].rsplit(":", 1)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    link = context.wrap_socket(socket.create_connection((host, int(port)), 10))
    link.sendall(b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: http://127.0.0.1:1\r\n"
                 b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                 b"Sec-WebSocket-Protocol: sip\r\n\r\n")
    expect_equal(link.recv(4096).split(b"\r\n")[0], b"HTTP/1.1 101 Switching Protocols", "the upgrade")
    return link


@case("bridge: certificate and key are replaced on disk as certbot does it", timeout=90)
def certificate_reload():
    live, archive = workdir() / "live", workdir() / "archive"
    live.mkdir()
    archive.mkdir()
    made = {number: pair(f"c{number}") for number in (1, 2, 3)}

    def link(name, number):  # certbot: a new file in archive/, the link in live/ renamed over
        file = made[number][0 if name == "fullchain.pem" else 1]
        target = archive / f"{name}{number}"
        target.write_bytes(file.read_bytes())
        fresh = live / f"{name}.fresh"
        fresh.symlink_to(target)
        fresh.rename(live / name)

    for name in ("fullchain.pem", "privkey.pem"):
        link(name, 1)
    bridge = Bridge("--tls-certificate", live / "fullchain.pem", "--tls-key", live / "privkey.pem", web="wss")
    expect_equal(shown_by(bridge), made[1][2], "the first certificate")
    kept = web_socket(bridge)
    # Both at once.
    link("fullchain.pem", 2)
    link("privkey.pem", 2)
    bridge.wait_event("bridge.certificate", {"sha256": made[2][2]})
    expect_equal(shown_by(bridge), made[2][2], "the second certificate")
    # A certificate without its key: refused, once; the key follows.
    refusals = lambda: bridge.stderr().count("the old one stays")
    link("fullchain.pem", 3)
    wait_until(lambda: "does not match its key" in bridge.stderr(), "the mismatch is told")
    expect_equal(shown_by(bridge), made[2][2], "the certificate while the new one has no key")
    link("privkey.pem", 3)
    bridge.wait_event("bridge.certificate", {"sha256": made[3][2]})
    expect_equal(shown_by(bridge), made[3][2], "the third certificate")
    expect_equal(refusals(), 1, f"lines about the mismatch: {bridge.stderr()}")
    # Half-written in place, and whole later.
    whole = made[1][0].read_bytes()
    (archive / "fullchain.pem3").write_bytes(whole[:len(whole) // 2])
    wait_until(lambda: refusals() == 2, "the half-written file is told")
    expect_equal(shown_by(bridge), made[3][2], "the certificate while the new one is half-written")
    link("privkey.pem", 1)
    (archive / "fullchain.pem3").write_bytes(whole)
    wait_until(lambda: len(bridge.events_named("bridge.certificate")) == 4, "the whole file is read")
    expect_equal(shown_by(bridge), made[1][2], "the certificate after that")
    # A connection made under the first one is still there.
    kept.sendall(b"\x81\x84\0\0\0\0\r\n\r\n")  # a masked text frame; the answer is one CRLF (RFC 7118)
    expect_equal(kept.recv(4), b"\x81\x02\r\n", "over the old connection")
    kept.close()
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


@case("bridge: a certificate without its key, and one that has expired: one line each", timeout=60)
def unusable():
    one, other = pair("one"), pair("other")
    wrong = Offhook("wss-bridge", "-c", configuration(), "--listen", "wss://127.0.0.1:0", "--sip", "udp:127.0.0.1:0",
                    "--tls-certificate", one[0], "--tls-key", other[1], name="wrong", audio=None)
    wrong.ends(21)
    said = wrong.stderr().strip().splitlines()
    expect(len(said) == 1 and str(one[0]) in said[0] and "does not match its key" in said[0], f"what it says: {said}")
    expired = certificates.make_expired()
    bridge = Bridge("--tls-certificate", expired, web="wss")
    said = [line for line in bridge.stderr().splitlines() if "expired" in line]
    expect(len(said) == 1 and str(expired) in said[0], f"what it says: {bridge.stderr()}")
    bridge.stop()


@case("bridge: the certificate is replaced again and again while browsers connect, and none of them fails", timeout=90)
def replaced_under_load():
    made = [pair(f"load{number}") for number in range(3)]
    known = {shown.replace(":", "").lower() for _, _, shown in made}
    live = workdir() / "live.pem"

    def put(number):
        fresh = workdir() / "live.fresh"
        fresh.write_bytes(made[number][0].read_bytes() + made[number][1].read_bytes())
        fresh.chmod(0o600)
        fresh.rename(live)

    put(0)
    bridge = Bridge("--tls-certificate", live, web="wss")
    kept = web_socket(bridge)
    host, port = bridge.sockets["wss"].rsplit(":", 1)
    seen, failed, over = {}, [], threading.Event()

    def connect():
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        while not over.is_set():
            try:
                with context.wrap_socket(socket.create_connection((host, int(port)), 10)) as link:
                    shown = hashlib.sha256(link.getpeercert(binary_form=True)).hexdigest()
                    seen[shown] = seen.get(shown, 0) + 1
            except OSError as error:
                failed.append(str(error))

    threads = [threading.Thread(target=connect) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in (1, 2, 0, 1, 2):
        count = len(bridge.events_named("bridge.certificate"))
        put(number)
        wait_until(lambda count=count: len(bridge.events_named("bridge.certificate")) > count, "the next one is read")
        wanted = made[number][2].replace(":", "").lower()
        before = seen.get(wanted, 0)
        wait_until(lambda wanted=wanted, before=before: seen.get(wanted, 0) > before + 5, "browsers get the next one")
    over.set()
    for thread in threads:
        thread.join()
    expect_equal(failed, [], "handshakes that failed")
    expect_equal(set(seen), known, "certificates that were shown")
    kept.sendall(b"\x81\x84\0\0\0\0\r\n\r\n")
    expect_equal(kept.recv(4), b"\x81\x02\r\n", "over a connection made under the first one")
    bridge.stop()
