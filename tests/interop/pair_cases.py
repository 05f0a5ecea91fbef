"""Two offhooks: codecs, IPv6, TLS, steps, expectations, sound by files and pipes."""

import array
import random
import signal
import subprocess
import time
import wave

from harness import (Offhook, answerer, case, expect, expect_equal, expect_tone,
                     make_certificate, need, read, rms_db, wait_until, workdir, write_tone)

LEVEL = -15.0


def pair(*call_args, answer_args=(), transport="udp", host="127.0.0.1", exit_code=0, answer_exit=0, tls=()):
    """A call between two; (caller, callee, result of the caller)."""
    callee, uri = answerer("--timeout", "40s", *answer_args, transport=transport, host=host, name="callee")
    caller = Offhook("call", "--timeout", "30s", *tls, *call_args, uri, name="caller")
    result = caller.ends(exit_code)
    callee.ends(answer_exit)
    return caller, callee, result


def talk(codec, rate, codec_name, **options):
    one, other = (write_tone(workdir() / f"{hz}.wav", hz, 5, rate, dbfs=LEVEL) for hz in (440, 660))
    here, there = workdir() / "here.wav", workdir() / "there.wav"
    answer_args = ["--play", other, "--record", there, "--then", "wait", *options.pop("answer_args", ())]
    caller, callee, _ = pair("--codecs", codec, "--play", one, "--record", here, "--hangup-after", "2s",
                             answer_args=answer_args, **options)
    for phone, by in ((caller, "local"), (callee, "remote")):
        ended = phone.events_named("call.ended")[0]
        expect_equal(ended["by"], by, "by")
        expect(ended["codec"].lower().startswith(codec_name), f"codec {ended['codec']}")
        expect(ended["rx"]["packets"] > 80 and ended["rx"]["lost"] == 0, f"received {ended['rx']}")
        expect(ended["rx"]["mos"] > 3.5, f"MOS {ended['rx']}")
    for recording, sent, received in ((here, 440, 660), (there, 660, 440)):
        expect_tone(recording, sent, LEVEL, 1.3, side=0)
        expect_tone(recording, received, LEVEL, 1.3, side=1)


for _codec, _rate, _name in (("opus", 48000, "opus"), ("pcmu", 8000, "pcmu"), ("pcma", 8000, "pcma"),
                             ("g722", 16000, "g722"), ("l16", 16000, "l16")):
    case(f"{_codec}: tones both ways, recorded at both ends")(
        lambda codec=_codec, rate=_rate, name=_name: talk(codec, rate, name))


@case("IPv6")
def ipv6():
    talk("pcmu", 8000, "pcmu", host="::1")


@case("TLS between them, verified")
def tls():
    certificate, ca = make_certificate()
    talk("pcma", 8000, "pcma", transport="tls", answer_args=["--tls-certificate", certificate], tls=["--tls-ca", ca])


@case("a certificate nobody vouches for: exit 21")
def tls_unknown():
    certificate, _ = make_certificate()
    callee, uri = answerer("--tls-certificate", certificate, transport="tls")
    Offhook("call", "--timeout", "20s", uri).ends(21)
    other, ca = make_certificate("other", names="DNS:elsewhere.test")
    callee.stop()
    callee, uri = answerer("--tls-certificate", other, transport="tls")
    phone = Offhook("call", "--timeout", "20s", "--tls-ca", ca, uri)
    phone.ends(21)
    callee.stop()


@case("--do runs the steps in order")
def steps():
    hello = write_tone(workdir() / "hello.wav", 440, 1, dbfs=LEVEL)
    caller, callee, _ = pair("--do", f"wait answer; play {hello}; dtmf 12#; wait 300ms; hangup",
                             answer_args=["--expect-dtmf", "^12#$", "--then", "wait"])
    told = [(e["step"].split()[0], e["ok"]) for e in caller.events_named("call.step")]
    expect_equal(told, [("wait", True), ("play", True), ("dtmf", True), ("wait", True), ("hangup", True)], "steps")
    expect_equal("".join(e["digit"] for e in callee.events_named("call.dtmf") if not e["sent"]), "12#", "digits")


