"""offhook wss-bridge while others keep it busy: connections that dawdle must not keep anybody out."""

import time

from bridge import USERS, Bridge
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
