"""Calls with baresip 1.0.0: both directions, every transport and codec, with tones measured at both ends."""

from harness import (Baresip, Offhook, answerer, case, expect, expect_equal, expect_tone, make_certificate,
                     wait_until, workdir, write_tone)

OURS, THEIRS, LEVEL = 440, 660, -15.0
NAMES = {"pcmu": "PCMU/8000", "pcma": "PCMA/8000", "g722": "G722/8000", "opus": "opus/48000"}
RATES = {"pcmu": 8000, "pcma": 8000, "g722": 16000, "opus": 48000}
CALLS = [("out", "udp", "pcmu"), ("out", "tcp", "opus"), ("out", "tls", "g722"), ("out", "udp", "pcma"),
         ("in", "udp", "opus"), ("in", "tcp", "pcma"), ("in", "tls", "pcmu"), ("in", "udp", "g722")]


def check_sound(peer, recording):
    """Each heard the other's tone: baresip in its dump, we in the recording's right channel; and the left one
    holds what we sent."""
    expect_tone(peer.heard, OURS, LEVEL, 1.0)
    expect_tone(recording, THEIRS, LEVEL, 1.0, side=1)
    expect_tone(recording, OURS, LEVEL, 1.0, side=0)


def exchange_digits(phone, peer):
    """Ours are in the options of the command; theirs go now."""
    peer.command("sndcode", "45*")
    for digit in "45*":
        phone.wait_event("call.dtmf", {"digit": digit, "sent": False, "method": "rfc4733"})
    wait_until(lambda: len(peer.digits()) >= 3, "our digits arrive")
    expect_equal(peer.digits(), "12#", "digits that baresip heard")
    expect_equal("".join(e["digit"] for e in phone.events_named("call.dtmf") if not e["sent"]), "45*",
                 "digits that offhook heard")


def outgoing(transport, codec):
    certificate, ca = make_certificate()
    peer = Baresip(codec=codec, hz=THEIRS, dbfs=LEVEL, transport=transport, certificate=certificate, ca=ca)
    tone = write_tone(workdir() / "ours.wav", OURS, 6, RATES[codec], dbfs=LEVEL)
    recording = workdir() / "call.wav"
    phone = Offhook("call", "--codecs", codec, "--tls-ca", ca, "--play", tone, "--record", recording, "--dtmf", "12#",
                    "--hangup-after", "3500ms", "--timeout", "30s", peer.uri())
    answered = phone.wait_event("call.answered")
    peer.wait_event("CALL_RTPESTAB")
    exchange_digits(phone, peer)
    result = phone.ends(0)
    peer.wait_event("CALL_CLOSED")
    ended = phone.events_named("call.ended")[0]
    expect_equal(answered["codec"].lower(), NAMES[codec].lower(), "codec")
    expect_equal((ended["by"], ended["code"], ended["direction"]), ("local", 200, "outgoing"), "call.ended")
    expect(3300 <= ended["talk_ms"] <= 4500, f"talk_ms {ended['talk_ms']}")
    expect(ended["rx"]["packets"] > 120 and ended["tx"]["packets"] > 120, f"packets: {ended['rx']} {ended['tx']}")
    expect_equal(result["exit"], 0, "result")
    check_sound(peer, recording)


def incoming(transport, codec):
    certificate, ca = make_certificate()
    peer = Baresip(codec=codec, hz=THEIRS, dbfs=LEVEL, transport=transport, certificate=certificate, ca=ca)
    tone = write_tone(workdir() / "ours.wav", OURS, 6, RATES[codec], dbfs=LEVEL)
    recording = workdir() / "call.wav"
    phone, uri = answerer("--play", tone, "--record", recording, "--dtmf", "12#", "--then", "wait",
                          "--tls-certificate", certificate, "--tls-ca", ca, "--timeout", "40s", transport=transport)
    peer.dial(uri)
    peer.wait_event("CALL_ESTABLISHED")
    answered = phone.wait_event("call.answered")
    phone.wait_event("call.media", {"what": "first"})
    exchange_digits(phone, peer)
    wait_until(lambda: len(peer.digits()) == 3, "digits")
    wait_until(lambda: phone_has_talked(peer, 3.0), "three seconds of talk", 10)
    peer.hangup()
    phone.ends(0)
    ended = phone.events_named("call.ended")[0]
    expect_equal(answered["codec"].lower(), NAMES[codec].lower(), "codec")
    expect_equal((ended["by"], ended["direction"]), ("remote", "incoming"), "call.ended")
    check_sound(peer, recording)


