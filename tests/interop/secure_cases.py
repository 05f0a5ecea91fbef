"""Encrypted media: SDES-SRTP with baresip and between two offhooks; what happens when somebody wants less."""

import os
import socket
import struct
import time

from harness import (Baresip, Failure, Offhook, answerer, case, expect, expect_equal, expect_tone, wait_until, workdir,
                     write_tone)

OURS, THEIRS, LEVEL = 440, 660, -15.0
GCM, CM80 = "AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80"


def secure_baresip(mode="srtp-mand", **options):
    return Baresip(hz=THEIRS, dbfs=LEVEL, extra="module srtp.so\nmodule dtls_srtp.so\nrtcp_mux yes\n",
                   account=f";regint=0;mediaenc={mode}", **options)


def check_sound(peer, recording):
    """Each heard the other's tone."""
    expect_tone(peer.heard, OURS, LEVEL, 1.0)
    expect_tone(recording, THEIRS, LEVEL, 1.0, side=1)


def heard_for(peer, seconds):
    """What baresip heard (16 bit, 8 kHz) has grown to that length."""
    try:
        return peer.heard.stat().st_size >= seconds * 16000
    except (OSError, Failure):
        return False


def log_lines(phone):
    return [e.get("text", "") for e in phone.events_named("log")]


def expect_no_keys(*phones):
    for phone in phones:
        for text in (phone.stdout(), phone.stderr()):
            expect("inline:" not in text, f"a key in the output of {phone.name}")


def to_baresip(mode, policy, suites):
    peer = secure_baresip(mode)
    tone = write_tone(workdir() / "ours.wav", OURS, 6, dbfs=LEVEL)
    recording = workdir() / "call.wav"
    phone = Offhook("call", "--codecs", "pcmu", "--srtp", policy, "--play", tone, "--record", recording, "-v",
                    "--hangup-after", "2500ms", "--timeout", "30s", peer.uri())
    phone.wait_event("call.answered")
    peer.wait_event("CALL_RTPESTAB")
    phone.ends(0)
    ended = phone.events_named("call.ended")[0]
    expect(ended["srtp"] in suites, f"srtp {ended['srtp']}")
    expect_equal(ended["rx"]["lost"], 0, "lost")
    check_sound(peer, recording)
    expect_no_keys(phone)


def from_baresip(mode, policy, suites):
    peer = secure_baresip(mode)
    tone = write_tone(workdir() / "ours.wav", OURS, 6, dbfs=LEVEL)
    recording = workdir() / "call.wav"
    phone, uri = answerer("--srtp", policy, "--play", tone, "--record", recording, "--then", "wait", "--timeout",
                          "40s")
    peer.dial(uri)
    phone.wait_event("call.media", {"what": "first"})
    wait_until(lambda: heard_for(peer, 2.0), "two seconds of talk", 10)
    peer.hangup()
    phone.ends(0)
    ended = phone.events_named("call.ended")[0]
    expect(ended["srtp"] in suites, f"srtp {ended['srtp']}")
    check_sound(peer, recording)


for _mode, _policy in (("srtp-mand", "required"), ("srtp", "optional")):
    case(f"SDES: to baresip's {_mode} with --srtp {_policy}")(
        lambda mode=_mode, policy=_policy: to_baresip(mode, policy, (GCM, CM80)))
    case(f"SDES: from baresip's {_mode} with --srtp {_policy}")(
        lambda mode=_mode, policy=_policy: from_baresip(mode, policy, (CM80, GCM)))


@case("--srtp against a peer that does not encrypt")
def plain_peer():
    peer = Baresip(hz=THEIRS)
    phone = Offhook("call", "--srtp", "optional", "--hangup-after", "1s", "--timeout", "20s", peer.uri())
    phone.ends(0)
    expect_equal(phone.events_named("call.ended")[0]["srtp"], "off", "srtp")
    expect(any("does not encrypt" in line for line in log_lines(phone)), f"a warning: {log_lines(phone)}")
    phone = Offhook("call", "--srtp", "required", "--timeout", "20s", peer.uri(), name="required")
    phone.ends(30)
    phone, uri = answerer("--srtp", "required", "--timeout", "30s", name="callee")
    before = len(peer.events)
    peer.dial(uri)
    peer.wait_event("CALL_CLOSED", after=before)
    expect(not phone.events_named("call.answered"), "a plain call was answered")
    phone.stop()


def spray(address, count=150):
    """RTP and RTCP of any SSRC and number, to a leg's socket, from the address it trusts."""
    host, port = address.rsplit(":", 1)
    forger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for n in range(count):
        for ssrc in (n, 0xFFFFFFFF - n):
            forger.sendto(struct.pack("!BBHII", 0x80, 0, n * 437 & 0xFFFF, n, ssrc) + os.urandom(170),
                          (host, int(port)))
        forger.sendto(struct.pack("!BBHI", 0x81, 203, 1, n) + os.urandom(14), (host, int(port)))
        for size in (0, 1, n % 40):
            forger.sendto(os.urandom(size), (host, int(port)))
        time.sleep(0.005)  # or the kernel's buffer overflows, and real packets go with it


@case("SDES between two; forged packets do no harm")
def forged():
    one, other = (write_tone(workdir() / f"{hz}.wav", hz, 8, dbfs=LEVEL) for hz in (OURS, THEIRS))
    here, there = workdir() / "here.wav", workdir() / "there.wav"
    callee, uri = answerer("--srtp", "required", "--play", other, "--record", there, "--then", "wait", "--timeout",
                           "40s", name="callee")
    caller = Offhook("call", "--codecs", "pcmu", "--srtp", "required", "--play", one, "--record", here, "--do",
                     "wait answer; wait 1500ms; hold; wait 300ms; resume; wait 2s; hangup", "--timeout", "30s", uri,
                     name="caller")
    for phone in (caller, callee):
        spray(phone.wait_event("call.media", {"what": "first"})["local_rtp"])
    caller.ends(0)
    callee.ends(0)
    for phone in (caller, callee):
        ended = phone.events_named("call.ended")[0]
        expect_equal(ended["srtp"], GCM, "srtp")
        expect_equal(ended["rx"]["lost"], 0, "lost")
        expect_equal(ended["rx"]["packets"] < 400, True, "only real packets count")
        warned = [e["text"] for e in phone.events_named("log") if "unencrypted signalling (udp)" in e["text"]]
        expect_equal(len(warned), 1, "the keys could be read on the way: one warning")
    for recording, heard in ((here, THEIRS), (there, OURS)):
        expect_tone(recording, heard, LEVEL, 2.0, side=1)
    expect_no_keys(caller, callee)


@case("who wants what: off, optional and required between two")
def policies():
    for caller_wants, callee_wants, exit_code, srtp in (("off", "optional", 0, "off"), ("optional", "off", 0, "off"),
                                                        ("optional", "optional", 0, GCM), ("required", "off", 30, None),
                                                        ("required", "optional", 0, GCM), ("off", "required", 30, None)):
        callee, uri = answerer("--srtp", callee_wants, "--timeout", "30s", name=f"{callee_wants}-for-{caller_wants}")
        caller = Offhook("call", "--srtp", caller_wants, "--hangup-after", "400ms", "--timeout", "20s", uri,
                         name=f"{caller_wants}-to-{callee_wants}")
        caller.ends(exit_code)
        if srtp is None:
            callee.stop()
            continue
        callee.ends(0)
        for phone in (caller, callee):
            expect_equal(phone.events_named("call.ended")[0]["srtp"], srtp, f"{caller_wants} to {callee_wants}")
