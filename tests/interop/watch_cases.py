"""watch: against Kamailio's presence server, and against servers of a few lines that misbehave."""

import re
import signal
import socket
import threading

from harness import Kamailio, Offhook, case, expect, expect_equal, wait_until, workdir

PIDF = """<?xml version="1.0"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="{entity}">
<tuple id="t1"><status><basic>{basic}</basic></status><note>{note}</note></tuple></presence>
"""
DIALOG = """<?xml version="1.0"?>
<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" entity="{entity}">
<dialog id="d1" call-id="c1" direction="recipient"><state>{state}</state>
<remote><identity>sip:200@pbx</identity><target uri="sip:200@pbx"/></remote></dialog></dialog-info>
"""
REG = """<?xml version="1.0"?>
<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="0" state="full"><registration aor="{entity}" id="r" state="active">
<contact id="k" state="active" event="registered"><uri>sip:alice@192.0.2.9</uri></contact></registration></reginfo>
"""
MWI = "Messages-Waiting: yes\r\nMessage-Account: {entity}\r\nVoice-Message: 3/1 (1/0)\r\n"


def publish(server, user, event, kind, text, entity=None, **values):
    """What an agent of `user` would publish, by `offhook send`."""
    entity = entity or f"sip:{user}@127.0.0.1:{server.port}"
    path = workdir() / "publish.xml"
    path.write_bytes(text.format(entity=entity, **values).encode())
    done = Offhook("send", "--method", "PUBLISH", "--header", f"Event: {event}", "--header", f"Content-Type: {kind}",
                   "--header", "Expires: 60", "--body", f"@{path}", "--expect", "2xx", entity, audio=None, name="publish")
    done.ends(0)


def watch(server, user, event, *args):
    return Offhook("watch", "--event", event, "--timeout", "50s", *args, f"sip:{user}@127.0.0.1:{server.port}", audio=None,
                   name=f"watch-{event}")


@case("presence, dialog, voice mail, registrations: what is published to Kamailio is told, and the subscription removed at the end",
      timeout=120)
def kamailio():
    server = Kamailio(presence=True)
    watchers = {event: watch(server, "alice", event) for event in ("presence", "dialog", "message-summary", "reg")}
    for event in watchers:
        wait_until(lambda e=event: server.seen("SUBSCRIBE") >= 4, "four SUBSCRIBEs arrive")
    for event, watcher in watchers.items():
        watcher.wait_event("notify.received", {"package": event})
    publish(server, "alice", "presence", "application/pidf+xml", PIDF, basic="open", note="at my desk")
    got = watchers["presence"].wait_event("notify.received", {"content": lambda c: c.get("basic") == "open"})
    expect(got["summary"].endswith(": open (at my desk)"), f"summary {got['summary']}")
    expect_equal(got["state"], "active", "state")
    publish(server, "alice", "dialog", "application/dialog-info+xml", DIALOG, state="confirmed")
    got = watchers["dialog"].wait_event("notify.received", {"content": lambda c: c.get("busy") is True})
    expect(got["summary"].endswith(": confirmed from sip:200@pbx"), f"summary {got['summary']}")
    publish(server, "alice", "message-summary", "application/simple-message-summary", MWI)
    got = watchers["message-summary"].wait_event("notify.received", {"content": lambda c: c.get("waiting") is True})
    expect_equal(got["content"]["messages"]["voice"], {"new": 3, "old": 1, "urgent_new": 1, "urgent_old": 0}, "counts")
    publish(server, "alice", "reg", "application/reginfo+xml", REG)
    got = watchers["reg"].wait_event("notify.received", {"content": lambda c: bool(c.get("registrations"))})
    expect(got["summary"].endswith(": active at sip:alice@192.0.2.9"), f"summary {got['summary']}")
    before = server.seen("SUBSCRIBE")
    for watcher in watchers.values():
        watcher.signal(signal.SIGINT)
    for watcher in watchers.values():
        watcher.ends(130)
    expect_equal(server.seen("SUBSCRIBE") - before, 4, "SUBSCRIBEs with Expires: 0")


@case("refreshes in time, --count, text, a package the server does not know, nobody there", timeout=90)
def more():
    server = Kamailio(presence=True)
    short = watch(server, "bob", "presence", "--expires", "4s")
    short.wait_event("notify.received")
    wait_until(lambda: server.seen("SUBSCRIBE") >= 3, "two refreshes within 4 s each", 12)
    expect(not short.events_named("notify.ended"), "it did not end between")
    short.stop()
    publish(server, "bob", "presence", "application/pidf+xml", PIDF, basic="closed", note="gone \x27 home")
    once = Offhook("watch", "--event", "presence", "--count", "1", "--timeout", "20s", f"sip:bob@127.0.0.1:{server.port}",
                   raw=True, audio=None)
    expect_equal(once.exit_code(), 0, "exit code of --count 1")
    expect(re.fullmatch(r"sip:bob@127\.0\.0\.1:\d+: closed \(gone ' home\)\n|nothing known\n", once.stdout()),
           once.stdout())
    plain = Kamailio()
    refused = Offhook("watch", "--event", "reg", "--timeout", "20s", f"sip:x@127.0.0.1:{plain.port}", audio=None)
    refused.ends(13)
    expect_equal(refused.events_named("notify.ended")[0]["code"], 404, "code")
    Offhook("watch", "--event", "reg", "--timeout", "20s", "sip:127.0.0.1:9", audio=None).ends(20)


