"""ICE in a call whose way ends: consent (RFC 7675), and the restart that finds another one (RFC 8445 §9)."""

import time

from harness import (Offhook, Tone, answerer, case, expect, expect_equal, read, wait_until, workdir, write_tone)
from impaired import Impaired

OURS, THEIRS, LEVEL = 440, 660, -15.0


def call_with_ice(*options, recordings=()):
    """Both ends and the network between them, media flowing both ways."""
    config = workdir() / "patient.toml"
    config.write_text('[media]\nrtp_timeout = "90s"\n')  # consent alone is to end it
    one, other = (write_tone(workdir() / f"{hz}.wav", hz, 60, dbfs=LEVEL) for hz in (OURS, THEIRS))
    record = [("--record", path) for path in recordings] or [(), ()]
    callee, uri = answerer("--config", config, "--ice", "--codecs", "pcmu", "--play", other, "--then", "wait",
                           "--timeout", "100s", *record[1], *options, name="callee")
    network = Impaired(uri)
    caller = Offhook("call", "--config", config, "--ice", "--codecs", "pcmu", "--play", one, "--then", "wait",
                     "--timeout", "90s", *record[0], *options, network.uri, name="caller")
    for phone in (caller, callee):
        phone.wait_event("call.media", {"what": "connected"})
        phone.wait_event("call.media", {"what": "first"})
    return caller, callee, network


@case("the way ends for good: after 30 s at the latest the call is ended for want of consent, exit 30", timeout=100)
def consent_lost():
    caller, callee, network = call_with_ice("--srtp", "dtls")
    network.tell("block")
    blocked = time.monotonic()

    def gave_up():
        return next((p for p in (caller, callee) for e in p.events_named("call.ended") if e["by"] != "remote"), None)

    first = wait_until(gave_up, "one of them ends the call", 60)
    ended = first.events_named("call.ended")[0]
    # Consent was given up to 6 s before; a busy machine is late.
    expect(20 < ended["seen"] - blocked < 38, f"ended after {ended['seen'] - blocked:.1f} s")
    expect(caller.events_named("log")[0]["text"].endswith("looking for another way"), "a restart was tried")
    expect(any("ICE: " in e["text"] for e in first.events_named("log")), "the reason is told")
    first.ends(30)
    other = callee if first is caller else caller
    other.ends(30)
    told = other.events_named("call.ended")[0]
    if told["by"] == "remote":
        expect("cause=488" in told["reason_header"], "the other end is told why")


def connections(phone):
    return [e["remote_rtp"] for e in phone.events_named("call.media") if e["what"] == "connected"]


@case("the way becomes another one: ICE restarts by itself, and the sound is back", timeout=100)
def restart():
    paths = [workdir() / f"{name}.wav" for name in ("caller", "callee")]
    caller, callee, network = call_with_ice(recordings=paths)
    before = connections(caller)[-1]
    network.tell("cut")
    cut = time.monotonic()
    for phone in (caller, callee):
        wait_until(lambda p=phone: connections(p)[-1] != connections(p)[0], f"{phone.name} has another way", 30)
    found = time.monotonic() - cut
    expect(found < 20, f"another way after {found:.1f} s")
    expect(connections(caller)[-1] != before, "a new pair")
    resumed = [phone.wait_event("call.media", {"what": "resumed"}, 10) for phone in (caller, callee)]
    expect(resumed, "sound after the gap")
    time.sleep(2)  # of sound to be measured
    caller.signal(15)
    caller.ends(130)
    callee.ends(0)
    for path, hz in zip(paths, (THEIRS, OURS)):
        rate, samples = read(path, 1)
        tail = Tone(rate, samples[-int(1.5 * rate):], hz)
        expect(tail.seconds > 1.0, f"{path}: at its end {tail}")