@case("a step that fails ends the call with exit 40 and its name")
def step_fails():
    caller, _, _ = pair("--do", "wait answer; wait dtmf 9 700ms; hangup", exit_code=40)
    failed = [e for e in caller.events_named("call.step") if not e["ok"]]
    expect(len(failed) == 1 and failed[0]["step"].startswith("wait dtmf"), f"steps: {failed}")


@case("steps from standard input")
def steps_stdin():
    callee, uri = answerer("--timeout", "30s")
    caller = Offhook("call", "--timeout", "20s", "--do", "-", uri, stdin=subprocess.PIPE)
    caller.popen.stdin.write(b"wait answer\ndtmf 5\n")
    caller.popen.stdin.flush()
    callee.wait_event("call.dtmf", {"digit": "5", "sent": False})
    caller.popen.stdin.write(b"hangup\n")
    caller.popen.stdin.close()
    caller.ends(0)
    callee.ends(0)


@case("--expect-dtmf passes and fails")
def expect_dtmf():
    pair("--dtmf", "1w2", "--hangup-after", "2s", answer_args=["--expect-dtmf", "^12$", "--then", "wait"])
    pair("--dtmf", "13", "--hangup-after", "2s", answer_args=["--expect-dtmf", "^12$", "--then", "wait"],
         answer_exit=40)


@case("DTMF by every method")
def dtmf_methods():
    for mode in ("rfc4733", "info", "inband"):
        _, callee, _ = pair("--codecs", "pcmu", "--dtmf-mode", mode, "--dtmf", "147*", "--hangup-after", "2500ms",
                            answer_args=["--then", "wait", *(["--dtmf-mode", mode] if mode == "inband" else [])])
        heard = callee.events_named("call.dtmf")
        expect_equal("".join(e["digit"] for e in heard), "147*", f"digits by {mode}")
        expect_equal({e["method"] for e in heard}, {mode}, "method")


@case("--expect-tone passes and fails")
def expect_tones():
    tone = write_tone(workdir() / "tone.wav", 1000, 4, dbfs=LEVEL)
    pair("--expect-tone", "1000", "--hangup-after", "2s", answer_args=["--play", tone, "--then", "wait"])
    pair("--expect-tone", "700", "--hangup-after", "1500ms", answer_args=["--play", tone, "--then", "wait"],
         exit_code=40)


@case("--expect-audio and --min-mos pass and fail")
def expect_quality():
    tone = write_tone(workdir() / "tone.wav", 440, 4, dbfs=LEVEL)
    pair("--expect-audio", "--min-mos", "3.5", "--codecs", "pcmu", "--hangup-after", "2s",
         answer_args=["--play", tone, "--then", "wait"])
    pair("--expect-audio", "--hangup-after", "1s", exit_code=40)
    pair("--min-mos", "4.49", "--codecs", "pcmu", "--hangup-after", "1s", exit_code=40)


@case("a full disk ends the recording, not the call: exit 31, a valid file")
def full_disk():
    tone = write_tone(workdir() / "tone.wav", 440, 10, dbfs=LEVEL)
    callee, uri = answerer("--play", tone, "--then", "wait", "--timeout", "30s")
    recording = workdir() / "call.wav"
    phone = Offhook("call", "--codecs", "pcmu", "--record", recording, "--hangup-after", "4s", "--timeout", "20s", uri,
                    file_limit=128)
    failed = phone.wait_event("call.recording", {"on": False})
    expect("File too large" in failed["error"], f"error: {failed['error']}")
    phone.ends(31)
    callee.ends(0)
    ended = phone.events_named("call.ended")[0]
    expect(ended["talk_ms"] > 3800, "the call went on")
    expect_tone(recording, 440, LEVEL, 0.9, side=1)


