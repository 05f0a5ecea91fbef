"""The phone without a face: its control socket, ctl, and transfers of its calls."""

import os
import socket
import stat

from control import Control, ctl, running
from harness import Offhook, answerer, case, expect, expect_equal, wait_until, workdir, write_tone


@case("run: private socket, verbs and events, one phone at a time, quit")
def verbs():
    phone, uri = running("--codecs", "pcmu")
    path = workdir() / "offhook/control"
    expect_equal(stat.S_IMODE(path.stat().st_mode), 0o600, "mode of the socket")
    expect_equal(stat.S_IMODE(path.parent.stat().st_mode), 0o700, "mode of its directory")
    Offhook("run", "--listen", "udp:127.0.0.1:0").ends(20)
    expect(path.exists(), "the first phone's socket is still there")
    control = Control()
    expect_equal(control.ask("status")["calls"], [], "no calls")
    for request, text in ((b"rubbish\n", "JSON object"), (b"[1]\n", "JSON object"), (b'{"id":9}\n', "unknown verb"),
                          (b'{"verb":"dail"}\n', "dial"), (b'{"verb":"dial"}\n', "target"),
                          (b'{"verb":"hold"}\n', "no call"), (b'{"verb":"hold","call":"c9"}\n', "c9")):
        control.file.write(request)
        control.file.flush()
        answer = control.line()
        expect(not answer["ok"] and answer["error"]["code"] == 2 and text in answer["error"]["text"], f"{request}: {answer}")
    caller = Offhook("call", "--codecs", "pcmu", "--then", "wait", "--timeout", "40s", uri, name="caller")
    call = control.wait("call.incoming")["call"]
    expect_equal(control.ask("answer"), {"id": control.number, "ok": True}, "answer")
    control.wait("call.answered", call=call)
    ctl(0, "hold")
    control.wait("call.held", call=call)
    ctl(0, "resume", call)
    ctl(0, "dtmf", "12#", call)
    caller.wait_event("call.dtmf", {"digit": "#", "sent": False})
    expect("confirmed" in ctl(0, "calls").stdout(), "ctl calls")
    ctl(2, "hold", "c9")
    ctl(2, "flash")
    again = Control()
    expect_equal(again.ask("events", since=0)["ok"], True, "events")
    expect_equal(again.events[0]["seq"], 1, "replayed from the first")
    flood = socket.socket(socket.AF_UNIX)
    flood.connect(str(path))
    flood.sendall(b"x" * 70000)
    flood.settimeout(5)
    try:
        expect_equal(flood.recv(10), b"", "a line without end closes the connection")
    except ConnectionResetError:
        pass
    ctl(0, "hangup")
    caller.ends(0)
    ctl(0, "quit")
    phone.ends(0)
    expect(not path.exists(), "the socket is removed")
    ctl(20, "status")


@case("run: transfer of its calls, blind, attended, between two, and asked for")
def transfers():
    phone, uri = running("--refer", "ask")
    control = Control()
    for kind in ("blind", "attended", "joined", "refused"):
        first, first_uri = answerer("--refer", "allow" if kind != "refused" else "deny", "--timeout", "40s", name="first")
        second, second_uri = answerer("--timeout", "40s", name="second")
        call = control.ask("dial", target=first_uri)["call"]
        control.wait("call.answered", call=call)
        if kind == "joined":
            other = control.ask("dial", target=second_uri)["call"]
            control.wait("call.answered", call=other)
            expect(control.ask("transfer", call=call, to=other)["ok"], "transfer to a call")
            expect_equal(control.wait("call.transfer", call=call, done=True)["exit"], 0, "exit")
        else:
            mover = Offhook("transfer", "--call", call, "--timeout", "30s", *(["--attended"] if kind == "attended" else []),
                            second_uri, audio=None, name=f"transfer-{kind}")
            result = mover.ends(0 if kind != "refused" else 12)
            expect_equal(result["transfer"]["code"], 200 if kind != "refused" else 603, kind)
        if kind == "refused":
            control.wait("call.resumed", call=call)
            expect_equal([c["call"] for c in control.ask("calls")["calls"]], [call], "the call is still there")
            control.ask("hangup", call=call)
            second.signal(15)
        else:
            control.wait("call.ended", call=call)
            second.wait_event("call.answered")
            wait_until(lambda: not control.ask("calls")["calls"], "no call is left")
            second.signal(15)
        second.ends(130)
        first.ends(0)
    asked(control, uri)
    phone.signal(15)
    phone.ends(130)


def asked(control, uri):
    """A peer wants to hand the phone on: a client of the socket decides."""
    target, target_uri = answerer("--timeout", "40s", name="target")
    peer = Offhook("call", "--do", f'wait answer; transfer "{target_uri}"; wait end', "--timeout", "30s", uri, name="peer")
    call = control.wait("call.incoming")["call"]
    expect(control.ask("answer", call=call)["ok"], "answer")
    wanted = control.wait("call.transfer", call=call, asks=True)
    expect(wanted["target"].startswith("sip:callee@"), f"the target is told: {wanted}")
    expect(not control.ask("transfer", call=call, decision="perhaps")["ok"], "a decision is accept or refuse")
    ctl(0, "accept-transfer", call)
    ctl(2, "refuse-transfer", call)
    peer.ends(0)
    control.wait("call.transfer", call=call, role="transferee", done=True, exit=0)
    expect_equal([c["call"] for c in control.ask("calls")["calls"]], [call], "it goes on under its number")
    control.ask("hangup", call=call)
    target.ends(0)


@case("run: a socket left behind is replaced, a directory others may enter is not used")
def left_behind():
    phone, _ = running()
    phone.popen.kill()
    phone.popen.wait()
    expect((workdir() / "offhook/control").exists(), "it could not clean up")
    phone = Offhook("run", "--listen", "udp:127.0.0.1:0", name="again")
    phone.wait_event("listening")
    wait_until(lambda: ctl_works(), "the new phone answers")
    phone.signal(15)
    phone.ends(130)
    os.chmod(workdir() / "offhook", 0o755)
    Offhook("run", "--listen", "udp:127.0.0.1:0").ends(20)
    os.chmod(workdir() / "offhook", 0o700)


def ctl_works():
    process = Offhook("ctl", "status", raw=True, audio=None)
    return process.exit_code(10) == 0


@case("conference of two calls: each hears the other, leave ends it", timeout=90)
def conference():
    phone, uri = running("--codecs", "pcmu")
    control = Control()
    callers = []
    # Whole seconds of silence first: both are there when the tones begin.
    for name, sends, hears in (("alice", 440, 800), ("carol", 800, 440)):
        tone = write_tone(workdir() / f"{name}.wav", sends, 20)
        callers.append(Offhook("call", "--codecs", "pcmu", "--play", tone, "--expect-tone", hears, "--then", "hangup",
                               "--timeout", "40s", uri, name=name))
        control.wait("call.incoming", call=f"c{len(callers)}")
        expect(control.ask("answer", call=f"c{len(callers)}")["ok"], "answer")
    expect_equal(control.ask("conference", call="c1")["ok"], False, "a conference takes two")
    expect_equal(control.ask("leave", call="c1")["ok"], False, "not in one yet")
    ctl(0, "conference", "c1", "c2")
    expect(all(c["in_conference"] for c in control.ask("calls")["calls"]), "both are in the conference")
    for caller in callers:
        caller.ends(0, 45)
    phone.stop()
