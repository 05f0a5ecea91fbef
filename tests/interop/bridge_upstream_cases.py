"""wss-bridge in front of somebody else's registrar (Kamailio), or with its media on somebody else's relay (rtpengine)."""

from bridge import USERS, Bridge, answering, edge, secret, web_phone
from browser import Chromium, Pages, WebPhone
from harness import Kamailio, Offhook, case, expect, expect_equal, wait_until, workdir, write_tone

LEVEL = -15.0


def account(registrar, user="ben"):
    """Options of an offhook that is a phone of `registrar` itself."""
    domain = f"127.0.0.1:{registrar.port}"
    return ["--aor", f"sip:{user}@{domain}", "--registrar", f"sip:{domain}", "--password-file",
            secret(registrar.password), "--listen", "udp:127.0.0.1:0"]


def lines(registrar, password, **users):
    """A configuration: each local user is a line of `registrar`."""
    text = ['[bridge]', 'domain = "house.test"', f'upstream = "sip:127.0.0.1:{registrar.port}"',
            'upstream_mode = "creds"']
    for user, line in users.items():
        file = workdir() / f"{user}.upstream"
        file.write_text(password + "\n")
        file.chmod(0o600)
        text += ["[[bridge.user]]", f'name = "{user}"', f'password = "{USERS[user]}"', f'upstream_user = "{line}"',
                 f'upstream_password_file = "{file}"']
    path = workdir() / "lines.toml"
    path.write_text("\n".join(text) + "\n")
    path.chmod(0o600)
    return path


@case("bridge: lines of Kamailio with passwords that the browsers do not know", timeout=120)
def credentials():
    pages, browser, registrar = Pages(), Chromium(), Kamailio()
    trace = workdir() / "lines.trace"
    bridge = Bridge("--trace=" + str(trace), name="lines",
                    config=lines(registrar, registrar.password, anna="line1", carl="line2"))
    expect(not bridge.events_named("bridge.upstream"), "nobody is here, nobody is registered upstream")
    page = WebPhone(browser, pages, bridge.web, "anna", USERS["anna"], hz=700, answer=True).registered()
    bridge.wait_event("bridge.upstream", {"user": "anna", "registered": True})
    tone = write_tone(workdir() / "tone.wav", 440, 30, 8000, dbfs=LEVEL)
    recording = workdir() / "ben.record.wav"
    # Out: Kamailio asks for a password (407), which the bridge has. The call is held and taken back inside it.
    phone = Offhook("answer", "--auto", "--play", tone, "--record", recording, "--then", "wait", *account(registrar),
                    name="ben")
    phone.wait_event("account.registered")
    call = page.call("sip:ben@house.test")
    page.event("confirmed", {"index": call})
    page.hears(440)
    incoming = phone.wait_event("call.incoming")
    expect(incoming["remote"].startswith("sip:line1@"), f"who calls: {incoming}")
    page.hold(call)
    page.resume(call)
    page.hears(440)
    page.do(call, 'sendDTMF("7", {transportType: "INFO"})')
    phone.wait_event("call.dtmf", {"digit": "7"})
    page.do(call, "terminate()")
    phone.wait_event("call.ended", {"by": "remote"})
    phone.ends(0)
    # In: to the line; the one who called hangs up. Then to it again, and the page hangs up.
    for by_page in (False, True):
        index = call + 1 + by_page
        how = ["--do", "wait answer; wait 30s"] if by_page else ["--hangup-after", "3s"]
        caller = Offhook("call", "--play", tone, *how, *account(registrar), "--timeout", "40s",
                         f"sip:line1@127.0.0.1:{registrar.port}", name=f"ben-{index}")
        page.event("confirmed", {"index": index})
        page.hears(440)
        if by_page:
            page.do(index, "terminate()")
        page.event("ended", {"index": index})
        caller.wait_event("call.ended", {"by": "remote" if by_page else "local"})
        caller.exit_code(20)
    # A call that is given up while it rings, and one to the other line, whom nobody answers for.
    ringing = Offhook("answer", "--delay", "30s", *account(registrar), name="ringing")
    ringing.wait_event("account.registered")
    index = page.call("sip:ben@house.test")
    ringing.wait_event("call.incoming")
    page.do(index, "terminate()")
    ringing.wait_event("call.ended", {"code": 487})
    index = page.call("sip:carl@house.test")
    expect_equal(page.event("failed", {"index": index}).get("status"), 404, "a line that is not registered")
    # The page goes: the line is given back.
    page.window.run("(phone.ua.stop(), null)")
    bridge.wait_event("bridge.upstream", {"user": "anna", "registered": False})
    caller = Offhook("call", *account(registrar), "--timeout", "20s", f"sip:line1@127.0.0.1:{registrar.port}", name="late")
    caller.wait_event("call.ended", {"code": 404})
    browser.quit()
    bridge.stop()
    told = trace.read_text() + bridge.stderr() + bridge.stdout()
    expect(registrar.password not in told.replace("loopback.test", ""), "the password is nowhere in the output")
    registrar.stop()


