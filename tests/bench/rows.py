"""The rows of the report. A function measures one or more of them; `options.rounds` scales how long it takes."""

import time

from measure import Row, Window, cpu_seconds, memory_mb, switches
from phones import (PROGRAM, Phone, Reflector, Skip, answerer, baresip_answerer, baresip_call, need,
                    offhook_call, tool)

_rows = {}  # name -> function


def rows(*names):
    """Declares which rows a function measures."""
    def declare(function):
        _rows.update(dict.fromkeys(names, function))
        return function
    return declare


def known():
    return _rows


def peer_or_none(make):
    """A missing peer is said in the row, and ours is measured all the same."""
    try:
        return make(), ""
    except Skip as missing:
        return None, str(missing)


@rows("start.invite", "start.invite.cpu")
def start_up(options):
    """From the start of the process to its INVITE on the wire, in turn with baresip."""
    ours = offhook_call("pcmu", "{}")
    theirs, note = peer_or_none(lambda: baresip_call("pcmu", "{}"))
    samples = {"ours": [], "theirs": []}
    for turn in range(-2, 5 * options.rounds):
        for name, argv in (("ours", ours), ("theirs", theirs)):
            if argv:
                sample = tool("peer", "first-invite", *argv)[0]
                if turn >= 0:
                    samples[name].append(sample)
    for row, key, most in (("start.invite", "wall_ms", 10), ("start.invite.cpu", "cpu_ms", None)):
        yield Row(row, "ms", [s[key] for s in samples["ours"]], [s[key] for s in samples["theirs"]], "baresip", 1.0,
                  most, note)


def in_call(codec, extra=(), call_options=()):
    """Our phone and baresip, each talking to a reflector of its own."""
    phones = []
    mirror = Reflector(codec)
    phones.append(Phone(offhook_call(codec, mirror.uri, *call_options), "offhook-call"))
    mirror.wait_rtp()
    other, note = peer_or_none(lambda: need("baresip"))
    if other:
        mirror = Reflector(codec)
        phones.append(Phone(baresip_call(codec, mirror.uri, extra), "baresip"))
        mirror.wait_rtp()
    time.sleep(1.5)  # past what a call's beginning costs
    return phones, note


def call_rows(codec, name, most_ratio, options):
    phones, note = in_call(codec)
    pids = [p.pid for p in phones]
    window = Window(pids, 3.0, options.rounds)
    ours, theirs = pids[0], pids[1] if len(pids) > 1 else None
    resident, private = memory_mb(ours)
    peers = {"cpu": window.cpu.get(theirs, []), "waits": window.waits.get(theirs, [])}
    their_memory = [memory_mb(theirs)[0]] if theirs else []
    for phone in phones:
        phone.stop()
    yield Row(f"{name}.cpu", "% core", window.cpu[ours], peers["cpu"], "baresip", most_ratio, note=note)
    yield Row(f"{name}.switches", "/s", window.waits[ours], peers["waits"], "baresip", most=120, note=note)
    yield Row(f"{name}.memory", "MB", [resident], their_memory, "baresip", most=12,
              note=note or f"{private:.1f} MB of it private")


@rows("call.g711.cpu", "call.g711.switches", "call.g711.memory")
def g711(options):
    """A G.711 call, file to network and back: both phones at the same moments."""
    yield from call_rows("pcmu", "call.g711", 0.7, options)


@rows("call.opus.cpu", "call.opus.switches", "call.opus.memory")
def opus(options):
    """The same with Opus: mono, 24 kbit/s, complexity 5, FEC, on both sides."""
    yield from call_rows("opus", "call.opus", 0.9, options)


@rows("idle.switches", "idle.cpu", "idle.memory")
def idle(options):
    """Registered and waiting for a call; our registrar grants an hour."""
    registrar = Reflector()
    phone = Phone([PROGRAM, "answer", "--auto", "--audio", "none", "--listen", "udp:127.0.0.1:0", "--aor",
                   "sip:bench@127.0.0.1", "--registrar", f"sip:127.0.0.1:{registrar.port}"], "offhook-answer")
    time.sleep(1)
    before = switches(phone.pid)[0]
    window = Window([phone.pid], 2.0, max(2, options.rounds))
    # Its timers are the keep-alive and the refresh: none is due in these seconds.
    yield Row("idle.switches", "/s", window.waits[phone.pid], most=0.2,
              note=f"{switches(phone.pid)[0] - before} in all")
    yield Row("idle.cpu", "% core", window.cpu[phone.pid], most=0.01)
    yield Row("idle.memory", "MB", [memory_mb(phone.pid)[0]], most=10)
    phone.stop()


@rows("parse.invite", "parse.screen.invite")
def parse(_options):
    """Parsing a typical INVITE of 1,074 bytes."""
    found = {line["bench"]: line for line in tool("parse_bench")}
    for key, row in (("parse_invite", "parse.invite"), ("parse_screen_invite", "parse.screen.invite")):
        yield Row(row, "us", [found[key]["us"]], [found["libre_invite"]["us"]], "libre",
                  most=1.5 if key == "parse_invite" else None, note="libre decodes while it parses")
    if "sofia_invite" in found:
        yield Row("parse.invite.sofia", "us", [found["parse_invite"]["us"]], [found["sofia_invite"]["us"]],
                  "sofia-sip")


@rows("decode.worst")
def decode(_options):
    """The costliest 64 kB that we could think of, parsed, screened and every header decoded."""
    lines = tool("decode_bench")
    worst = max(lines, key=lambda line: line["ms"])
    yield Row("decode.worst", "ms", [worst["ms"]], most=5, note=f"{worst['bench']}, the worst of {len(lines)} kinds")


def options_cost(pid, port, rate, seconds, settle=0.0):
    """CPU of each OPTIONS in microseconds."""
    if settle:
        tool("peer", "options", port, rate, settle)
    before = cpu_seconds(pid)
    done = tool("peer", "options", port, rate, seconds)[0]
    spent = cpu_seconds(pid) - before
    return 1e6 * spent / max(1, done["answered"]), done


@rows("options.cpu", "options.cpu.flat")
def options_answered(options):
    """OPTIONS answered at 10/s and at 1,000/s, the latter when as many transactions linger as ever will (Timer J)."""
    phone, port = answerer()
    other, note = peer_or_none(baresip_answerer)
    options_cost(phone.pid, port, 10, 0.5)
    slow = [options_cost(phone.pid, port, 10, 3.0)[0] for _ in range(max(2, options.rounds // 2))]
    theirs = [options_cost(other[0].pid, other[1], 1000, 2.0)[0]] if other else []
    first = options_cost(phone.pid, port, 1000, 2.0)[0]
    fast, lost = [], 0
    for turn in range(max(2, options.rounds // 2)):
        cost, done = options_cost(phone.pid, port, 1000, 4.0, 33.0 if turn == 0 and not options.quick else 0)
        fast.append(cost)
        lost += done["sent"] - done["answered"]
    yield Row("options.cpu", "us", [first], theirs, "baresip", note=note or "at 1,000/s")
    yield Row("options.cpu.flat", "us", fast, slow, "at 10/s", 1.0, note=f"1,000/s against 10/s, {lost} unanswered")
    for process in [phone] + ([other[0]] if other else []):
        process.stop()

