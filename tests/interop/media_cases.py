"""The sound of a call when something is wrong with it: nothing arrives, the card goes and comes back."""

import pathlib

from harness import (Offhook, Sipp, answerer, case, expect, expect_equal, expect_tone, workdir, write_tone)
from offhook import PROGRAM

LEVEL = -15.0


@case("nothing arrives: told as one-way within five seconds, ended by --rtp-timeout with exit 30")
def one_way():
    peer = Sipp("answer")
    config = workdir() / "offhook.toml"
    config.write_text('[media]\nrtp_timeout = "6s"\n')
    tone = write_tone(workdir() / "tone.wav", 440, 20, dbfs=LEVEL)
    phone = Offhook("call", "--config", config, "--codecs", "pcmu", "--play", tone, "--timeout", "20s", peer.uri())
    answered = phone.wait_event("call.answered")
    lost = phone.wait_event("call.media", {"what": "lost"})
    expect(lost["seen"] - answered["seen"] < 5.2, f"told after {lost['seen'] - answered['seen']:.1f} s")
    expect_equal(lost["one_way"], True, "one_way")
    phone.ends(30)
    ended = phone.events_named("call.ended")[0]
    expect_equal((ended["by"], ended["exit"]), ("timeout", 30), "call.ended")
    expect(5800 <= ended["talk_ms"] <= 7500, f"talk_ms {ended['talk_ms']}")


@case("the sound card goes and is back: events, the call stays up, sound on both sides of the gap")
def card_vanishes():
    module = pathlib.Path(PROGRAM).resolve().parent / "libasound_module_pcm_pace.so"
    expect(module.exists(), f"{module} is built with offhook-tests")
    microphone = write_tone(workdir() / "mic.wav", 440, 1, 16000, dbfs=LEVEL)
    (workdir() / "mic.raw").write_bytes(microphone.read_bytes()[44:])
    (workdir() / "asound.conf").write_text(
        f'</usr/share/alsa/alsa.conf>\npcm_type.pace {{ lib "{module}" }}\n'
        f'pcm.card {{ type pace out "{workdir()}/played.raw" in "{workdir()}/mic.raw" '
        f'die_after_ms 2500 back_after_ms 4500 }}\n')
    recording = workdir() / "callee.wav"
    callee, uri = answerer("--record", recording, "--then", "wait", "--timeout", "40s")
    phone = Offhook("call", "--codecs", "pcmu", "--hangup-after", "8s", "--timeout", "30s", uri, audio="alsa:card",
                    env={"ALSA_CONFIG_PATH": str(workdir() / "asound.conf")})
    lost = phone.wait_event("audio.lost")
    expect_equal((lost["device"], lost["error"]), ("alsa:card", "No such device"), "audio.lost")
    restored = phone.wait_event("audio.restored")
    expect(restored["seen"] - lost["seen"] < 2 + 2, f"back after {restored['seen'] - lost['seen']:.1f} s")
    phone.ends(0)
    callee.ends(0)
    expect_equal(len(phone.events_named("audio.lost")), 1, "audio.lost is told once")
    expect_tone(recording, 440, LEVEL, 3.0, side=1)