def phone_has_talked(peer, seconds):
    """The dump of what baresip heard has grown to that length. By its size: the header says it when it is closed."""
    return peer.heard_seconds() >= seconds


for _way, _transport, _codec in CALLS:
    def _run(way=_way, transport=_transport, codec=_codec):
        (outgoing if way == "out" else incoming)(transport, codec)
    case(f"{_way} over {_transport} with {_codec}: tones and digits both ways")(_run)


@case("we hold and resume")
def local_hold():
    peer = Baresip(hz=THEIRS, dbfs=LEVEL, speaker=True)
    recording = workdir() / "call.wav"
    tone = write_tone(workdir() / "ours.wav", OURS, 10, dbfs=LEVEL)
    phone = Offhook("call", "--codecs", "pcmu", "--record", recording, "--play", tone, "--do",
                    "wait answer; wait 1s; hold; wait 1500ms; resume; wait 1500ms; hangup", "--timeout", "30s",
                    peer.uri())
    held = phone.wait_event("call.held")
    resumed = phone.wait_event("call.resumed")
    phone.ends(0)
    peer.wait_event("CALL_CLOSED")
    expect(resumed["seen"] - held["seen"] > 1.2, "the call was held for 1.5 s")
    expect_pause(recording)
    expect_tone(peer.spoken, OURS, LEVEL, 2.0)


def expect_pause(recording):
    """The right channel: tone, at least 0.8 s without, tone again."""
    from harness import Tone, read
    rate, samples = read(recording, 1)
    third = len(samples) // 4
    ends = [Tone(rate, part, THEIRS) for part in (samples[:third], samples[-third:])]
    size = rate // 50
    quiet = longest = 0
    for i in range(0, len(samples) - size, size):
        quiet = quiet + 1 if max(map(abs, samples[i:i + size])) < 0.02 else 0
        longest = max(longest, quiet)
    expect(all(t.seconds > 0.3 for t in ends), f"tone before and after the hold: {ends[0]}, {ends[1]}")
    expect(longest / 50 >= 0.8, f"silence while held: {longest / 50} s")


@case("baresip holds and resumes")
def remote_hold():
    peer = Baresip(hz=THEIRS, dbfs=LEVEL, speaker=True)
    tone = write_tone(workdir() / "ours.wav", OURS, 20, dbfs=LEVEL)
    recording = workdir() / "call.wav"
    phone = Offhook("call", "--codecs", "pcmu", "--play", tone, "--record", recording, "--then", "wait",
                    "--timeout", "30s", peer.uri())
    peer.wait_event("CALL_RTPESTAB")
    wait_until(lambda: phone_has_talked(peer, 1.0), "a second of talk")
    peer.command("hold")
    phone.wait_event("call.remote-hold", {"on": True})
    peer.command("resume")
    phone.wait_event("call.remote-hold", {"on": False})
    before = peer.spoken_seconds()
    wait_until(lambda: peer.spoken_seconds() > before + 1.5, "our sound is back after the hold")
    peer.hangup()
    phone.ends(0)
    expect_equal(phone.events_named("call.ended")[0]["by"], "remote", "by")
    expect_tone(peer.spoken, OURS, LEVEL, 2.0)
    expect_tone(recording, THEIRS, LEVEL, 1.0, side=1)


@case("baresip refuses: busy")
def busy():
    peer = Baresip(answer="manual")
    phone = Offhook("call", "--timeout", "20s", peer.uri())
    phone.wait_event("call.ringing", {"code": 180})
    peer.hangup()
    result = phone.ends(10)
    expect_equal(result["code"], 486, "code")


@case("both sides offer every codec and agree on one")
def every_codec():
    peer = Baresip(codec="g722", hz=THEIRS, dbfs=LEVEL)
    recording = workdir() / "call.wav"
    phone = Offhook("call", "--record", recording, "--hangup-after", "2s", "--timeout", "20s", peer.uri())
    expect_equal(phone.wait_event("call.answered")["codec"].lower(), "g722/8000", "codec")
    phone.ends(0)
    expect_tone(recording, THEIRS, LEVEL, 1.0, side=1)


@case("DTMF by INFO")
def dtmf_info():
    peer = Baresip(hz=THEIRS)
    phone = Offhook("call", "--codecs", "pcmu", "--dtmf-mode", "info", "--dtmf", "7*", "--hangup-after", "3s",
                    "--timeout", "20s", peer.uri())
    wait_until(lambda: peer.digits() == "7*", "digits by INFO")
    phone.ends(0)
    expect_equal({e["method"] for e in phone.events_named("call.dtmf")}, {"info"}, "method")