@case("bridge: a line whose password is wrong, and one for another realm", timeout=90)
def refused_lines():
    pages, browser, registrar = Pages(), Chromium(), Kamailio()
    bridge = Bridge(name="wrong", config=lines(registrar, "guess", anna="line1"))
    page = WebPhone(browser, pages, bridge.web, "anna", USERS["anna"], hz=700).registered()
    failed = bridge.wait_event("bridge.upstream", {"user": "anna", "registered": False})
    expect("wrong user or password" in failed["reason"], f"why: {failed}")
    index = page.call("sip:ben@house.test")
    # Not 401 or 407: the page would answer them with its own password.
    expect_equal(page.event("failed", {"index": index}).get("status"), 403, "a call with a wrong password")
    bridge.stop()
    config = lines(registrar, registrar.password, anna="line1")
    config.write_text(config.read_text() + 'upstream_realm = "elsewhere.test"\n')
    bridge = Bridge(name="realm", config=config)
    page = WebPhone(browser, pages, bridge.web, "anna", USERS["anna"], hz=700).registered()
    failed = bridge.wait_event("bridge.upstream", {"user": "anna", "registered": False})
    expect("no credentials for it" in failed["reason"], f"why: {failed}")
    bridge.stop()
    browser.quit()
    registrar.stop()


@case("bridge: in front of Kamailio, by Path and by Contact", timeout=150)
def kamailio_upstream():
    pages, browser = Pages(), Chromium()
    for mode, path in (("path", True), ("contact", False)):
        registrar = Kamailio(path=path)
        bridge = edge(registrar, "--upstream-mode", mode, name=f"edge-{mode}")
        domain = f"127.0.0.1:{registrar.port}"
        page = WebPhone(browser, pages, bridge.web, "anna", registrar.password, domain=domain, hz=700,
                        answer=True).registered()
        tone = write_tone(workdir() / f"{mode}.wav", 440, 30, 8000, dbfs=LEVEL)
        account = ["--aor", f"sip:ben@{domain}", "--registrar", f"sip:{domain}", "--password-file",
                   secret(registrar.password), "--listen", "udp:127.0.0.1:0"]
        phone = Offhook("answer", "--auto", "--play", tone, "--then", "wait", *account, name=f"ben-{mode}")
        phone.wait_event("account.registered")
        call = page.call(f"sip:ben@{domain}")
        page.event("confirmed", {"index": call})
        page.hears(440)
        page.do(call, "terminate()")
        phone.wait_event("call.ended", {"by": "remote"})
        phone.ends(0)
        # And the way in: the registrar finds the browser through the bridge.
        caller = Offhook("call", "--play", tone, "--hangup-after", "3s", *account, "--timeout", "30s",
                         f"sip:anna@{domain}", name=f"ben2-{mode}")
        page.event("confirmed", {"index": call + 1})
        page.hears(440)
        caller.ends(0)
        page.event("ended", {"index": call + 1})
        page.window.run("(phone.ua.stop(), null)")
        page.event("unregistered")
        bridge.stop()
        registrar.stop()
    browser.quit()
