"""The peers against each other: what these cases show of the harness, the other cases rely on."""

from harness import Baresip, Kamailio, case, expect, expect_equal, expect_tone, make_certificate, wait_until


@case("two baresips hear each other's tone")
def tone_between_peers():
    certificate, ca = make_certificate()
    alice, bob = (Baresip(name, codec="g722", hz=hz, transport="tls", certificate=certificate, ca=ca)
                  for name, hz in (("alice", 440), ("bob", 660)))
    alice.dial(bob.uri())
    alice.wait_event("CALL_ESTABLISHED")
    bob.wait_event("CALL_RTPESTAB")
    alice.command("sndcode", "12#")
    bob.wait_event("CALL_DTMF_START", match=lambda e: e["param"] == "#")
    expect_equal(bob.digits(), "12#", "digits")
    alice.hangup()
    bob.wait_event("CALL_CLOSED")
    expect_tone(bob.heard, 440, -15, 0.2)
    expect_tone(alice.heard, 660, -15, 0.2)


@case("baresip registers with Kamailio, which forgets it when restarted")
def registrar():
    kamailio = Kamailio()
    carol = Baresip("carol", registrar=f"127.0.0.1:{kamailio.port}", account=";regint=30;auth_pass=secret")
    wait_until(lambda: "200 OK" in carol.stdout(), "carol is registered")
    expect_equal(kamailio.seen("REGISTER"), 2, "REGISTERs")
    kamailio.restart()
    expect(kamailio.process.alive(), "kamailio runs again")
