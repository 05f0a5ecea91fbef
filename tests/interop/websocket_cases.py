"""SIP over WebSocket (RFC 7118): Kamailio as server, offhook as server, and servers that are none."""

import base64
import hashlib
import socket
import threading

from harness import (Kamailio, Offhook, bound_port, case, expect, expect_equal, expect_tone, make_certificate, workdir,
                     write_tone)


def account(registrar, user, transport, ca=None, password="secret"):
    """Arguments and environment of `user`'s account over ws or wss, by the URL of its server."""
    port = registrar.tls_port if transport == "wss" else registrar.port
    trust = ["--tls-ca", ca] if ca else []
    return (["--aor", f"sip:{user}@127.0.0.1:{registrar.port}", "--proxy", f"{transport}://127.0.0.1:{port}/ws", *trust],
            {"OFFHOOK_PASSWORD": password})


def register(registrar, user, transport, *args, ca=None, password="secret"):
    options, env = account(registrar, user, transport, ca, password)
    return Offhook("register", "--timeout", "30s", *options, *args, env=env, audio=None)


class HttpServer:
    """Answers every request with `answer` (a function of the request's head), then keeps quiet."""

    def __init__(self, answer):
        self.answer = answer
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.heads, self.open = [], []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                peer, _ = self.listening.accept()
            except OSError:
                return
            self.open.append(peer)
            head = b""
            while b"\r\n\r\n" not in head:
                part = peer.recv(4096)
                if not part:
                    break
                head += part
            self.heads.append(head.decode())
            peer.sendall(self.answer(head.decode()))

    def close(self):
        for one in [self.listening, *self.open]:
            one.close()


def consent(head, protocol=""):
    key = [line.split(": ")[1] for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key")][0]
    accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
    return ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n{protocol}\r\n").encode()


@case("register over WS and WSS at Kamailio, the server verified, and wrong paths and passwords told apart")
def register_both():
    certificate, ca = make_certificate()
    registrar = Kamailio(certificate=certificate, websocket=True)
    for transport in ("ws", "wss"):
        phone = register(registrar, "alice", transport, "--once", ca=ca)
        phone.ends(0)
        registered = phone.events_named("account.registered")
        expect_equal((len(registered), registered[0]["transport"]), (1, transport), "account.registered")
        expect(".invalid;transport=ws" in registered[0]["contact"], f"Contact: {registered[0]['contact']}")
    expect_equal(registrar.seen("UPGRADE"), 2, "WebSockets")
    stranger = register(registrar, "alice", "wss", "--once")
    stranger.ends(21)
    register(registrar, "alice", "wss", "--once", "--tls-insecure").ends(0)
    wrong = register(registrar, "alice", "ws", "--once", password="n0t-the-0ne")
    wrong.ends(14)
    elsewhere = Offhook("register", "--once", "--timeout", "20s", "--aor", f"sip:alice@127.0.0.1:{registrar.port}",
                        "--proxy", f"ws://127.0.0.1:{registrar.port}/elsewhere", audio=None)
    elsewhere.ends(20)
    reason = elsewhere.events_named("account.failed")[0]["reason"]
    expect("refused the WebSocket: HTTP 404 Not Found" in reason, reason)


@case("a call between a phone on WSS and one on UDP through Kamailio, each way, heard and ended by either side")
def call_through():
    certificate, ca = make_certificate()
    registrar = Kamailio(certificate=certificate, websocket=True)
    tone_bob = write_tone(workdir() / "bob.wav", 660, 6, dbfs=-15)
    for caller, callee in (("wss", "udp"), ("udp", "ws")):
        def options(user, transport):
            if transport == "udp":
                return ["--aor", f"sip:{user}@127.0.0.1:{registrar.port}", "--transport", "udp"], {
                    "OFFHOOK_PASSWORD": "secret"}
            return account(registrar, user, transport, ca)
        theirs, env = options(f"bob-{callee}", callee)
        bob = Offhook("answer", "--auto", "--play", tone_bob, "--then", "wait", "--timeout", "40s", *theirs, env=env,
                      name=f"bob-{callee}")
        bob.wait_event("account.registered")
        recording = workdir() / f"{caller}.wav"
        ours, env = options(f"alice-{caller}", caller)
        alice = Offhook("call", "--codecs", "pcma", "--record", recording, "--hangup-after", "2s", "--timeout", "30s",
                        *ours, f"sip:bob-{callee}@127.0.0.1:{registrar.port}", env=env, name=f"alice-{caller}")
        expect_equal(alice.ends(0).get("code"), 200, "code")
        bob.ends(0)
        expect_equal(bob.events_named("call.ended")[0]["by"], "remote", "who ended it at bob's")
        expect_tone(recording, 660, -15, 1.0, side=1)


@case("offhook calls offhook over WS, WSS and DTLS without a server between, and the callee hangs up")
def peer_to_peer():
    certificate, ca = make_certificate()
    for transport in ("ws", "wss", "dtls"):
        bob = Offhook("answer", "--auto", "--hangup-after", "500ms", "--timeout", "30s", "--listen",
                      f"{transport}:127.0.0.1:0", "--tls-certificate", certificate, name=f"bob-{transport}")
        port = bound_port(bob, "udp" if transport == "dtls" else "tcp")
        alice = Offhook("call", "--then", "wait", "--timeout", "20s", "--tls-ca", ca,
                        f"sip:bob@127.0.0.1:{port};transport={transport}", name=f"alice-{transport}")
        expect_equal(alice.ends(0).get("code"), 200, "code")
        expect_equal(alice.events_named("call.ended")[0]["by"], "remote", "who ended it")
        bob.ends(0)


@case("servers that speak no WebSocket, or WebSocket but no SIP: one clear line, exit 20")
def no_sip_there():
    cases = [
        (consent, "does not speak SIP (no subprotocol \"sip\" in its answer)"),
        (lambda head: consent(head, "Sec-WebSocket-Protocol: mqtt\r\n"), "does not speak SIP"),
        (lambda head: b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "refused the WebSocket: HTTP 200 OK"),
        (lambda head: b"220 mail.example.com ESMTP\r\n\r\n", "does not speak WebSocket"),
        (lambda head: consent(head, "Sec-WebSocket-Protocol: sip\r\n") + b"\x81\x85junk!junk!", "a masked frame"),
        (lambda head: consent(head, "Sec-WebSocket-Protocol: sip\r\n") + b"\x88\x09\x03\xf0go away", "(1008 go away)"),
    ]
    for answer, words in cases:
        server = HttpServer(answer)
        phone = Offhook("call", "--timeout", "20s", f"sip:bob@127.0.0.1:{server.port};transport=ws")
        result = phone.ends(20)
        expect(words in result["reason"], f"{words!r} in {result['reason']!r}")
        expect("Sec-WebSocket-Protocol: sip\r\n" in server.heads[0], server.heads[0])
        server.close()
    server = HttpServer(consent)
    shown = Offhook("call", "--timeout", "20s", f"sip:bob@127.0.0.1:{server.port};transport=ws", raw=True)
    expect_equal(shown.exit_code(), 20, "exit code")
    lines = [line for line in shown.stderr().splitlines() if "does not speak SIP" in line]
    expect_equal(len(lines), 1, f"lines about it in {shown.stderr()!r}")
    server.close()
