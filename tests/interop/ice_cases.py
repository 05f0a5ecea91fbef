"""DTLS-SRTP and ICE: with baresip, and between two offhooks through coturn."""

import ctypes
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading

from coturn import PASSWORD, USER, Coturn
from harness import (Baresip, Failure, Offhook, Skip, answerer, case, expect, expect_equal, expect_tone, need,
                     wait_until, workdir, write_tone)

OURS, THEIRS, LEVEL = 440, 660, -15.0
GCM, CM80 = "AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80"


def tones():
    return [write_tone(workdir() / f"{hz}.wav", hz, 10, dbfs=LEVEL) for hz in (OURS, THEIRS)]


def peer_for(name, account, **options):
    return Baresip(name, hz=THEIRS, dbfs=LEVEL, account=f";regint=0;{account}",
                   extra="module srtp.so\nmodule dtls_srtp.so\nmodule ice.so\nrtcp_mux yes\n", **options)


def heard_for(peer, seconds):
    try:
        return peer.heard.stat().st_size >= seconds * 16000
    except (OSError, Failure):
        return False


def to_peer(peer, *options, srtp=None, **keywords):
    tone, recording = tones()[0], workdir() / "call.wav"
    phone = Offhook("call", "--codecs", "pcmu", *options, "--play", tone, "--record", recording, "--hangup-after",
                    "3s", "--timeout", "40s", peer.uri(), **keywords)
    phone.wait_event("call.answered")
    return checked(phone, peer, recording, srtp)


def from_peer(peer, *options, srtp=None, **keywords):
    tone, recording = tones()[0], workdir() / "call.wav"
    phone, uri = answerer(*options, "--play", tone, "--record", recording, "--then", "wait", "--timeout", "40s",
                          **keywords)
    peer.dial(uri)
    phone.wait_event("call.media", {"what": "first"})
    wait_until(lambda: heard_for(peer, 2.0), "two seconds of talk", 15)
    peer.hangup()
    return checked(phone, peer, recording, srtp)


def checked(phone, peer, recording, srtp):
    phone.ends(0)
    ended = phone.events_named("call.ended")[0]
    if srtp:
        expect(ended["srtp"] in srtp, f"srtp {ended['srtp']}")
    expect_tone(peer.heard, OURS, LEVEL, 1.0)
    expect_tone(recording, THEIRS, LEVEL, 1.0, side=1)
    return phone


@case("DTLS-SRTP: to and from baresip")
def dtls_baresip():
    peer = peer_for("dtls", "mediaenc=dtls_srtp")
    to_peer(peer, "--srtp", "dtls", srtp=(GCM, CM80))
    peer = peer_for("dtls2", "mediaenc=dtls_srtp")
    from_peer(peer, "--srtp", "dtls", srtp=(GCM, CM80))


@case("DTLS-SRTP: an offer of it is taken by --srtp required, not by off")
def dtls_policies():
    peer = peer_for("dtls", "mediaenc=dtls_srtp")
    from_peer(peer, "--srtp", "required", srtp=(GCM, CM80))
    callee, uri = answerer("--timeout", "30s", name="off")
    caller = Offhook("call", "--srtp", "dtls", "--timeout", "20s", uri, name="caller")
    caller.ends(30)
    callee.stop()
    plain = Baresip("plain", hz=THEIRS)
    Offhook("call", "--srtp", "dtls", "--timeout", "20s", plain.uri(), name="to-plain").ends(30)


