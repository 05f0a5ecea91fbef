"""Tones in WAV files: written for the peers to play, measured in what they recorded."""

import array
import cmath
import math
import wave

from processes import Failure


def write_tone(path, hz, seconds, rate=8000, channels=1, dbfs=-12.0):
    """A sine of `dbfs` (RMS of a full-scale square is 0 dBFS; so a full-scale sine is -3)."""
    peak = 32767 * math.sqrt(2) * 10 ** (dbfs / 20)
    period = [int(round(peak * math.sin(2 * math.pi * hz * n / rate))) for n in range(rate)]  # whole for integer hz
    samples = array.array("h", (s for v in period for s in (v,) * channels))
    with wave.open(str(path), "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate)
        for _ in range(seconds):
            out.writeframes(samples.tobytes())
    return path


def _pcmu(value):
    size = min(abs(value), 32635) + 132
    exponent = size.bit_length() - 8
    return ~((0x80 if value < 0 else 0) | exponent << 4 | size >> exponent + 3 & 15) & 255


def _pcma(value):
    size = min(abs(value), 32767) >> 3
    segment = max(0, size.bit_length() - 5)
    return (segment << 4 | size >> max(segment, 1) & 15) ^ (0x55 if value < 0 else 0xd5)


def g711_tone(hz, samples, law="pcmu", dbfs=-15.0):
    """A sine as G.711 bytes, for what plays raw payloads; repeats without a click for whole periods."""
    peak = 32124 * math.sqrt(2) * 10 ** (dbfs / 20)
    encode = _pcma if law == "pcma" else _pcmu
    return bytes(encode(int(peak * math.sin(2 * math.pi * hz * n / 8000))) for n in range(samples))


def read(path, side=0):
    """(rate, samples) of one channel, scaled to ±1."""
    with wave.open(str(path), "rb") as f:
        if f.getsampwidth() != 2:
            raise Failure(f"{path}: 16 bit samples expected")
        data = array.array("h", f.readframes(f.getnframes()))
        count, rate = f.getnchannels(), f.getframerate()
    if side >= count:
        raise Failure(f"{path}: has {count} channels, looked for number {side + 1}")
    return rate, [v / 32768 for v in data[side::count]]


def rms_db(samples):
    power = sum(v * v for v in samples) / max(1, len(samples))
    return 10 * math.log10(power) if power > 0 else -120.0


class Tone:
    """What is in a recording at about `hz`: the frequency seen, its level while it sounds, for how long, and
    how much of the power there is that tone."""

    def __init__(self, rate, samples, hz):
        size = rate // 50
        frames = [samples[i:i + size] for i in range(0, len(samples) - size + 1, size)]
        turns = [cmath.exp(-2j * math.pi * hz * n / rate) for n in range(size)]
        powers, phasors = [], []
        for number, frame in enumerate(frames):
            power = sum(v * v for v in frame) / size
            powers.append(power)
            if power > 1e-7:
                start = cmath.exp(-2j * math.pi * hz * number * size / rate)
                phasors.append(start * sum(v * t for v, t in zip(frame, turns)) * math.sqrt(2) / size)
            else:
                phasors.append(0j)
        # sum(v * turn) / size is half the amplitude: squared and doubled it is the tone's power
        tonal = [abs(p) ** 2 for p in phasors]
        good = [i for i, p in enumerate(powers) if p > 1e-7 and tonal[i] > 0.8 * p]
        self.seconds = len(good) / 50
        self.level = 10 * math.log10(sorted(powers[i] for i in good)[len(good) // 2]) if good else -120.0
        steps = [cmath.phase(phasors[i + 1] / phasors[i]) for i in good if i + 1 in set(good)]
        # Twenty milliseconds tell frequencies within ±25 Hz of hz apart.
        self.hz = hz + sorted(steps)[len(steps) // 2] / (2 * math.pi) * 50 if steps else 0.0

    def __str__(self):
        return f"{self.hz:.1f} Hz at {self.level:.1f} dBFS for {self.seconds:.2f} s"


def expect_tone(path, hz, dbfs, seconds, side=0):
    """The recording carries `hz` (±2 %) at `dbfs` (±3 dB) for at least `seconds`."""
    rate, samples = read(path, side)
    tone = Tone(rate, samples, hz)
    if tone.seconds < seconds or abs(tone.hz - hz) > 0.02 * hz or abs(tone.level - dbfs) > 3:
        raise Failure(f"{path} channel {side + 1} ({len(samples) / rate:.2f} s, {rms_db(samples):.1f} dBFS in all): "
                      f"expected {hz} Hz at {dbfs} dBFS for {seconds} s, found {tone}")
    return tone


def expect_silence(path, side=0, dbfs=-50):
    rate, samples = read(path, side)
    if rms_db(samples) > dbfs:
        raise Failure(f"{path} channel {side + 1}: {rms_db(samples):.1f} dBFS, expected silence")
