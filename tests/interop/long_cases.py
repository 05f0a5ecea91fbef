"""What takes long, or many tries: sessions under a fast clock, and calls through a network that loses packets."""

import random
import select
import signal
import socket
import subprocess
import sys
import time

from bridge import USERS
from bridge_wire import invite_from, native, registered
from control import Control, running
from harness import ROOT, Offhook, Process, answerer, case, expect, expect_equal, need, wait_until, workdir
from raw_sip import RawPhone, plain_sdp

FAST = 10  # times


def fast_clock(times=FAST):
    """The environment of a program whose clock is fast (the plain one: a sanitizer wants to be loaded first)."""
    library = workdir() / "fast_clock.so"
    if not library.exists():
        source = ROOT / "tests/support/fast_clock.c"
        subprocess.run([need("cc"), "-shared", "-fPIC", "-O1", source, "-o", library, "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "FAST_CLOCK": str(times)}


def session(name, *args):
    config = workdir() / f"{name}.toml"
    config.write_text('[account.peer]\naor = "sip:peer@127.0.0.1"\nregister = false\nsession_expires = "90s"\n')
    config.chmod(0o600)
    return ["-c", config, "-a", "peer", "--codecs", "pcmu", f"--trace={workdir() / name}.sip", *args]


def refreshes(name):
    """UPDATEs, and re-INVITEs, that this side sent."""
    trace = (workdir() / f"{name}.sip").read_text()
    return sum(1 for title, line in zip(trace.splitlines(), trace.splitlines()[1:])
               if title.startswith("--- ") and " sent " in title and line.startswith(("UPDATE ", "INVITE ")))


@case("a session of 90 s is refreshed in time, twice and more (fast clock)", serial=True, timeout=90)
def refreshed():
    env = fast_clock()
    callee, uri = answerer(*session("callee"), "--then", "wait", "--timeout", "400s", plain=True, env=env, name="callee")
    caller = Offhook("call", *session("caller"), "--hangup-after", "200s", "--timeout", "400s", uri, plain=True, env=env,
                     name="caller")
    caller.ends(0, 60)
    callee.ends(0)
    ended = caller.events_named("call.ended")[0]
    expect(ended["talk_ms"] >= 199_000, f"the call lasted {ended['talk_ms']} ms")
    sent = refreshes("caller") - 1 + refreshes("callee")  # but the INVITE
    expect(3 <= sent <= 8, f"{sent} refreshes in 200 s of a 90 s session: one each 45 s by one side")


@case("a session of 90 s whose other side has vanished is ended (fast clock)", serial=True, timeout=90)
def vanished():
    env = fast_clock()
    callee, uri = answerer(*session("callee"), "--then", "wait", "--timeout", "400s", plain=True, env=env, name="callee")
    caller = Offhook("call", *session("caller", "--do", "wait answer; hold; wait end"), "--timeout", "400s", uri, plain=True,
                     env=env, name="caller")  # held: that no sound comes is no reason to end it
    caller.wait_event("call.held")
    caller.signal(signal.SIGSTOP)
    ended = callee.wait_event("call.ended", timeout=40)
    expect(45_000 <= ended["talk_ms"] <= 125_000, f"after {ended['talk_ms']} ms")
    expect_equal(ended["by"] in ("timeout", "network", "local"), True, f"not the other side ended it: {ended}")
    caller.signal(signal.SIGCONT)


class LossyRelay(Process):
    """Between phones on 127.0.0.2 and 127.0.0.3, which tell each other addresses of ours: 127.0.0.1 with their own
    ports. Loses `loss` of the datagrams, the same ones for the same seed and order."""

    def __init__(self, one, other, loss, seed):
        super().__init__([sys.executable, __file__, one, other, loss, seed], "relay")
        wait_until(lambda: "ready" in self.stdout(), "the relay is ready", 5)


def relay(one, other, loss, seed):
    chance = random.Random(seed)
    sockets = []
    for port in (one, other):
        link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        link.bind(("127.0.0.1", port))
        sockets.append(link)
    print("ready", flush=True)
    targets = {sockets[0]: (sockets[1], ("127.0.0.2", one)), sockets[1]: (sockets[0], ("127.0.0.3", other))}
    while True:
        for link in select.select(sockets, [], [])[0]:
            datagram, _ = link.recvfrom(65536)
            out, to = targets[link]
            if chance.random() >= loss:
                out.sendto(datagram, to)


def calls_through_loss(loss, seed, calls=200, at_once=12):
    """How many of `calls` between two processes were answered and ended by agreement, and what became of the others.
    The callee rings for a second each time: it takes 15 calls a second from one address. It stays to the end, for
    those whose BYE has to be answered again."""
    callee = Offhook("answer", "--auto", "--delay", "1s", "--listen", "udp:127.0.0.2:0", "--public-address", "127.0.0.1",
                     "--count", str(2 * calls), "--at-once", "100", "--codecs", "pcmu", "--then", "wait", "--timeout", "400s",
                     name="callee")
    phone, _ = running("--public-address", "127.0.0.1", "--codecs", "pcmu", host="127.0.0.3", timeout="400s")
    port = callee.port(host="127.0.0.2")
    LossyRelay(port, phone.port(host="127.0.0.3"), loss, seed)
    control = Control()
    control.link.settimeout(60)
    complete, failed, open_calls, dialled = 0, [], set(), 0
    while complete + len(failed) < calls:
        while dialled < calls and len(open_calls) < at_once:
            answer = control.ask("dial", target=f"sip:{dialled}@127.0.0.1:{port};transport=udp")
            open_calls.add(answer["call"])
            dialled += 1
        event = control.events.pop(0) if control.events else control.line()
        if event["event"] == "call.answered":
            control.ask("hangup", call=event["call"])
        if event["event"] == "call.ended":
            open_calls.remove(event["call"])
            # RTP finds no way through the relay; that is another matter.
            if (event["answered"], event["code"], event["by"]) == (True, 200, "local"):
                complete += 1
            else:
                failed.append((event["code"], event["reason"]))
    control.ask("quit")
    phone.ends(0)
    callee.stop()
    return complete, failed


@case("200 calls through 10 % loss: 200 are complete", timeout=200)
def ten_percent():
    complete, failed = calls_through_loss(0.10, seed=4733)
    expect_equal(complete, 200, f"complete calls; failed: {failed}")


@case("200 calls through 30 % loss: at least 198 are complete", timeout=400)
def thirty_percent():
    complete, failed = calls_through_loss(0.30, seed=4733)
    expect(complete >= 198, f"{complete} complete calls; failed: {failed}")


if __name__ == "__main__":
    relay(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))


def two_phones(times):
    """(bridge, caller, callee); no browsers: they would have to answer a ping each moment."""
    bridge = native(plain=True, env=fast_clock(times), name=f"fast{times}")
    return bridge, *(registered(RawPhone(bridge.udp, user, USERS[user]), "", [("Expires", "36000")])
                     for user in ("carl", "ben"))


@case("bridge: who rings for ever is called off after three minutes (Timer C), in a call too (fast clock)", serial=True,
      timeout=90)
def timer_c():
    times = 30
    bridge, carl, ben = two_phones(times)

    def called_off(invite, tag):
        started = time.monotonic()
        cancel = ben.wait("CANCEL", "CANCEL", timeout=20)
        expect(time.monotonic() - started > 150 / times, f"it rang for {(time.monotonic() - started) * times:.0f} s")
        expect_equal("No answer" in cancel.get("reason"), True, cancel.get("reason"))
        ben.reply(cancel, 200, contact=False)
        ben.reply(invite, 487, contact=False, tag=tag)
        expect_equal(carl.wait(lambda m: m.status >= 300, "the end").status, 487, "what the caller hears")

    _, invite = invite_from(carl, ben, "sip:ben@house.test", body=plain_sdp())
    ben.reply(invite, 180, tag="one")
    called_off(invite, "one")
    sent, invite = invite_from(carl, ben, "sip:ben@house.test", body=plain_sdp())
    ben.reply(invite, 200, "OK", body=plain_sdp(), tag="two")
    dialog = carl.dialog_of_caller(sent, carl.wait(200, "200"))
    carl.within(dialog, "ACK", number=dialog.number)
    ben.wait("ACK", "ACK")
    carl.within(dialog, "INVITE", body=plain_sdp("sendonly"))
    hold = ben.wait("INVITE", "hold")
    ben.reply(hold, 180)
    called_off(hold, "")
    bridge.stop()


@case("bridge: a subscription lasts as long as there is something to tell, far beyond an hour (fast clock)", serial=True,
      timeout=120)
def long_subscription():
    times = 150
    bridge, carl, ben = two_phones(times)
    fixed = dict(call_id="long", tag="carl")
    sent, _ = carl.ask("SUBSCRIBE", "sip:ben@house.test", more=[("Event", "presence"), ("Expires", "3600")], until=None,
                       **fixed)
    subscribe = ben.wait("SUBSCRIBE", "SUBSCRIBE")
    ben.reply(subscribe, 200, "OK", [("Expires", "3600")], tag="ben")
    carl.wait(200, "200")
    dialog = ben.dialog_of_callee(subscribe, "ben")
    for _ in range(2):
        time.sleep(2400 / times)
        ben.within(dialog, "NOTIFY", more=[("Event", "presence"), ("Subscription-State", "active")])
        carl.reply(carl.wait("NOTIFY", "NOTIFY"), 200)
        expect_equal(ben.wait(lambda m: m.status >= 200, "answer").status, 200, "NOTIFY")
    bridge.stop()