def talk(caller_options, callee_options, srtp="off", seconds="2500ms", exit_code=0, env=None, **keywords):
    one, other = tones()
    here, there = workdir() / "here.wav", workdir() / "there.wav"
    callee, uri = answerer(*callee_options, "--play", other, "--record", there, "--then", "wait", "--timeout", "45s",
                           name="callee", env=env, host=keywords.get("host", "127.0.0.1"))
    caller = Offhook("call", "--codecs", "pcmu", *caller_options, "--play", one, "--record", here, "--hangup-after",
                     seconds, "--timeout", "40s", keywords.get("target", lambda u: u)(uri), name="caller", env=env)
    caller.ends(exit_code)
    if exit_code:
        return caller, callee
    callee.ends(0)
    for phone, recording, tone in ((caller, here, THEIRS), (callee, there, OURS)):
        ended = phone.events_named("call.ended")[0]
        expect_equal(ended["srtp"], srtp, f"srtp of {phone.name}")
        expect_equal(ended["rx"]["lost"], 0, f"lost by {phone.name}")
        expect_tone(recording, tone, LEVEL, 1.2, side=1)
    return caller, callee


def pairs(*phones):
    return [(e["local_rtp"], e["remote_rtp"]) for phone in phones for e in phone.events_named("call.media")
            if e["what"] == "connected"]


@case("ICE between two, in the clear, with SDES and with DTLS")
def ice_hosts():
    for policy, suite in (("off", "off"), ("required", GCM), ("dtls", GCM)):
        caller, callee = talk(("--ice", "--srtp", policy), ("--ice", "--srtp", policy), suite, "2s")
        here, there = pairs(caller)[-1], pairs(callee)[-1]
        expect_equal(here, there[::-1], "both use the same pair")
        expect(here[0].startswith("127.0.0.1:"), f"a host candidate: {here}")
    caller, _ = talk(("--ice", "--srtp", "dtls"), ("--ice", "--srtp", "dtls"), GCM, "2s", host="::1")
    expect(pairs(caller)[-1][0].startswith("[::1]:"), f"IPv6: {pairs(caller)}")


@case("ICE on one side only: plain RTP as before")
def ice_one_side():
    caller, callee = talk(("--ice",), ())
    talk(("--srtp", "dtls"), ("--ice", "--srtp", "dtls"), GCM)
    expect(not pairs(callee), "a pair without ICE")


@case("--stun without ICE: the mapped address, or a warning and the call all the same")
def stun_alone():
    server = Coturn()
    caller, _ = talk(("--stun", server.stun()), ())
    expect(not any("STUN" in e["text"] for e in caller.events_named("log")), "no warning")
    caller, _ = talk(("--stun", "stun:127.0.0.1:9"), ())
    expect(any("does not answer" in e["text"] for e in caller.events_named("log")), "a warning")


RELAY = """[account.relay]
aor = "sip:{name}@127.0.0.1"
register = false
ice = true
relay_only = true
turn = "{turn}"
turn_user = "{user}"
turn_password = "{password}"
"""


def relay_options(name, turn):
    path = workdir() / f"{name}-{len(list(workdir().glob('*.toml')))}.toml"
    path.write_text(RELAY.format(name=name, turn=re.sub(r":[^:@]*@", ":", turn), user=USER, password=PASSWORD))
    path.chmod(0o600)
    return "-c", path, "-a", "relay"


@case("ICE through a TURN relay alone: UDP, TCP and TLS", timeout=90)
def ice_relay():
    server = Coturn()
    for way, back, policy, suite in (("udp", "udp", "off", "off"), ("tcp", "tls", "dtls", GCM)):
        options = [(*relay_options(name, server.turn(w)), "--srtp", policy, "--tls-ca", server.ca)
                   for name, w in (("caller", way), ("callee", back))]
        caller, callee = talk(*options, suite, "3s")
        for local, remote in pairs(caller, callee):
            expect(local.startswith("relay 127.0.0.1:"), f"a relayed candidate: {local}")
        expect(pairs(caller) and pairs(callee), "both are connected")


@case("STUN and TURN servers: all candidates, a wrong password, a dead server")
def ice_servers():
    server = Coturn()
    options = ("--ice", "--stun", server.stun(), "--turn", server.turn())
    caller, _ = talk(options, options, env=server.env())
    expect(pairs(caller)[0][0].startswith("127.0.0.1:"), "the direct way is taken")
    caller, _ = talk(options, ("--ice", "--stun", "stun:127.0.0.1:9"), env={"OFFHOOK_TURN_PASSWORD": "wrong"})
    expect(any("refuses user and password" in e["text"] for e in caller.events_named("log")), "a warning")
    expect(all("wrong" not in text for text in (caller.stdout(), caller.stderr())), "the password is not shown")