@case("--say speaks")
def say():
    need("espeak-ng")
    recording = workdir() / "speech.wav"
    pair("--say", "The quick brown fox", "--codecs", "g722", "--then", "hangup",
         answer_args=["--record", recording, "--then", "wait"])
    rate, samples = read(recording, 1)
    loud = sum(1 for i in range(0, len(samples) - 160, 160) if max(map(abs, samples[i:i + 160])) > 0.05)
    expect(loud * 160 / rate > 0.5, f"speech was heard for {loud * 160 / rate:.2f} s")


@case("sound through standard input and output")
def pipes():
    tone = write_tone(workdir() / "tone.wav", 440, 3, 16000, dbfs=LEVEL)
    got = workdir() / "got.wav"
    callee, uri = answerer("--echo", "--timeout", "30s", "--then", "wait")
    with open(tone, "rb") as source:
        caller = Offhook("call", "--codecs", "l16", "--play", "-", "--record", "-", "--hangup-after", "2500ms",
                         "--timeout", "20s", uri, raw=True, stdin=source)
    expect_equal(caller.exit_code(20), 0, f"exit code: {caller.stderr()}")
    callee.ends(0)
    got.write_bytes(caller.out_path.read_bytes())
    check_piped(got)


def check_piped(path):
    """A WAV that was streamed has no lengths in its header."""
    raw = path.read_bytes()
    expect(raw[:4] == b"RIFF" and b"data" in raw[:200], f"WAV on standard output, got {raw[:16]!r}")
    at = raw.index(b"data") + 8
    size = len(raw) - at
    path.write_bytes(raw[:at - 4] + size.to_bytes(4, "little") + raw[at:])
    expect_tone(path, 440, LEVEL, 1.2, side=1)


@case("--play - takes raw sound at the pace of its writer, in pieces that come late now and then")
def slow_pipe():
    tone = write_tone(workdir() / "tone.wav", 440, 1, 16000, dbfs=LEVEL).read_bytes()[44:]
    recording = workdir() / "heard.wav"
    callee, uri = answerer("--record", recording, "--timeout", "40s", "--then", "wait")
    caller = Offhook("call", "--codecs", "l16", "--play", "-", "--stdin-format", "s16le,16000", "--then", "hangup",
                     "--timeout", "30s", uri, stdin=subprocess.PIPE)
    caller.wait_event("call.answered")
    chance = random.Random(5)
    start, written = time.monotonic(), 0.0
    while written < 6:  # 125 ms, as arecord writes them
        caller.popen.stdin.write(tone[int(written * 8) * 4000 % 32000:][:4000])
        caller.popen.stdin.flush()
        written += 0.125
        time.sleep(max(0.0, start + written + chance.random() * 0.05 - time.monotonic()))
    caller.popen.stdin.close()
    caller.ends(0)
    callee.ends(0)
    expect_tone(recording, 440, LEVEL, 5.5, side=1)


def write_talk(path, noise_dbfs):
    """A second of tone, three of noise, a second of tone."""
    tone = array.array("h", write_tone(workdir() / "tone.wav", 440, 1, dbfs=LEVEL).read_bytes()[44:])
    chance = random.Random(1)
    noise = array.array("h", (int(32768 * 10 ** (noise_dbfs / 20) * chance.gauss(0, 1)) for _ in range(24000)))
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", ""))
        out.writeframes((tone + noise + tone).tobytes())
    return path


