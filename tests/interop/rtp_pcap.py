"""RTP streams as pcap files, for SIPp to play: tones and silence in G.711, telephone-events, comfort noise."""

import math
import struct

RATE, FRAME = 8000, 160
DTMF_HZ = {digit: (low, high) for low, row in ((697, "123A"), (770, "456B"), (852, "789C"), (941, "*0#D"))
           for high, digit in zip((1209, 1336, 1477, 1633), row)}
EVENTS = "0123456789*#ABCD"


def ulaw(value):
    """G.711 of a sample within ±1."""
    sample = int(max(-1, min(1, value)) * 32635)
    sign, magnitude = (0x80, -sample) if sample < 0 else (0, sample)
    magnitude += 132
    exponent = max(0, magnitude.bit_length() - 8)
    return ~(sign | exponent << 4 | magnitude >> (exponent + 3) & 15) & 0xFF


def dtmf(digits, tone_ms, gap_ms, dbfs=-10.0, lead_ms=400):
    """Samples within ±1: silence, then each digit and its gap. `dbfs`: of each of the two sines, by its RMS."""
    peak = math.sqrt(2) * 10 ** (dbfs / 20)
    samples = [0.0] * (RATE * lead_ms // 1000)
    for digit in digits:
        low, high = (2 * math.pi * hz / RATE for hz in DTMF_HZ[digit])
        samples += [peak * (math.sin(low * n) + math.sin(high * n)) for n in range(RATE * tone_ms // 1000)]
        samples += [0.0] * (RATE * gap_ms // 1000)
    return samples + [0.0] * (RATE // 5)


class Stream:
    """Packets with their moments; sent in order, 20 ms each, time going on."""

    def __init__(self):
        self.packets, self.at_ms, self.sequence, self.timestamp = [], 0.0, 65500, 4294960000

    def packet(self, payload_type, payload, marker=False, timestamp=None):
        stamp = self.timestamp if timestamp is None else timestamp
        header = struct.pack("!BBHII", 0x80, payload_type | (0x80 if marker else 0), self.sequence & 0xFFFF,
                             stamp & 0xFFFFFFFF, 0x0FF400C)
        self.packets.append((self.at_ms, header + payload))
        self.sequence += 1

    def wait(self, ms):
        self.at_ms += ms
        self.timestamp += ms * RATE // 1000

    def audio(self, samples):
        for at in range(0, len(samples) - FRAME + 1, FRAME):
            self.packet(0, bytes(map(ulaw, samples[at:at + FRAME])), marker=at == 0)
            self.wait(20)
        return self

    def events(self, digits, tone_ms, gap_ms, payload_type=101):
        """RFC 4733: the event's packets every 20 ms, its end three times."""
        for digit in digits:
            start = self.timestamp
            for elapsed in range(20, tone_ms + 1, 20):
                last = elapsed == tone_ms
                for _ in range(3 if last else 1):
                    self.packet(payload_type, struct.pack("!BBH", EVENTS.index(digit), (0x80 if last else 0) | 10,
                                                          elapsed * 8), elapsed == 20, start)
                self.wait(20)
            for _ in range(gap_ms // 20):
                self.audio([0.0] * FRAME)
        return self

    def noise(self, level, ms, every_ms=1000, payload_type=13):
        """RFC 3389: a description now and then instead of sound."""
        for at in range(0, ms, 20):
            if at % every_ms == 0:
                self.packet(payload_type, bytes([level]))
            self.wait(20)
        return self

    def picture_losses(self, times, every_ms=500):
        """RTCP that asks for a key frame: an empty report and a PLI (RFC 4585 §6.3.1)."""
        for _ in range(times):
            self.wait(every_ms)
            self.packets.append((self.at_ms, struct.pack("!BBHI", 0x80, 201, 1, 1) +
                                 struct.pack("!BBHII", 0x81, 206, 2, 1, 2)))
        return self

    def write(self, path):
        """Ethernet, IPv4 and UDP around it: addresses are the player's business."""
        with open(path, "wb") as out:
            out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
            for at_ms, rtp in self.packets:
                udp = struct.pack("!HHHH", 6000, 6000, 8 + len(rtp), 0) + rtp
                ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, b"\x7f\0\0\1", b"\x7f\0\0\1")
                frame = b"\0" * 12 + b"\x08\0" + ip + udp
                moment = int(at_ms * 1000)
                out.write(struct.pack("<IIII", moment // 1_000_000, moment % 1_000_000, len(frame), len(frame)) + frame)
        return path

    @property
    def seconds(self):
        return self.at_ms / 1000
