"""wss-bridge: its certificate is replaced while it runs, seen by a real TLS client."""

import socket
import ssl
import subprocess

import certificates
from bridge import Bridge
from harness import case, expect_equal, need, wait_until, workdir


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
