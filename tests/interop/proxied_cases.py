"""wss-bridge behind a reverse proxy: who is behind that, by its headers; and whose headers mean nothing."""

import re
import resource
import socket
import urllib.request

from bridge import USERS, Bridge
from harness import Offhook, case, expect, expect_equal, wait_until
from nginx import Nginx
from web_client import WebClient, register, upgrade_request


def refusals(bridge, reason):
    text = urllib.request.urlopen(bridge.http + "/metrics").read().decode()
    return int(re.search(rf'^offhook_bridge_refusals_total{{reason="{reason}"}} (\d+)$', text, re.M)[1])


def status_line(bridge, headers, source="127.0.0.1"):
    """What a request with these headers, straight to the bridge, is answered with."""
    with socket.create_connection(bridge.sockets["ws"].rsplit(":", 1), 10, source_address=(source, 0)) as one:
        one.sendall(upgrade_request(bridge.sockets["ws"], headers))
        return one.recv(100).split(b"\r\n")[0]


@case("bridge: behind nginx each browser counts for itself, whatever it writes into the headers", timeout=90)
def each_for_itself():
    nginx = Nginx()
    bridge = Bridge("--trusted-proxy", "127.0.0.1", origin="*")
    nginx.start(int(bridge.http.rsplit(":", 1)[1]))
    host = nginx.plain.split("//")[1]
    # One guesses, each time as somebody else, until its address is locked out.
    statuses = [register(WebClient(host, source="127.0.0.2", headers=f"X-Forwarded-For: 127.0.0.{9 + number}\r\n"
                                   f"Forwarded: for=127.0.0.{9 + number}\r\n"), "anna", "guess") for number in range(6)]
    expect_equal(statuses, [401] * 5 + [403], "what the one who guesses is told")
    expect_equal(bridge.wait_event("bridge.locked")["source"], "127.0.0.2", "who is locked out")
    # The others behind the same proxy are not.
    other = WebClient(host, source="127.0.0.3")
    expect_equal(register(other, "anna", USERS["anna"]), 200, "anna at another address registers")
    expect(bridge.registered("anna")["address"].startswith("127.0.0.3:"), "the address that is told")
    shown = Offhook("wss-bridge", "--status", audio=None)
    expect(shown.wait_event("bridge.status")["bindings"][0]["address"].startswith("127.0.0.3:"), "the one of --status")
    shown.ends(0)
    # Straight to the bridge, from an address that is no proxy: the header means nothing.
    direct = WebClient(bridge.sockets["ws"], source="127.0.0.4", headers="X-Forwarded-For: 127.0.0.2\r\n")
    expect_equal(register(direct, "anna", USERS["anna"]), 200, "somebody who names the one who is locked out")
    # And nobody gets out of the lock by it.
    locked = WebClient(bridge.sockets["ws"], source="127.0.0.2", headers="X-Forwarded-For: 127.0.0.3\r\n")
    expect_equal(register(locked, "anna", USERS["anna"]), 403, "the one who is locked out, as somebody else")
    nginx.stop()
    bridge.stop()


@case("bridge: a trusted proxy's header that says nothing clear is refused, counted, and told once", timeout=60)
def unclear_headers():
    bridge = Bridge("--trusted-proxy", "127.0.0.1", "--trusted-proxy", "fd00::/8", origin="*")
    for headers in ("X-Forwarded-For: unknown\r\n", "X-Forwarded-For: 127.0.0.2, nobody\r\n", "Forwarded: for=_x\r\n",
                    "X-Forwarded-For: 127.0.0.2\r\nForwarded: for=127.0.0.3\r\n"):
        expect_equal(status_line(bridge, headers), b"HTTP/1.1 400 Bad Request", f"the answer to {headers!r}")
        # From elsewhere nobody looks at it.
        expect_equal(status_line(bridge, headers, source="127.0.0.5"), b"HTTP/1.1 101 Switching Protocols", "from elsewhere")
    expect_equal(refusals(bridge, "forwarded"), 4, "refusals that were counted")
    expect_equal([e["reason"] for e in bridge.events_named("bridge.refused")],
                 ["The header X-Forwarded-For is not understood.", "The header Forwarded is not understood."],
                 "what is told, once each")
    status = Offhook("wss-bridge", "--status", audio=None)
    expect_equal(status.wait_event("bridge.status")["refusals"]["forwarded"], 4, "refusals in --status")
    status.ends(0)
    bridge.stop()
    for value in ("proxy.example.com", "10.0.0.1/8", "10.0.0.0/33"):
        wrong = Offhook("wss-bridge", "--trusted-proxy", value, name="wrong", audio=None)
        expect_equal(wrong.exit_code(), 2, "exit code")
        said = wrong.stderr().strip()
        expect("--trusted-proxy" in said and value in said and "expected an IP address, or a network" in said, said)


@case("bridge: limits of one address are the client's behind a proxy, and say so", timeout=90)
def limits():
    # Of 258 connections an eighth may be silent, half of those from one address.
    resource.setrlimit(resource.RLIMIT_NOFILE, (344, 344))
    bridge = Bridge("--trusted-proxy", "127.0.0.1", origin="*")
    address = bridge.sockets["ws"]
    quiet = [WebClient(address, headers="X-Forwarded-For: 192.0.2.1\r\n") for _ in range(16)]
    other = WebClient(address, headers="X-Forwarded-For: 192.0.2.2\r\n")
    expect_equal(refusals(bridge, "silent"), 0, "connections that made way")
    more = WebClient(address, headers="X-Forwarded-For: 192.0.2.1\r\n")
    wait_until(lambda: refusals(bridge, "silent") == 1, "the oldest of that address makes way for one more")
    expect_equal(bridge.wait_event("bridge.refused")["source"], "192.0.2.1", "whose it was")
    for client, user in ((other, "anna"), (more, "ben")):
        expect_equal(register(client, user, USERS[user]), 200, f"{user} registers")
    expect(quiet, "they were there all the time")
    bridge.stop()
