"""The sound of a call when something is wrong with it: nothing arrives, the card goes and comes back."""

import pathlib
import wave

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


def card(knobs, microphone=None):
    """An ALSA configuration with the paced test card as "card": the environment to use it."""
    module = pathlib.Path(PROGRAM).resolve().parent / "libasound_module_pcm_pace.so"
    expect(module.exists(), f"{module} is built with offhook-tests")
    source = f'in "{microphone}" ' if microphone else ""
    (workdir() / "asound.conf").write_text(
        f'</usr/share/alsa/alsa.conf>\npcm_type.pace {{ lib "{module}" }}\n'
        f'pcm.card {{ type pace out "{workdir()}/played.raw" {source}{knobs} }}\n')
    return {"ALSA_CONFIG_PATH": str(workdir() / "asound.conf")}


@case("audio test, play and record use a card without a call")
def audio_commands():
    env = card("echo_db -6 latency_ms 120")
    test = Offhook("audio", "test", audio="alsa:card", env=env)
    result = test.ends(0)
    # 120 ms of the card, and what the buffers on both ways hold; a busy machine leaves gaps in the sound
    expect(120 < result["round_trip_ms"] < 500, f"round trip {result['round_trip_ms']} ms")
    expect(3 < result["echo_return_loss_db"] < 12, f"return loss {result['echo_return_loss_db']} dB")
    env = card("latency_ms 1")
    Offhook("audio", "test", audio="alsa:card", env=env, name="deaf").ends(31)
    tone = write_tone(workdir() / "tone.wav", 440, 2, 16000, dbfs=LEVEL)
    (workdir() / "played.raw").unlink()
    Offhook("audio", "play", tone, audio="alsa:card", env=env, name="play").ends(0)
    played = workdir() / "played.wav"
    with wave.open(str(played), "wb") as out:
        out.setparams((1, 2, 16000, 0, "NONE", ""))
        out.writeframes((workdir() / "played.raw").read_bytes())
    expect_tone(played, 440, LEVEL, 1.8)
    (workdir() / "mic.raw").write_bytes(tone.read_bytes()[44:])
    env = card("latency_ms 1", workdir() / "mic.raw")
    Offhook("audio", "record", workdir() / "memo.wav", "--timeout", "2s", audio="alsa:card", env=env,
            name="record").ends(0)
    expect_tone(workdir() / "memo.wav", 440, LEVEL, 1.2)


@case("the sound card goes and is back: events, the call stays up, sound on both sides of the gap")
def card_vanishes():
    microphone = write_tone(workdir() / "mic.wav", 440, 1, 16000, dbfs=LEVEL)
    (workdir() / "mic.raw").write_bytes(microphone.read_bytes()[44:])
    env = card("die_after_ms 2500 back_after_ms 4500", workdir() / "mic.raw")
    recording = workdir() / "callee.wav"
    config = workdir() / "offhook.toml"
    config.write_text('[audio]\necho_cancellation = "off"\n')  # noise suppression takes a steady tone for noise
    callee, uri = answerer("--record", recording, "--then", "wait", "--timeout", "40s")
    phone = Offhook("call", "--config", config, "--codecs", "pcmu", "--hangup-after", "8s", "--timeout", "30s", uri,
                    audio="alsa:card",
                    env=env)
    lost = phone.wait_event("audio.lost")
    expect_equal((lost["device"], lost["error"]), ("alsa:card", "No such device"), "audio.lost")
    restored = phone.wait_event("audio.restored")
    expect(restored["seen"] - lost["seen"] < 2 + 2, f"back after {restored['seen'] - lost['seen']:.1f} s")
    phone.ends(0)
    callee.ends(0)
    expect_equal(len(phone.events_named("audio.lost")), 1, "audio.lost is told once")
    expect_tone(recording, 440, LEVEL, 3.0, side=1)
