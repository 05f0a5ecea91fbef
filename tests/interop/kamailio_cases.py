"""Kamailio as registrar and proxy with digest authentication."""

from harness import (Kamailio, Offhook, case, expect, expect_equal, expect_tone, make_certificate,
                     wait_until, workdir, write_tone)


def account(registrar, user, password="secret", transport="udp"):
    """Arguments and environment of `user`'s account there."""
    port = registrar.tls_port if transport == "tls" else registrar.port
    return (["--aor", f"sip:{user}@127.0.0.1:{port}", "--transport", transport],
            {"OFFHOOK_PASSWORD": password})


def register(registrar, user, *args, password="secret", transport="udp"):
    options, env = account(registrar, user, password, transport)
    return Offhook("register", "--timeout", "30s", *options, *args, env=env, audio=None)


def register_once(algorithm, transport="udp", **more):
    registrar = Kamailio(algorithm=algorithm, **more)
    phone = register(registrar, "alice", "--once", transport=transport)
    phone.ends(0)
    registered = phone.events_named("account.registered")
    expect_equal(len(registered), 1, "account.registered")
    expect(registered[0]["expires_ms"] > 0, "expires_ms")
    return registrar, phone


@case("register --once with MD5: two REGISTERs, and the binding is removed at the end")
def once_md5():
    registrar, _ = register_once("MD5")
    expect(registrar.seen("REGISTER") >= 2, "REGISTERs")


@case("register --once with SHA-256")
def once_sha256():
    register_once("SHA-256")


@case("register over TCP")
def once_tcp():
    register_once("MD5", "tcp")


@case("register over TLS, verified")
def once_tls():
    certificate, ca = make_certificate()
    registrar = Kamailio(certificate=certificate)
    register(registrar, "alice", "--once", "--tls-ca", ca, transport="tls").ends(0)
    stranger = register(registrar, "alice", "--once", transport="tls")
    stranger.ends(21)
    register(registrar, "alice", "--once", "--tls-insecure", transport="tls").ends(0)


@case("a wrong password: exactly two REGISTERs, exit 14")
def wrong_password():
    registrar = Kamailio()
    phone = register(registrar, "alice", "--once", password="n0t-the-0ne")
    phone.ends(14)
    expect_equal(registrar.seen("REGISTER"), 2, "REGISTERs")
    failed = phone.events_named("account.failed")
    expect_equal((len(failed), failed[0]["code"], failed[0]["exit"]), (1, 401, 14), "account.failed")
    expect("n0t-the-0ne" not in phone.stdout() + phone.stderr(), "the password is printed")


@case("--query lists the bindings, --unregister removes them")
def query():
    registrar = Kamailio()
    phone = register(registrar, "alice")
    contact = phone.wait_event("account.registered")["contact"]
    listed = register(registrar, "alice", "--query")
    result = listed.ends(0)
    told = str(result) + str(listed.events)
    host_port = contact.split("@")[-1].split(";")[0].strip("<>")
    expect(host_port in told, f"--query tells {host_port}: {told}")
    register(registrar, "alice", "--unregister").ends(0)
    empty = register(registrar, "alice", "--query")
    empty.ends(0)
    expect(host_port not in str(empty.events), f"no binding is left: {empty.events}")
    phone.stop()


@case("stopped and started again, the registrar knows us within 10 s", timeout=90)
def restart():
    registrar = Kamailio()
    options, env = account(registrar, "alice")
    phone = Offhook("register", "--expires", "8s", *options, env=env, audio=None)
    phone.wait_event("account.registered")
    registrar.stop()
    phone.wait_event("account.failed", timeout=30)
    seen = len(phone.events)
    registrar.start_again()
    again = phone.wait_event("account.registered", timeout=20, after=seen)
    listening = registrar.process.started
    expect(again["seen"] - listening <= 10, f"registered again {again['seen'] - listening:.1f} s after the start")
    phone.stop()
    wait_until(lambda: not phone.alive(), "the phone ends")
    expect_equal(phone.exit_code(), 130, "exit code")


@case("a call through the proxy, both ends registered and challenged")
def through_proxy():
    registrar = Kamailio()
    theirs, env = account(registrar, "bob")
    tone_bob = write_tone(workdir() / "bob.wav", 660, 6, dbfs=-15)
    tone_alice = write_tone(workdir() / "alice.wav", 440, 6, dbfs=-15)
    recording = workdir() / "call.wav"
    bob = Offhook("answer", "--auto", "--play", tone_bob, "--then", "wait", "--timeout", "40s", *theirs, env=env,
                  name="bob")
    bob.wait_event("account.registered")
    ours, env = account(registrar, "alice")
    alice = Offhook("call", "--codecs", "pcma", "--play", tone_alice, "--record", recording, "--hangup-after", "2s",
                    "--header", "P-Asserted-Identity: <sip:boss@example.com>", "--header",
                    "History-Info: <sip:front@example.com?Reason=SIP%3Bcause%3D486>;index=1, <sip:bob@example.com>;index=1.1",
                    "--timeout", "30s", *ours, f"sip:bob@127.0.0.1:{registrar.port}", env=env, name="alice")
    result = alice.ends(0)
    expect_equal(result.get("code"), 200, "code")
    bob.ends(0)
    expect_equal(bob.events_named("call.ended")[0]["by"], "remote", "who ended it at bob's")
    incoming = bob.events_named("call.incoming")[0]
    expect_equal(incoming.get("asserted_identity"), "sip:boss@example.com", "the registrar's word")
    expect_equal(incoming.get("diversion"), [{"from": "sip:front@example.com", "reason": "SIP;cause=486"}], "diversion")
    expect(registrar.seen("INVITE") >= 2 and registrar.seen("BYE") == 1, "INVITE, challenge, INVITE, BYE")
    expect_tone(recording, 660, -15, 1.0, side=1)


@case("a call to somebody who is not registered: exit 13")
def not_registered():
    registrar = Kamailio()
    options, env = account(registrar, "alice")
    phone = Offhook("call", "--timeout", "20s", *options, "nobody", env=env)
    expect_equal(phone.ends(13).get("code"), 404, "code")


@case("a short number goes to the account's domain")
def bare_user():
    registrar = Kamailio()
    bob_options, env = account(registrar, "100")
    bob = Offhook("answer", "--auto", "--timeout", "40s", *bob_options, env=env, name="bob")
    bob.wait_event("account.registered")
    options, env = account(registrar, "alice")
    phone = Offhook("call", "--hangup-after", "300ms", "--timeout", "20s", *options, "100", env=env)
    phone.ends(0)
    bob.ends(0)