@case("ICE with baresip, both ways", timeout=90)
def ice_baresip():
    server = Coturn()
    account = f'medianat=ice;stunserver="{server.stun()}"'
    expect(pairs(to_peer(peer_for("ice", account), "--ice")), "no pair was found")
    expect(pairs(from_peer(peer_for("ice2", account + ";mediaenc=dtls_srtp"), "--ice", "--srtp", "dtls",
                           srtp=(GCM, CM80))), "no pair was found")


class Meddler:
    """A hop that passes SIP datagrams between a caller and `uri`, and changes what they say."""

    def __init__(self, uri, change):
        self.change = change
        self.callee = ("127.0.0.1", int(re.search(r":(\d+)", uri.split("@")[1]).group(1)))
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.caller = None
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def uri(self):
        return f"sip:callee@127.0.0.1:{self.socket.getsockname()[1]}"

    def _run(self):
        while True:
            data, source = self.socket.recvfrom(65536)
            if source != self.callee:
                self.caller = source
            to = self.caller if source == self.callee else self.callee
            self.socket.sendto(self.change(data, source == self.callee), to)


@case("a wrong fingerprint is refused by whoever was lied to", timeout=90)
def wrong_fingerprint():
    def forge(of_answer):
        def change(data, is_answer):
            if is_answer != of_answer:
                return data
            return re.sub(rb"(fingerprint:sha-256 )(..)", lambda m: m[1] + (b"00" if m[2] != b"00" else b"01"), data)
        return change

    for of_answer in (False, True):
        callee, uri = answerer("--srtp", "dtls", "--timeout", "30s", "--then", "wait", name=f"callee-{of_answer}")
        caller = Offhook("call", "--srtp", "dtls", "--then", "wait", "--timeout", "30s",
                         Meddler(uri, forge(of_answer)).uri, name=f"caller-{of_answer}")
        lied_to = caller if of_answer else callee
        code = lied_to.exit_code(25)
        expect_equal(code, 30, f"exit code of {lied_to.name}")
        expect(any("certificate" in e["text"] for e in lied_to.events_named("log")), "the reason is told")
        for phone in (caller, callee):
            expect(not [e for e in phone.events_named("call.media") if e["what"] == "first"], "media was heard")
            phone.stop()


@case("keys taken out of the SDP on the way: no call, or a warned one")
def stripped():
    def strip(data, is_answer):
        head, _, body = data.partition(b"\r\n\r\n")
        if not body or is_answer:
            return data
        body = re.sub(rb"a=crypto:[^\r]*\r\n", b"", body).replace(b"RTP/SAVP", b"RTP/AVP")
        head = re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(body), head)
        return head + b"\r\n\r\n" + body

    for wanted, exit_code in (("required", 30), ("optional", 0)):
        callee, uri = answerer("--srtp", "optional", "--timeout", "30s", name=f"callee-{wanted}")
        caller = Offhook("call", "--srtp", wanted, "--hangup-after", "500ms", "--timeout", "20s",
                         Meddler(uri, strip).uri, name=f"caller-{wanted}")
        caller.ends(exit_code)
        if exit_code == 0:
            expect(any("does not encrypt" in e["text"] for e in caller.events_named("log")), "a warning")
        callee.stop()


def own_network():
    """From here on this process and its children have a network of their own, with these addresses."""
    if os.geteuid() != 0 or ctypes.CDLL(None).unshare(0x40000000) != 0:  # CLONE_NEWNET
        raise Skip("needs root, for a network namespace")
    for words in ("link set lo up", "addr add 10.9.0.1/24 dev lo", "addr add 10.9.0.2/24 dev lo",
                  "addr add fd00:9::1/64 dev lo nodad", "addr add 169.254.7.7/16 dev lo"):
        subprocess.run([need("ip"), *words.split()], check=True)


