"""Media over a bad network: loss, bursts, jitter, reordering and duplication between two processes, judged by the
report of who hears it. The network is seeded; what it really did, stalls of a busy machine included, it tells."""

from harness import Baresip, Offhook, answerer, case, expect, expect_tone, wait_until, workdir, write_tone
from impaired import Impaired, mos

LEVEL, SECONDS = -15.0, 12
NETWORKS = {
    "loss of 1 %": dict(loss=1),
    "loss of 5 %": dict(loss=5),
    "loss of 10 %": dict(loss=10),
    "bursts of 5": dict(loss=5, burst=5),
    "jitter": dict(delay=40, jitter=20),
    "jitter, 3 % overtaken, 1 % doubled, 1 % lost": dict(delay=40, jitter=20, reorder=3, duplicate=1, loss=1),
    "jitter, 3 % overtaken, 1 % doubled, 5 % lost": dict(delay=40, jitter=20, reorder=3, duplicate=1, loss=5),
}
ATTEMPTS, CALM_MS = 3, 40  # stalls that are worth measuring anew


class OffhookCaller:
    def __init__(self, uri, name):
        tone = write_tone(workdir() / "tone.wav", 440, SECONDS + 5, dbfs=LEVEL)
        self.phone = Offhook("call", "--codecs", "pcmu", "--play", tone, "--hangup-after", f"{SECONDS}s", "--timeout",
                             "40s", uri, plain=True, name=f"caller-{name}")

    def finish(self):
        self.phone.ends(0)


class BaresipCaller:
    def __init__(self, uri, name):
        self.peer = Baresip(f"sender-{name}", hz=440, dbfs=LEVEL)
        self.peer.dial(uri)

    def finish(self):
        wait_until(lambda: self.peer.heard_seconds() >= SECONDS, "a talk as long as asked for", SECONDS + 30)
        self.peer.hangup()
        self.peer.wait_event("CALL_CLOSED")


class Measurement:
    """One call over the network, from its start to what its callee reports."""

    def __init__(self, caller, network, seed):
        self.recording = workdir() / f"heard-{seed}.wav"
        back = write_tone(workdir() / f"back-{seed}.wav", 660, SECONDS + 15, dbfs=LEVEL)  # for baresip, which counts it
        self.callee, uri = answerer("--codecs", "pcmu", "--play", back, "--record", self.recording, "--then", "wait",
                                    "--timeout", "60s", plain=True, name=f"callee-{seed}")
        self.relay = Impaired(uri, seed=seed, name=f"impair-{seed}", **network)
        self.caller = caller(self.relay.uri, seed)

    def finish(self):
        self.caller.finish()
        self.callee.ends(0)
        self.did = self.relay.report()["to_callee"]
        self.heard = self.callee.events_named("call.ended")[0]["rx"]
        self.relay.stop()

    @property
    def calm(self):
        return self.did["stalled_ms"] < CALM_MS

    def judge(self, name):
        did, heard = self.did, self.heard
        what = f"{name}: {heard} of {did}"
        loss = did["lost"] / did["packets"] * 100
        talk_ms = did["packets"] * 20
        stalls = did["stalled_ms"] / talk_ms * 100  # percent; a busy machine's, none of it on a calm one
        expect(did["packets"] > SECONDS * 45, f"packets: {what}")
        # RFC 3550 §6.4.1: what comes twice is received twice. Some are on their way when the call ends.
        expect(abs(heard["lost"] - did["lost"] + did["duplicates"]) <= 4, f"lost by sequence numbers: {what}")
        expect(heard["missing_percent"] <= loss + 1 + stalls, f"missing: {what}")
        expect(heard["concealed_ms"] <= (loss + 1 + stalls) / 100 * talk_ms, f"concealed: {what}")
        # 20 ms in hand and as long until the tick are there on a perfect network too.
        jitter = did["most_ms"] - did["least_ms"] + did["late_ms"]
        expect(heard["buffer_ms"] <= 40 + max(2 * jitter, 20), f"delay for {jitter:.0f} ms of jitter: {what}")
        model = mos(loss, did["burst_ratio"], did["delay_ms"] + heard["buffer_ms"] + 20)
        expect(abs(heard["mos"] - model) <= 0.3 + stalls / 10, f"MOS {heard['mos']}, the E-model: {model:.2f}: {what}")
        expect_tone(self.recording, 440, LEVEL, SECONDS * (0.97 - 1.5 * (loss + stalls) / 100) - 1, side=1)


def measure(calls):
    """All at once; those that the machine disturbed again. calls: name -> (caller, network)."""
    waiting = dict(calls)
    for attempt in range(ATTEMPTS):
        running = {name: Measurement(*call, seed=1000 * (attempt + 1) + list(calls).index(name))
                   for name, call in waiting.items()}
        for name, measurement in running.items():
            measurement.finish()
            if measurement.calm or attempt == ATTEMPTS - 1:
                measurement.judge(name)
                del waiting[name]
        if not waiting:
            return
        print(f"again, the machine stalled: {', '.join(waiting)}")


@case("loss, bursts, jitter, reordering: little more is missing, at the delay it takes, with the MOS of the E-model",
      timeout=150, serial=True)
def networks():
    measure({name: (OffhookCaller, network) for name, network in NETWORKS.items()})


@case("baresip over 5 % loss and jitter", timeout=150)
def baresip():
    measure({"baresip": (BaresipCaller, dict(delay=40, jitter=20, loss=5))})
