#!/usr/bin/env python3
"""Makes and measures WAV files for tests; standard library only.

wavtool.py make FILE --hz 440 --seconds 5 --rate 8000 --dbfs -12
wavtool.py tone FILE --channel 0 [--from SECONDS] [--length SECONDS]   prints {"hz":..,"dbfs":..,"seconds":..}
dBFS is relative to a full-scale sine; -96 is silence.
"""
import argparse
import array
import json
import math
import struct
import sys


def make(args):
    amplitude = 10 ** (args.dbfs / 20) * 32767
    step = 2 * math.pi * args.hz / args.rate
    count = int(args.seconds * args.rate)
    data = array.array("h", (round(amplitude * math.sin(step * i)) for i in range(count)))
    if sys.byteorder == "big":
        data.byteswap()
    body = data.tobytes()
    with open(args.file, "wb") as out:
        out.write(struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(body), b"WAVE", b"fmt ", 16, 1, 1,
                              args.rate, args.rate * 2, 2, 16, b"data", len(body)))
        out.write(body)


def load(path):
    """(rate, [samples by channel]); sizes that a killed or streaming writer left wrong are forgiven."""
    with open(path, "rb") as source:
        raw = source.read()
    if raw[:4] != b"RIFF" or raw[8:12] != b"WAVE":
        sys.exit(f"{path}: not a WAV file")
    at, channels, rate = 12, 0, 0
    while at + 8 <= len(raw):
        name, size = struct.unpack_from("<4sI", raw, at)
        at += 8
        if name == b"fmt ":
            _, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", raw, at)
            if bits != 16:
                sys.exit(f"{path}: {bits} bit samples, 16 expected")
        if name == b"data":
            body = raw[at:at + size]
            data = array.array("h", body[:len(body) // (2 * channels) * 2 * channels])
            if sys.byteorder == "big":
                data.byteswap()
            return rate, [data[c::channels] for c in range(channels)]
        at += size + size % 2
    sys.exit(f"{path}: no sound in it")


def power(samples, rate, hz):
    c = 2 * math.cos(2 * math.pi * hz / rate)
    s1 = s2 = 0.0
    for x in samples:
        s1, s2 = x + c * s1 - s2, s1
    return s1 * s1 + s2 * s2 - c * s1 * s2


def loudest_part(samples, size):
    """The piece of `size` samples with the most energy, in steps of half its size."""
    starts = range(0, max(len(samples) - size, 0) + 1, max(size // 2, 1))
    best = max(starts, key=lambda s: sum(x * x for x in samples[s:s + size]))
    return samples[best:best + size]


def strongest_hz(samples, rate):
    """Coarse over 25 ms (a bin is 40 Hz wide), fine over half a second."""
    if not samples or not any(samples):
        return 0
    top = int(min(4000, rate / 2 - 1))
    piece = loudest_part(samples, rate // 40)
    rough = max(range(100, top, 15), key=lambda hz: power(piece, rate, hz))
    long = loudest_part(samples, min(len(samples), rate // 2))
    return max(range(max(rough - 30, 50), min(rough + 31, top + 1)), key=lambda hz: power(long, rate, hz))


def tone(args):
    rate, channels = load(args.file)
    if args.channel >= len(channels):
        sys.exit(f"{args.file}: {len(channels)} channels, no channel {args.channel}")
    samples = channels[args.channel]
    seconds = len(samples) / rate
    begin = int(args.start * rate)
    samples = samples[begin:begin + int(args.length * rate) if args.length else None]
    mean = sum(x * x for x in samples) / len(samples) if samples else 0
    dbfs = max(-96.0, 10 * math.log10(mean / (32768.0 ** 2 / 2))) if mean else -96.0
    print(json.dumps({"hz": strongest_hz(samples, rate), "dbfs": round(dbfs, 2), "seconds": round(seconds, 3)}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    sub = commands.add_parser("make")
    sub.add_argument("file")
    sub.add_argument("--hz", type=float, default=440)
    sub.add_argument("--seconds", type=float, default=5)
    sub.add_argument("--rate", type=int, default=8000)
    sub.add_argument("--dbfs", type=float, default=-12)
    sub.set_defaults(run=make)
    sub = commands.add_parser("tone")
    sub.add_argument("file")
    sub.add_argument("--channel", type=int, default=0)
    sub.add_argument("--from", dest="start", type=float, default=0)
    sub.add_argument("--length", type=float, default=0)
    sub.set_defaults(run=tone)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
