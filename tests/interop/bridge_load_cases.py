"""offhook wss-bridge with many at it: connections that dawdle keep nobody out, and those that are idle cost little."""

import time

from bridge import USERS, Bridge, configuration
from harness import case, expect, expect_equal
from web_client import Dawdlers, WebClient, allow_many_sockets, register

CROWD = 1000


def processor_time(process):
    return time.clock_gettime((~process.pid << 3) | 2)


def among_dawdlers(web):
    """The figure in seconds is the bench's (bridge.flood.ws, bridge.flood.wss): here the machine may be busy, and what
    counts is that everybody gets in, at little cost, while the crowd is there."""
    allow_many_sockets()
    bridge = Bridge(web=web)
    address, tls = bridge.sockets[web], web == "wss"
    before = WebClient(address, tls)
    expect_equal(register(before, "anna", USERS["anna"]), 200, "a REGISTER before")
    crowd = Dawdlers(address, tls, CROWD)
    spent = processor_time(bridge)
    for user in ("ben", "carl", "ben"):
        expect_equal(register(WebClient(address, tls), user, USERS[user]), 200, f"a REGISTER of {user} in the crowd")
    spent = processor_time(bridge) - spent
    expect_equal(register(before, "anna", USERS["anna"]), 200, "a REGISTER over the connection that was there before")
    left = crowd.open()
    crowd.end()
    expect(left >= CROWD / 4, f"only {left} of {CROWD} dawdlers were there at the end")
    expect(spent < 1.0, f"three REGISTERs in the crowd took {spent:.3f} s of processor time")
    expect_equal(register(WebClient(address, tls), "carl", USERS["carl"]), 200, "a REGISTER after")
    bridge.stop()


@case("bridge: a thousand slow handshakes keep nobody out, ws", timeout=120)
def slow_ws():
    among_dawdlers("ws")


@case("bridge: a thousand slow handshakes keep nobody out, wss", timeout=120)
def slow_wss():
    among_dawdlers("wss")


def memory_kb(process):
    with open(f"/proc/{process.pid}/smaps_rollup") as rollup:
        return next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))


@case("bridge: an idle browser costs at most 8 kB, over TLS at most 30 kB", timeout=120)
def idle_memory():
    """The bench says the same of thousands (bridge.ws.memory, bridge.wss.memory)."""
    allow_many_sockets()
    early, count = 200, 300  # the early ones use up what starting left free in the heap
    config = configuration({f"user{n}": "secret" for n in range(early + count)}, name="many")
    for web, most in (("ws", 8), ("wss", 30)):
        bridge = Bridge(config=config, web=web, name=f"idle-{web}", plain=True)
        clients = []

        def connect(numbers):
            for number in numbers:
                clients.append(WebClient(bridge.sockets[web], web == "wss"))
                expect_equal(register(clients[-1], f"user{number}", "secret"), 200, f"REGISTER of user{number}")

        connect(range(early))
        before = memory_kb(bridge)
        connect(range(early, early + count))
        each = (memory_kb(bridge) - before) / count
        expect(each <= most, f"an idle {web} connection costs {each:.1f} kB, at most {most} are allowed")
        bridge.stop()
