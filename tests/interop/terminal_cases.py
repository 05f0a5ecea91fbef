"""A person at a terminal: keys, and a second call while the first goes on."""

import re

from harness import Offhook, answerer, case, expect, expect_tone, wait_until, workdir, write_tone
from terminal import TerminalPhone

LEVEL = -15.0


def desk(*args):
    phone = TerminalPhone("answer", "--listen", "udp:127.0.0.1:0", "--codecs", "pcmu", "--timeout", "60s", *args,
                          name="desk")
    phone.shows("listening on udp:127.0.0.1:")
    port = re.search(r"udp:127\.0\.0\.1:(\d+)", phone.shown)[1]
    return phone, f"sip:desk@127.0.0.1:{port};transport=udp"


def caller(uri, name, *args):
    return Offhook("call", "--aor", f"sip:{name}@127.0.0.1", "--codecs", "pcmu", "--then", "wait", "--timeout", "50s",
                   *args, uri, name=name)


def back_to(callee):
    """The address that called `callee`."""
    callee.wait_event("call.answered")
    return f"sip:desk@{callee.events_named('call.incoming')[0]['source'].removeprefix('udp:')};transport=udp"


@case("call waiting: the second caller is told of, answered while the first waits, swapped, brought together")
def call_waiting():
    phone, uri = desk()
    tones = {name: write_tone(workdir() / f"{name}.wav", hz, 30, dbfs=LEVEL) for name, hz in (("ann", 440), ("ben", 660))}
    records = {name: workdir() / f"{name}-heard.wav" for name in tones}
    ann = caller(uri, "ann", "--play", tones["ann"], "--record", records["ann"])
    phone.shows("a answer, r refuse (busy), d decline")
    phone.press("a")
    ann.wait_event("call.answered")

    ben = caller(uri, "ben", "--play", tones["ben"], "--record", records["ben"])
    phone.shows("sip:ben@127.0.0.1 is calling: a answer (this call waits), b busy, d decline")
    expect("\a" in phone.shown, "a bell")
    phone.press("?")
    phone.shows("a answer, b busy, d decline", after=phone.shown.rindex("is calling:") + 100)
    third = caller(uri, "third")
    third.ends(10)  # one may wait
    phone.press("a")
    ann.wait_event("call.remote-hold", {"on": True})
    ben.wait_event("call.answered")
    phone.shows("sip:ann@127.0.0.1 on hold")

    phone.press("s")
    ben.wait_event("call.remote-hold", {"on": True})
    ann.wait_event("call.remote-hold", {"on": False})
    phone.press("c")
    ben.wait_event("call.remote-hold", {"on": False})
    phone.shows("conference with")
    at = len(ann.events_named("call.quality"))
    wait_until(lambda: len(ann.events_named("call.quality")) > at, "time to talk", 15)
    phone.press("q")  # ann is the one talked to
    ann.ends(0)
    phone.shows("back to sip:ben@127.0.0.1")
    expect(not ben.events_named("call.ended"), "ben is still there")
    expect_tone(records["ann"], 660, LEVEL, 1.5, side=1)  # each heard the other

    carl = caller(uri, "carl")
    phone.shows("sip:carl@127.0.0.1 is calling")
    phone.press("d")
    carl.ends(12)
    dora = caller(uri, "dora")
    phone.shows("sip:dora@127.0.0.1 is calling")
    phone.press("b")
    dora.ends(10)
    phone.press("q")
    ben.ends(0)
    expect_tone(records["ben"], 440, LEVEL, 1.5, side=1)
    phone.ends(0)


@case("call waiting in a call that we made; who called first hangs up, the other one is taken up again")
def waiting_in_call():
    callee, uri = answerer("--timeout", "50s", "--then", "wait", name="callee")
    phone = TerminalPhone("call", "--listen", "udp:127.0.0.1:0", "--codecs", "pcmu", "--timeout", "50s", uri, name="desk")
    eve = caller(back_to(callee), "eve")
    phone.shows("sip:eve@127.0.0.1 is calling")
    phone.press("a")
    eve.wait_event("call.answered")
    callee.wait_event("call.remote-hold", {"on": True})
    eve.signal(2)
    eve.ends(130)
    phone.shows("back to")
    callee.wait_event("call.remote-hold", {"on": False})
    phone.press("q")
    callee.ends(0)
    phone.ends(0)


@case("who calls somebody that is calling without a terminal hears busy")
def busy_without_terminal():
    callee, uri = answerer("--timeout", "40s", "--then", "wait", name="callee")
    phone = Offhook("call", "--listen", "udp:127.0.0.1:0", "--then", "wait", "--timeout", "40s", uri, name="phone")
    phone.wait_event("call.answered")
    Offhook("call", "--timeout", "20s", back_to(callee), name="late").ends(10)
    phone.signal(2)
    phone.ends(130)
    callee.ends(0)


@case("a person refuses the only call: r is busy, d declines")
def refuse():
    for key, status in (("r", 10), ("d", 12)):
        phone, uri = desk()
        caller_process = caller(uri, "ann")
        phone.shows("a answer, r refuse (busy), d decline")
        phone.press(key)
        caller_process.ends(status)
        phone.ends(status)
