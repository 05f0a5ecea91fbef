"""Registrations and their flows (RFC 5626) through Kamailio: every transport, lost connections, NAT, fail-over."""

import time

from harness import (ALLOWANCE, Kamailio, Offhook, case, expect, expect_equal, free_port, make_certificate, wait_until,
                     workdir)
from relay import TcpRelay, UdpRelay

PASSWORD = {"OFFHOOK_PASSWORD": "secret"}


def towards(registrar, transport, port=None):
    """Arguments that lead to the registrar over that transport, by way of `port` when one is given."""
    port = port or (registrar.tls_port if transport in ("tls", "wss") else registrar.port)
    if transport in ("ws", "wss"):
        return ["--proxy", f"{transport}://127.0.0.1:{port}/ws"]
    return ["--registrar", f"sip:127.0.0.1:{port};transport={transport}", "--transport", transport]


@case("registered with outbound over UDP, TCP, TLS, WS and WSS; a killed connection is a new flow within 2 s", timeout=120)
def every_transport():
    certificate, ca = make_certificate()
    registrar = Kamailio(certificate=certificate, websocket=True, outbound=True)
    phones = {}
    for transport in ("udp", "tcp", "tls", "ws", "wss"):
        relay = None
        if transport != "udp":
            relay = TcpRelay(registrar.tls_port if transport in ("tls", "wss") else registrar.port)
        trace = workdir() / f"{transport}.trace"
        phone = Offhook("register", "--timeout", "100s", f"--trace={trace}", "--tls-ca", ca, "--aor",
                        f"sip:{transport}@127.0.0.1:{registrar.port}",
                        *towards(registrar, transport, relay and relay.port), env=PASSWORD, audio=None, name=transport)
        phones[transport] = phone, relay, trace
    for transport, (phone, relay, trace) in phones.items():
        event = phone.wait_event("account.registered", timeout=30)
        expect_equal(event["transport"], transport, "transport")
        expect(";ob" in event["contact"], f"{transport}: ob in {event['contact']}")
        text = trace.read_text()
        for part in ("Supported: path, outbound, gruu", "+sip.instance=\"<urn:uuid:", "reg-id=1", "Require: outbound",
                     "pub-gruu="):
            expect(part in text, f"{transport}: {part} in the trace")
    instances = {line.split("+sip.instance=")[1].split(";")[0] for _, _, trace in phones.values()
                 for line in trace.read_text().splitlines() if line.startswith("Contact: ") and "reg-id=1" in line
                 and "+sip.instance=" in line}
    expect_equal(len(instances), 1, f"instances of this installation in {instances}")
    for transport, (phone, relay, _) in phones.items():
        if not relay:
            continue
        seen, accepted = len(phone.events), relay.accepted
        cut = time.monotonic()
        relay.drop()
        again = phone.wait_event("account.registered", timeout=20, after=seen)
        took = again["seen"] - cut
        expect(took <= 2 + ALLOWANCE, f"{transport}: registered again {took:.2f} s after its connection was killed")
        expect_equal(relay.accepted, accepted + 1, f"{transport}: connections")
        expect(not phone.events_named("account.failed"), f"{transport}: no failure was told")
    for phone, relay, _ in phones.values():
        phone.stop()
        if relay:
            relay.close()


@case("a dialog outlives the connection it began on", timeout=90)
def dialog_outlives():
    registrar = Kamailio()
    relay = TcpRelay(registrar.port)
    bob = Offhook("answer", "--auto", "--then", "wait", "--timeout", "60s", "--aor", f"sip:bob@127.0.0.1:{registrar.port}",
                  env=PASSWORD, name="bob")
    bob.wait_event("account.registered")
    alice = Offhook("call", "--hangup-after", "4s", "--timeout", "40s", "--aor", f"sip:alice@127.0.0.1:{registrar.port}",
                    *towards(registrar, "tcp", relay.port), f"sip:bob@127.0.0.1:{registrar.port}", env=PASSWORD,
                    name="alice")
    alice.wait_event("call.answered", timeout=20)
    relay.drop()
    alice.ends(0)
    bob.ends(0)
    expect_equal(bob.events_named("call.ended")[0]["by"], "remote", "who ended it at bob's")
    relay.close()


@case("outbound proxies stand in for each other, for registrations and for calls without one")
def fail_over():
    registrar = Kamailio(challenge_calls=False)
    dead, good = f"sip:127.0.0.1:{free_port()};transport=tcp", registrar.uri("tcp")
    aor = ["--aor", f"sip:alice@127.0.0.1:{registrar.port}", "--proxy", dead, "--proxy", good]
    Offhook("register", "--once", "--timeout", "20s", *aor, env=PASSWORD, audio=None).ends(0)
    bob = Offhook("answer", "--auto", "--timeout", "40s", "--aor", f"sip:bob@127.0.0.1:{registrar.port}", env=PASSWORD,
                  name="bob")
    bob.wait_event("account.registered")
    call = Offhook("call", "--hangup-after", "300ms", "--timeout", "20s", *aor, f"sip:bob@127.0.0.1:{registrar.port}",
                   env=PASSWORD)
    call.ends(0)
    bob.ends(0)
    nobody = Offhook("register", "--once", "--timeout", "20s", "--aor", f"sip:alice@127.0.0.1:{registrar.port}",
                     "--proxy", dead, "--proxy", f"sip:127.0.0.1:{free_port()};transport=tcp", env=PASSWORD, audio=None)
    nobody.ends(20)


