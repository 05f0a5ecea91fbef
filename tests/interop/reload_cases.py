"""`ctl reload` and SIGHUP: the configuration of a running phone read again."""

import signal

from control import Control, ctl, running
from harness import Kamailio, Offhook, case, expect, expect_equal, wait_until, workdir


def write_config(registrar, *users, password="secret", extra="", **lines):
    """A configuration with an account of each user there; `lines`: more for the account of that name."""
    text = extra
    for user in users:
        text += (f'[account.{user}]\naor = "sip:{user}@127.0.0.1:{registrar.port}"\npassword = "{password}"\n'
                 f'transport = "udp"\n{lines.get(user, "")}\n')
    path = workdir() / "offhook.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path


def registered(control, *names):
    status = control.ask("status")["accounts"]
    return sorted(a["account"] for a in status if a["registered"]) == sorted(names)


@case("ctl reload: accounts come, change and go, the call in progress goes on")
def accounts():
    registrar = Kamailio(challenge_calls=False)
    config = write_config(registrar, "alice", "bob")
    phone, _ = running("-c", config, "--codecs", "pcmu")
    control = Control()
    for name in ("alice", "bob"):
        phone.wait_event("account.registered", {"account": name})
    expect_equal(ctl(0, "reload").stdout(), "", "nothing differs, nothing happens")
    caller = Offhook("call", "--codecs", "pcmu", "--then", "wait", "--timeout", "50s", "--proxy",
                     f"sip:127.0.0.1:{registrar.port}", f"sip:bob@127.0.0.1:{registrar.port}", name="caller")
    call = control.wait("call.incoming", account="bob")["call"]
    control.ask("answer", call=call)
    caller.wait_event("call.answered")

    before = registrar.seen("REGISTER")
    write_config(registrar, "alice", "carol", alice="expires = 120")
    answer = control.ask("reload")
    expect_equal((answer["ok"], answer["added"], answer["changed"], answer["removed"], answer["later"]),
                 (True, ["carol"], ["alice"], ["bob"], []), "what was done")
    control.wait("account.unregistered", account="bob")
    control.wait("account.registered", account="carol")
    wait_until(lambda: registered(control, "alice", "carol"), "the new accounts are registered", 5)
    expect(registrar.seen("REGISTER") >= before + 4, "un-REGISTER of two, REGISTER of two")
    Offhook("call", "--timeout", "20s", "--proxy", f"sip:127.0.0.1:{registrar.port}",
            f"sip:bob@127.0.0.1:{registrar.port}", name="to-bob").ends(13)

    expect_equal([c["state"] for c in control.ask("calls")["calls"]], ["confirmed"], "the call goes on")
    heard = caller.events_named("call.ended")
    expect_equal(heard, [], "the caller noticed nothing")
    control.ask("hold", call=call)  # its account answers for it still
    caller.wait_event("call.remote-hold")
    control.ask("hangup", call=call)
    caller.ends(0)

    other = Offhook("call", "--timeout", "30s", "--hangup-after", "300ms", "--proxy",
                    f"sip:127.0.0.1:{registrar.port}", f"sip:carol@127.0.0.1:{registrar.port}", name="to-carol")
    second = control.wait("call.incoming", account="carol")["call"]
    control.ask("answer", call=second)
    other.ends(0)
    ctl(0, "quit")
    phone.ends(0)


@case("SIGHUP reloads; an error in the file is one line that names it, and nothing changes")
def errors():
    registrar = Kamailio()
    config = write_config(registrar, "alice")
    phone, _ = running("-c", config)
    control = Control()
    phone.wait_event("account.registered", {"account": "alice"})
    registers = registrar.seen("REGISTER")
    for broken, where in (('[account.alice]\naor = "sip:al ice@"\n', "offhook.toml:2:"),
                          ("[account.alice\n", "offhook.toml:1:"),
                          ('[account.alice]\naor = "sip:a@b"\npassword_file = "/nowhere"\n', "/nowhere"),
                          ('[account.alice]\naor = "sip:a@b"\nproxy = ["sip:x", "ws://x"]\n', "alice"),
                          ('[tls]\nca_file = "/nowhere.pem"\n', "/nowhere.pem"),
                          ("[account.alice]\nfrobnicate = 1\n", "offhook.toml:2:")):
        config.write_text(broken)
        answer = control.ask("reload")
        text = answer.get("error", {}).get("text", "")
        expect(not answer["ok"] and where in text and "\n" not in text, f"{broken!r}: {answer}")
        expect(registered(control, "alice"), "alice stays registered")
    config.write_text("[account.alice]\nfrobnicate = 1\n")
    phone.signal(signal.SIGHUP)
    wait_until(lambda: "not reloaded: " in phone.stderr(), "the error is told", 5)
    expect_equal(len([line for line in phone.stderr().splitlines() if "frobnicate" in line]), 1, "lines about it")
    expect_equal(registrar.seen("REGISTER"), registers, "REGISTERs")

    write_config(registrar, "alice", "bob", extra='[network]\nlisten = "udp:127.0.0.1:1"\n')
    phone.signal(signal.SIGHUP)
    control.wait("account.registered", account="bob")
    expect(registered(control, "alice", "bob"), "both are registered")
    ctl(0, "quit")
    phone.ends(0)


@case("ctl message and watch: the running phone does both")
def message_and_watch():
    phone, uri = running()
    control = Control()
    sent = Offhook("ctl", "message", uri, "hello to myself", audio=None, name="message")
    expect_equal(sent.ends(0)["code"], 200, "accepted")
    expect_equal(control.wait("message.received")["text"], "hello to myself", "text")
    ctl(2, "message", uri)
    ctl(20, "message", "sip:nobody@127.0.0.1:9;transport=tcp", "hello")
    expect_equal(ctl(0, "watch", uri, "dialog").stdout().strip(), "watch w1", "ctl watch")
    ended = control.wait("notify.ended", watch="w1")  # nobody may watch this phone
    expect(ended["code"] >= 400, f"refused: {ended}")
    for verb, members, text in (("watch", {"target": uri}, "event"), ("watch", {"target": uri, "event": "weather"}, "weather"),
                                ("watch", {"target": uri, "event": "dialog", "expires": 0}, "expires"),
                                ("unwatch", {"watch": "w9"}, "w9"), ("unwatch", {}, "watch"),
                                ("message", {"target": uri}, "text")):
        answer = control.ask(verb, **members)
        expect(not answer["ok"] and text in answer["error"]["text"], f"{verb} {members}: {answer}")
    ctl(0, "quit")
    phone.ends(0)
