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