@case("two flows at once by two proxies; the account stands while one of them does", timeout=90)
def two_flows():
    registrar = Kamailio(outbound=True)
    relay = TcpRelay(registrar.port)
    config = workdir() / "two.toml"
    config.write_text(f'[account.alice]\naor = "sip:alice@127.0.0.1:{registrar.port}"\npassword = "secret"\nflows = 2\n'
                      f'proxy = ["sip:127.0.0.1:{relay.port};transport=tcp", "{registrar.uri("udp")}"]\n')
    config.chmod(0o600)
    phone = Offhook("register", "--timeout", "60s", "-c", config, "-a", "alice", audio=None)
    first = phone.wait_event("account.registered", {"flow": 1})
    second = phone.wait_event("account.registered", {"flow": 2})
    expect_equal((first["transport"], second["transport"]), ("tcp", "udp"), "transports")
    query = Offhook("register", "--query", "--timeout", "20s", "-c", config, "-a", "alice", audio=None)
    query.ends(0)
    told = str(query.events)
    expect("reg-id=1" in told and "reg-id=2" in told, f"both bindings are listed: {told}")
    relay.close()  # for good
    wait_until(lambda: [e for e in phone.events_named("log") if "flow 1" in e.get("text", "")] or
               [e for e in phone.events_named("account.registered") if e["flow"] == 1 and e["transport"] == "udp"],
               "flow 1 is told to be down, or went to the other proxy", 30)
    expect(not phone.events_named("account.failed"), "the account has not failed")
    phone.stop()


@case("STUN keep-alives: a NAT that forgot us is noticed and the flow made anew", timeout=60)
def nat_moved():
    registrar = Kamailio(outbound=True)
    relay = UdpRelay(registrar.port)
    phone = Offhook("register", "--timeout", "50s", "--aor", f"sip:alice@127.0.0.1:{registrar.port}",
                    *towards(registrar, "udp", relay.port), env=PASSWORD, audio=None)
    phone.wait_event("account.registered")
    time.sleep(2.5)  # two keep-alives: the first tells that STUN is spoken, and our address
    seen = len(phone.events)
    relay.move()
    moved = time.monotonic()
    again = phone.wait_event("account.registered", timeout=15, after=seen)
    expect(again["seen"] - moved <= 5 + ALLOWANCE, f"registered anew after {again['seen'] - moved:.1f} s")
    phone.stop()


@case("behind a NAT the answer to a call names the address that the registrar saw")
def nat_incoming():
    registrar = Kamailio(challenge_calls=False)
    relay = UdpRelay(registrar.port)
    outside = f"127.0.0.1:{relay.far.getsockname()[1]}"
    trace = workdir() / "alice.sip"
    alice = Offhook("answer", "--auto", "--then", "wait", "--timeout", "50s", f"--trace={trace}", "--aor",
                    f"sip:alice@127.0.0.1:{registrar.port}", *towards(registrar, "udp", relay.port), env=PASSWORD,
                    name="alice")
    alice.wait_event("account.registered", {"contact": lambda contact: outside in contact})
    bob = Offhook("call", "--hangup-after", "500ms", "--timeout", "30s", "--proxy", registrar.uri("udp"),
                  f"sip:alice@127.0.0.1:{registrar.port}", name="bob")
    bob.ends(0)
    alice.ends(0, 10)  # by the BYE, which found its way
    answer = trace.read_text().split("INVITE sip:", 1)[1].split("SIP/2.0 200", 1)[1].split("\n--- ", 1)[0]
    expect(f"@{outside}" in answer, f"Contact {outside} in the answer: {answer}")


@case("the public GRUU is the Contact of calls when wished for, and requests to it arrive", timeout=60)
def gruu():
    registrar = Kamailio(outbound=True)
    config = workdir() / "gruu.toml"
    config.write_text(f'[account.alice]\naor = "sip:alice@127.0.0.1:{registrar.port}"\npassword = "secret"\ngruu = true\n')
    config.chmod(0o600)
    trace = workdir() / "gruu.trace"
    bob = Offhook("answer", "--auto", "--hangup-after", "700ms", "--timeout", "40s", "--aor",
                  f"sip:bob@127.0.0.1:{registrar.port}", env=PASSWORD, name="bob")
    bob.wait_event("account.registered")
    alice = Offhook("call", "--then", "wait", "--timeout", "30s", "-c", config, "-a", "alice", f"--trace={trace}",
                    f"sip:bob@127.0.0.1:{registrar.port}", name="alice")
    alice.ends(0)
    expect_equal(alice.events_named("call.ended")[0]["by"], "remote", "who ended it")
    contacts = [line for line in trace.read_text().splitlines() if line.startswith("Contact: ") and ";gr=" in line
                and "pub-gruu" not in line]
    expect(contacts, "the INVITE has the GRUU as Contact")
    bob.ends(0)


@case("the account of a call is chosen by the target's pattern")
def by_rule():
    registrar = Kamailio()
    config = workdir() / "rules.toml"
    config.write_text(f'[account.home]\naor = "sip:home@127.0.0.1:{registrar.port}"\npassword = "wrong"\n'
                      f'[account.office]\naor = "sip:office@127.0.0.1:{registrar.port}"\npassword = "secret"\n'
                      'targets = ["0*"]\n')
    config.chmod(0o600)
    call = Offhook("call", "--timeout", "20s", "-c", config, "0123")
    expect_equal(call.ends(13).get("code"), 404, "code")  # office's password let it through
    expect_equal(call.events_named("call.ended")[0]["account"], "office", "account")
