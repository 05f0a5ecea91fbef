"""Busy lamps: the phone tells those who may watch how its calls stand (RFC 4235)."""

from harness import Offhook, Sipp, case, expect_equal, wait_until, workdir

CONFIG = """[presence]
watchers = ["sip:reception@example.test", "sip:*@office.test"]
"""


def watched(*args):
    config = workdir() / "offhook.toml"
    config.write_text(CONFIG)
    phone = Offhook("answer", "-c", config, "--listen", "udp:127.0.0.1:0", "--timeout", "50s", *args, name="watched")
    return phone, phone.port()


@case("a watcher sees a call ring, stand, be held and end")
def watch_calls():
    phone, port = watched("--count", "2", "--delay", "700ms", "--do", "wait answer; wait 500ms; hold; wait 500ms; hangup")
    watcher = Sipp("uac_watch", target=f"127.0.0.1:{port}", keys={"watcher": "reception@example.test"})
    caller_may_start(watcher)
    Offhook("call", "--then", "wait", "--timeout", "30s", f"sip:callee@127.0.0.1:{port}", name="caller").ends(0)
    watcher.succeeds()
    phone.signal(15)
    phone.ends(130)


def caller_may_start(watcher):
    """The subscription stands: its first NOTIFY came."""
    wait_until(lambda: watcher.received("NOTIFY"), "the first NOTIFY")


@case("who may not watch, and what nobody can")
def refused():
    phone, port = watched()
    rows = [("reception@elsewhere.test", "dialog", "*/*", 403), ("reception@example.test", "presence", "*/*", 489),
            ("reception@example.test", "", "*/*", 489), ("x@office.test", "dialog", "application/pidf+xml", 406)]
    for watcher, event, accept, status in rows:
        Sipp("uac_watch_refused", target=f"127.0.0.1:{port}",
             keys={"watcher": watcher, "event": event, "accept": accept, "status": status}).succeeds()
    warnings = [e for e in phone.events_named("log") if "refused a watcher" in e["text"]]
    expect_equal(len(warnings), 1, "one line for the stranger")
    phone.signal(15)
    phone.ends(130)


@case("offhook watch sees an offhook ring, talk and be free again; a stranger is refused")
def both_ways():
    phone, port = watched("--count", "2", "--delay", "500ms", "--then", "wait")
    uri = f"sip:callee@127.0.0.1:{port}"

    def watch(name, *args):
        return Offhook("watch", "--event", "dialog", "--aor", f"sip:{name}", "--timeout", "40s", *args, uri, audio=None,
                       name=f"watch-{name}")

    watch("desk@elsewhere.test").ends(12)
    watcher = watch("desk@office.test")
    watcher.wait_event("notify.received", {"content": lambda c: c.get("busy") is False})
    Offhook("call", "--hangup-after", "500ms", "--timeout", "30s", uri, name="caller").ends(0)
    for state in ("early", "confirmed"):
        told = watcher.wait_event("notify.received", {"content": lambda c, s=state: [d["state"] for d in c["dialogs"]] == [s]})
        expect_equal(told["content"]["busy"], True, f"busy while {state}")
    number = watcher.events.index(told)
    watcher.wait_event("notify.received", {"content": lambda c: c.get("busy") is False}, after=number)
    phone.signal(15)
    phone.ends(130)
    ended = watcher.wait_event("notify.received", {"state": "terminated"})
    expect_equal(ended["reason"], "noresource", "the phone says that it ends")
    watcher.stop()
