"""Digits of real peers by every method, slow and as fast as they come, and the pauses of a peer that sends comfort
noise. SIPp plays captures; baresip plays a file with the tones in it."""

import array
import re
import wave

from harness import (Baresip, Sipp, answerer, case, expect, expect_equal, free_port, read, rms_db,
                     wait_until, workdir)
from rtp_pcap import RATE, Stream, dtmf

DIGITS = "0123456789*#ABCD"
TIMES = ((160, 160), (40, 40))
EVENTS = ("101", "a=rtpmap:101 telephone-event/8000")


def play(stream, *options, formats=("", "a=ptime:20"), name="play"):
    """SIPp calls, plays the stream and hangs up: what the phone told."""
    capture = stream.write(workdir() / f"{name}.pcap")
    phone, uri = answerer("--codecs", "pcmu", "--then", "wait", "--timeout", "60s", *options, name=f"callee-{name}")
    keys = {"capture": capture, "pause": int(stream.seconds * 1000 + 400), "formats": formats[0], "maps": formats[1]}
    Sipp("uac_play", re.search(r"@([^;]+)", uri)[1], keys=keys, timeout=50,
         options=lambda: ["-s", "callee", "-mp", free_port() & ~1]).succeeds()
    phone.ends(0)
    return phone


def heard(phone):
    return [(e["digit"], e["method"]) for e in phone.events_named("call.dtmf") if not e["sent"]]


def lengths(phone, tone_ms):
    """As they are told: within what frames and detectors can tell."""
    for event in phone.events_named("call.dtmf"):
        expect(abs(event["length_ms"] - tone_ms) <= 40, f"{tone_ms} ms: {event}")


@case("SIPp: digits by telephone-events, 160/160 and 40/40 ms")
def sipp_events():
    for tone_ms, gap_ms in TIMES:
        stream = Stream().audio([0.0] * RATE).events(DIGITS, tone_ms, gap_ms)
        phone = play(stream, formats=EVENTS, name=f"events-{tone_ms}")
        expect_equal(heard(phone), [(d, "rfc4733") for d in DIGITS], f"{tone_ms}/{gap_ms} ms")
        lengths(phone, tone_ms)


@case("SIPp: digits in the sound, 160/160 and 40/40 ms, with and without the choice of telephone-events")
def sipp_inband():
    for tone_ms, gap_ms in TIMES:
        stream = Stream().audio(dtmf(DIGITS, tone_ms, gap_ms))
        phone = play(stream, name=f"inband-{tone_ms}")  # it offers no events: we listen without being told
        expect_equal(heard(phone), [(d, "inband") for d in DIGITS], f"{tone_ms}/{gap_ms} ms")
        phone = play(stream, "--dtmf-mode", "inband", formats=EVENTS, name=f"told-{tone_ms}")
        expect_equal(heard(phone), [(d, "inband") for d in DIGITS], f"{tone_ms}/{gap_ms} ms, told to listen")


@case("SIPp: a digit by two methods at once counts once")
def sipp_both():
    stream = Stream().audio([0.0] * RATE)
    for digit in "147#":
        at, timestamp = stream.at_ms, stream.timestamp
        stream.audio(dtmf(digit, 160, 0, lead_ms=0)[:RATE * 160 // 1000])
        stream.at_ms, stream.timestamp = at + 5, timestamp  # the events of the same moment
        stream.events(digit, 160, 320)
    stream.packets.sort(key=lambda packet: packet[0])
    renumbered = [(at, rtp[:2] + (65500 + n & 0xFFFF).to_bytes(2, "big") + rtp[4:])
                  for n, (at, rtp) in enumerate(stream.packets)]
    stream.packets = renumbered
    phone = play(stream, "--dtmf-mode", "inband", formats=EVENTS, name="both")
    expect_equal("".join(d for d, _ in heard(phone)), "147#", "digits")


@case("baresip: digits in the sound, 160/160 and 40/40 ms")
def baresip_inband():
    for tone_ms, gap_ms in TIMES:
        sound = workdir() / f"digits-{tone_ms}.wav"
        with wave.open(str(sound), "wb") as out:
            out.setparams((1, 2, RATE, 0, "NONE", ""))
            samples = dtmf(DIGITS, tone_ms, gap_ms, lead_ms=1500) + [0.0] * RATE * 10
            out.writeframes(array.array("h", (int(32767 * v) for v in samples)).tobytes())
        peer = Baresip(f"digits{tone_ms}", sound=sound)
        phone, uri = answerer("--codecs", "pcmu", "--dtmf-mode", "inband", "--then", "wait", "--timeout", "40s",
                              name=f"callee-{tone_ms}")
        peer.dial(uri)
        wait_until(lambda: len(heard(phone)) >= len(DIGITS), "the digits", 25)
        peer.hangup()
        phone.ends(0)
        expect_equal(heard(phone), [(d, "inband") for d in DIGITS], f"{tone_ms}/{gap_ms} ms")


@case("SIPp pauses with comfort noise: noise of its level is heard, nothing is missing, and no silence is told")
def comfort_noise():
    recording = workdir() / "call.wav"
    tone = dtmf("5", 2000, 0, lead_ms=0)
    stream = Stream().audio(tone).noise(45, 5000, every_ms=2000).audio(tone)
    for attempt in range(3):  # a machine that stalls loses sound of its own
        phone = play(stream, "--record", recording, formats=("13", "a=rtpmap:13 CN/8000"), name=f"noise-{attempt}")
        ended = phone.events_named("call.ended")[0]["rx"]
        if ended["missing_percent"] < 2:
            break
    rate, samples = read(recording, 1)
    size = rate // 10
    levels = [rms_db(samples[at:at + size]) for at in range(0, len(samples) - size, size)]
    pause = [level for level in levels if -50 < level < -40]
    expect(len(pause) >= 44, f"4.4 s of noise at -45 dB: {[round(level) for level in levels]}")
    loud = [level for level in levels if level > -15]
    expect(len(loud) >= 34, f"the sound around it: {[round(level) for level in levels]}")
    expect(ended["missing_percent"] < 2 and ended["concealed_ms"] <= 300, f"nothing was lost: {ended}")
    expect(not [e for e in phone.events_named("call.media") if e["what"] == "lost"], "a pause that was told is no loss")