@case("--dtx pauses while there is noise alone: fewer packets, the noise goes on at the other end, nothing is missing")
def pauses():
    noisy, muted = write_talk(workdir() / "noisy.wav", -55), write_talk(workdir() / "muted.wav", -100)
    for codec, options, pausing in (("pcmu", ("--dtx",), True), ("pcma", (), False), ("g722", ("--dtx",), True),
                                    ("opus", ("--dtx",), True), ("opus", (), False)):
        recording = workdir() / f"{codec}-{pausing}.wav"
        level, talk_file = (-100, muted) if codec == "opus" else (-55, noisy)  # its own detector takes noise for voice
        _, callee, _ = pair("--codecs", codec, *options, "--play", talk_file, "--then", "hangup",
                            answer_args=["--record", recording, "--then", "wait", *options])
        ended = callee.events_named("call.ended")[0]["rx"]
        expect(ended["packets"] < 150 if pausing else ended["packets"] > 230, f"{codec} {options}: {ended}")
        expect(ended["lost"] == 0 and ended["missing_percent"] < 2, f"{codec} {options}: {ended}")  # late, on a busy machine
        rate, samples = read(recording, 1)
        start = next(n for n, v in enumerate(samples) if abs(v) > 0.05)
        pause = rms_db(samples[start + int(1.8 * rate):start + int(3.6 * rate)])
        expect(abs(pause - level) < 4 or max(pause, level) < -75, f"{codec} {options}: {pause:.1f} dB in the pause")
        expect_tone(recording, 440, LEVEL, 1.8, side=1)


@case("--play-loop and the step loop play again and again; a call with nothing else to do lasts as the peer likes")
def loops():
    short = write_tone(workdir() / "short.wav", 440, 1, dbfs=LEVEL)
    other = write_tone(workdir() / "other.wav", 660, 1, dbfs=LEVEL)
    recording, menu = workdir() / "music.wav", workdir() / "menu.wav"
    caller, _, _ = pair("--codecs", "pcmu", "--record", recording, "--hangup-after", "4s",
                        answer_args=["--play", short, "--play-loop"])
    expect_equal(caller.events_named("call.ended")[0]["by"], "local", "by")
    expect_tone(recording, 440, LEVEL, 3.2, side=1)
    _, callee, _ = pair("--codecs", "pcmu", "--record", menu, "--do", "wait answer; wait 2500ms; dtmf 1; wait end",
                        answer_args=["--do", f"wait answer; loop {short}; wait dtmf 1; play {other}; hangup"])
    expect_tone(menu, 440, LEVEL, 1.8, side=1)
    expect_tone(menu, 660, LEVEL, 0.7, side=1)
    for wrong, why in ((("--play-loop",), "needs --play"), (("--play", "-", "--play-loop"), "standard input"),
                       (("--play", short, "--play-loop", "--say", "x"), "--say"),
                       (("--play", "/dev/null", "--play-loop"), "again")):
        phone = Offhook("call", *wrong, "sip:x@127.0.0.1", name="wrong", raw=True)
        expect(phone.exit_code(10) in (2, 31), f"{wrong}: exit {phone.popen.returncode}")
        expect(why in phone.stderr() and len(phone.stderr().splitlines()) == 1, f"{wrong}: {phone.stderr()}")


@case("--echo sends back what arrives")
def echo():
    tone = write_tone(workdir() / "tone.wav", 440, 3, dbfs=LEVEL)
    recording = workdir() / "echo.wav"
    pair("--codecs", "pcmu", "--play", tone, "--record", recording, "--hangup-after", "2s",
         answer_args=["--echo", "--then", "wait"])
    expect_tone(recording, 440, LEVEL, 1.2, side=1)


@case("nobody answers: --ring-timeout, exit 11")
def ring_timeout():
    caller, callee, _ = pair("--ring-timeout", "800ms", answer_args=["--delay", "20s"], exit_code=11, answer_exit=11)
    expect_equal(caller.events_named("call.ended")[0]["code"], 487, "code")


@case("answer --code 486, and --from")
def refuse():
    pair(answer_args=["--code", "486"], exit_code=10, answer_exit=10)
    callee, uri = answerer("--from", "sip:friend@*", "--timeout", "30s")
    Offhook("call", "--timeout", "20s", uri).ends(12)
    callee.stop()