class Notifier(threading.Thread):
    """Answers every SUBSCRIBE with 202 and then sends the NOTIFYs it was made with, each a function of its
    subscription's headers."""

    def __init__(self, *notifies, answer=202):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.notifies, self.answer, self.seen, self.responses = notifies, answer, [], []
        self.start()

    def run(self):
        while True:
            data, peer = self.socket.recvfrom(65536)
            text = data.decode(errors="replace")
            if text.startswith("SIP/2.0"):
                self.responses.append(int(text.split()[1]))
                continue
            self.seen.append(text)
            def header(name):
                return re.search(rf"^{name}: (.*?)\r$", text, re.M)[1]
            tagged = header("To") if ";tag=" in header("To") else header("To") + ";tag=there"
            self.socket.sendto((f"SIP/2.0 {self.answer} Fine\r\nVia: {header('Via')}\r\nFrom: {header('From')}\r\nTo: {tagged}\r\n"
                                f"Call-ID: {header('Call-ID')}\r\nCSeq: {header('CSeq')}\r\nExpires: 60\r\n"
                                f"Contact: <sip:n@127.0.0.1:{self.port}>\r\nContent-Length: 0\r\n\r\n").encode(), peer)
            if self.answer >= 300 or len(self.seen) > 1:
                continue
            target = re.search(r"<(.*?)>", header("Contact"))[1]
            for number, make in enumerate(self.notifies):
                state, kind, body = make()[:3]
                extra = make()[3] if len(make()) > 3 else {}
                self.socket.sendto((f"NOTIFY {target} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{self.port};branch=z9hG4bKn{number}\r\n"
                                    f"Max-Forwards: 70\r\nFrom: {extra.get('from', tagged)}\r\nTo: {header('From')}\r\n"
                                    f"Call-ID: {header('Call-ID')}\r\nCSeq: {number + 10} NOTIFY\r\n"
                                    f"Event: {extra.get('event', header('Event'))}\r\nSubscription-State: {state}\r\n"
                                    f"Contact: <sip:n@127.0.0.1:{self.port}>\r\nContent-Type: {kind}\r\n"
                                    f"Content-Length: {len(body.encode())}\r\n\r\n{body}").encode(), peer)

    def uri(self):
        return f"sip:x@127.0.0.1:{self.port}"


@case("documents that bite: entities, nonsense, foreign types and dialogs; the watch goes on")
def hostile():
    xml = "application/pidf+xml"
    bomb = "<!DOCTYPE p [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><presence entity=\"x\"><note>&a;</note></presence>"
    server = Notifier(
        lambda: ("active;expires=60", xml, bomb),
        lambda: ("active", xml, "<presence"),
        lambda: ("active", "text/plain", "hello"),
        lambda: ("active", xml, PIDF.format(entity="sip:x@y", basic="open", note="&#x9b;31m")),
        lambda: ("active", xml, "", {"from": "<sip:evil@h>;tag=evil"}),
        lambda: ("active", xml, "", {"event": "dialog"}),
        lambda: ("terminated;reason=noresource", xml, ""))
    watcher = Offhook("watch", "--event", "presence", "--timeout", "20s", server.uri(), audio=None)
    watcher.ends(15)
    notes = watcher.events_named("notify.received")
    expect_equal(len(notes), 5, f"NOTIFYs that were ours: {[n['summary'] for n in notes]}")
    for note, says in zip(notes, ("DOCTYPE", "not understood: XML", "expected application/pidf+xml", "open", "nothing known")):
        expect(says in note["summary"], f"{says!r} in {note['summary']!r}")
    expect("\x9b" not in notes[3]["summary"] and "root:" not in str(notes), "nothing harmful, nothing from outside")
    expect_equal(sorted(server.responses), [200, 200, 200, 200, 200, 481, 489], "answers to the NOTIFYs")
    expect_equal(watcher.events_named("notify.ended")[0]["retry_ms"], None, "noresource is for good")


@case("a subscription that the server ends is made anew")
def again():
    server = Notifier(lambda: ("terminated;reason=deactivated", "application/pidf+xml", ""))
    watcher = Offhook("watch", "--event", "presence", server.uri(), audio=None)
    ended = watcher.wait_event("notify.ended")
    expect(1000 <= ended["retry_ms"] <= 5000, f"retry {ended}")
    wait_until(lambda: len(server.seen) >= 2, "a second SUBSCRIBE", 15)
    first, second = (re.search(r"Call-ID: (\S+)", text)[1] for text in server.seen[:2])
    expect(first != second, "a new dialog")
    watcher.stop()
    watcher.check_sanitizers()