def candidates(phone):
    """Host candidates in what it sent."""
    text = (workdir() / f"{phone}.sip").read_text(errors="replace")
    return set(re.findall(r"a=candidate:\S+ 1 UDP \d+ (\S+) \d+ typ host", text))


@case("ICE: every address of the host is a candidate; the call goes on by another one when its own is gone", timeout=100)
def several_addresses():
    own_network()
    config = workdir() / "patient.toml"
    config.write_text('[media]\nrtp_timeout = "60s"\n')
    callee, uri = answerer("--config", config, "--ice", "--codecs", "pcmu", "--echo", "--timeout", "60s",
                           f"--trace={workdir()}/callee.sip", host="10.9.0.1", name="callee")
    tone = write_tone(workdir() / "tone.wav", OURS, 60, dbfs=LEVEL)
    caller = Offhook("call", "--config", config, "--ice", "--codecs", "pcmu", "--play", tone, "--record",
                     workdir() / "call.wav", "--timeout", "50s", "--then", "wait", f"--trace={workdir()}/caller.sip",
                     uri, name="caller")
    for phone in (caller, callee):
        phone.wait_event("call.media", {"what": "connected"})
        phone.wait_event("call.media", {"what": "first"})
    expect(pairs(caller)[-1][1].startswith("10.9.0.1:"), f"the best address first: {pairs(caller)}")
    for name in ("caller", "callee"):
        expect_equal(candidates(name), {"10.9.0.1", "10.9.0.2", "fd00:9::1"}, f"candidates of the {name}")
    # SIP goes on by 10.9.0.1; media may not.
    subprocess.run([need("iptables"), "-A", "INPUT", "-p", "udp", "-d", "10.9.0.1", "--dport", "16384:32767", "-j",
                    "DROP"], check=True)
    for phone in (caller, callee):
        wait_until(lambda p=phone: not pairs(p)[-1][1].startswith("10.9.0.1:"), f"{phone.name} has another way", 40)
    caller.wait_event("call.media", {"what": "resumed"}, 15)
    caller.signal(signal.SIGTERM)
    caller.ends(130)
    callee.ends(0)


def own_hosts(line):
    """From here on /etc/hosts is another one for this process and its children."""
    if os.geteuid() != 0 or ctypes.CDLL(None).unshare(0x00020000) != 0:  # CLONE_NEWNS
        raise Skip("needs root, for a mount namespace")
    hosts = workdir() / "hosts"
    hosts.write_text(pathlib.Path("/etc/hosts").read_text() + line + "\n")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)


@case("ICE: candidates by mDNS name are looked up as the system does, one without an address is left out with a warning")
def mdns_candidates():
    own_hosts("127.0.0.1 phone-of-this-test.local")
    for name, known in (("phone-of-this-test.local", True), ("nobody-of-this-test.local", False)):
        def rename(data, is_answer, name=name):
            head, _, body = data.partition(b"\r\n\r\n")
            if is_answer or b"a=candidate" not in body:
                return data
            body = re.sub(rb"127\.0\.0\.1 (\d+ typ host)", name.encode() + rb" \1", body)
            head = re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(body), head)
            return head + b"\r\n\r\n" + body

        callee, uri = answerer("--ice", "--timeout", "40s", "--then", "wait", name=f"callee-{known}")
        caller = Offhook("call", "--ice", "--then", "wait", "--timeout", "30s", Meddler(uri, rename).uri,
                         name=f"caller-{known}")
        for phone in (caller, callee):
            phone.wait_event("call.media", {"what": "first"})
        expect(pairs(callee), "a pair is found, by the peer's own checks if need be")
        if not known:
            callee.wait_event("log", {"text": lambda text: f"{name} is left out" in text}, 15)
        caller.signal(signal.SIGTERM)
        caller.ends(130)
        callee.ends(0)
        warned = [e["text"] for e in callee.events_named("log") if name in e["text"]]
        expect_equal(len(warned), 0 if known else 1, f"warnings about {name}: {warned}")