@case("answer --count 2")
def count():
    callee, uri = answerer("--count", "2", "--timeout", "40s")
    for _ in range(2):
        Offhook("call", "--hangup-after", "200ms", "--timeout", "20s", uri).ends(0)
    callee.ends(0)
    expect_equal([e["exit"] for e in callee.events_named("call.ended")], [0, 0], "calls")


@case("answer --at-once 2: two callers hear the prompt, the third is told 486")
def at_once():
    prompt = write_tone(workdir() / "prompt.wav", 660, 8, 8000, dbfs=LEVEL)
    callee, uri = answerer("--count", "2", "--at-once", "2", "--play", prompt, "--then", "wait", "--timeout", "40s")
    callers, recordings = [], []
    for number in range(2):
        recordings.append(workdir() / f"caller-{number}.wav")
        callers.append(Offhook("call", "--codecs", "pcmu", "--record", recordings[-1], "--hangup-after", "3s",
                               "--timeout", "30s", uri, name=f"caller-{number}"))
        callers[-1].wait_event("call.answered")
    Offhook("call", "--timeout", "20s", uri, name="third").ends(10)
    for caller, recording in zip(callers, recordings):
        caller.ends(0)
        expect_tone(recording, 660, LEVEL, 1.0, side=1)
    callee.ends(0)


@case("hold and resume from both sides")
def hold():
    callee, uri = answerer("--do", "wait answer; wait 1500ms; hold; wait 400ms; resume; wait end", "--timeout", "40s")
    caller = Offhook("call", "--do", "wait answer; wait 400ms; hold; wait 400ms; resume; wait 2500ms; hangup",
                     "--timeout", "30s", uri)
    caller.ends(0)
    callee.ends(0)
    for phone in (caller, callee):
        names = [e["event"] for e in phone.events if e["event"] in ("call.held", "call.resumed", "call.remote-hold")]
        expect_equal(sorted(names), ["call.held", "call.remote-hold", "call.remote-hold", "call.resumed"], "holds")


@case("SIGTERM at the callee ends both")
def callee_leaves():
    callee, uri = answerer("--timeout", "40s", "--then", "wait")
    caller = Offhook("call", "--then", "wait", "--timeout", "30s", uri)
    caller.wait_event("call.answered")
    callee.signal(signal.SIGTERM)
    callee.ends(130, 5)
    caller.ends(0, 5)
    expect_equal(caller.events_named("call.ended")[0]["by"], "remote", "by")


@case("--trace and --pcap show the call")
def traces():
    trace, pcap = workdir() / "sip.txt", workdir() / "call.pcap"
    pair(f"--trace={trace}", "--pcap", pcap, "--codecs", "pcmu", "--hangup-after", "500ms")
    text = trace.read_text()
    for word in ("INVITE sip:", "SIP/2.0 200", "ACK sip:", "BYE sip:"):
        expect(word in text, f"{word} in the trace")
    raw = pcap.read_bytes()
    expect(raw[:4] in (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1"), "a pcap file")
    expect(b"INVITE sip:" in raw and b"BYE sip:" in raw, "the messages in the capture")


@case("--nagios tells one line")
def nagios():
    callee, uri = answerer("--timeout", "30s")
    phone = Offhook("call", "--nagios", "--codecs", "pcmu", "--hangup-after", "1s", "--timeout", "20s", uri, raw=True)
    expect_equal(phone.exit_code(20), 0, "exit code")
    callee.ends(0)
    lines = phone.stdout().splitlines()
    expect(len(lines) == 1 and "|" in lines[0] and "OK" in lines[0], f"one line with performance data: {lines}")


@case("--on-answer runs a program without a shell")
def on_answer():
    mark = workdir() / "mark"
    hook = workdir() / "hook.sh"
    hook.write_text(f"#!/bin/sh\nenv | grep '^OFFHOOK_' > {mark}\n")
    hook.chmod(0o755)
    pair("--on-answer", str(hook), "--hangup-after", "1s")
    wait_until(mark.exists, "the program ran", 3)
