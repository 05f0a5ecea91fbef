"""Networks and peers that fail, and how fast and with what exit code offhook tells."""

import re
import signal
import socket

from harness import (ALLOWANCE, Offhook, Sipp, case, expect, expect_equal, expect_tone, wait_until,
                     workdir, write_tone)

# A program without sanitizers starts in some milliseconds; a busy machine may take longer.
START = 0.25


def closed_port(kind):
    """(port that refuses, the socket that keeps it from others): a TCP socket that does not listen, or a UDP
    socket that is connected elsewhere, to which the kernel delivers nothing from here."""
    keeper = socket.socket(socket.AF_INET, kind)
    keeper.bind(("127.0.0.1", 0))
    if kind == socket.SOCK_DGRAM:
        keeper.connect(("127.0.0.1", 9))
    return keeper.getsockname()[1], keeper


@case("a closed UDP port: exit 20 within 100 ms", serial=True)
def udp_refused():
    times = []
    for _ in range(3):
        trace = workdir() / f"trace-{len(times)}.txt"
        port, keeper = closed_port(socket.SOCK_DGRAM)
        phone = Offhook("call", f"--trace={trace}", f"sip:bob@127.0.0.1:{port};transport=udp", plain=True)
        phone.ends(20)
        sent = phone.wait_event("call.outgoing")
        ended = phone.wait_event("call.ended")
        expect_equal(ended["by"], "network", "by")
        expect("refused" in str(ended["reason"]).lower(), f"reason {ended['reason']}")
        keeper.close()
        expect("INVITE sip:bob" in trace.read_text(), "the INVITE was sent")
        times.append(stamp(phone.result) - stamp(sent))
    # The median: the machine may be busy with something else once.
    expect(sorted(times)[1] <= 0.1, f"from INVITE to the end: {times}")


def stamp(event):
    """Seconds of the day from the event's own time stamp."""
    hours, minutes, seconds = re.search(r"T(\d+):(\d+):([\d.]+)Z", event["ts"]).groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


@case("a refused TCP connection: exit 20 at once")
def tcp_refused():
    port, keeper = closed_port(socket.SOCK_STREAM)
    phone = Offhook("call", "--timeout", "10s", f"sip:bob@127.0.0.1:{port};transport=tcp")
    result = phone.ends(20, 5 + ALLOWANCE)
    expect_equal(result.get("code", 0) or 0, 0, "no SIP status")
    phone = Offhook("call", "--timeout", "10s", f"sip:bob@127.0.0.1:{port};transport=tls")
    phone.ends(20, 5 + ALLOWANCE)
    keeper.close()


@case("a name that does not exist: exit 20 and the name")
def unknown_name():
    phone = Offhook("call", "--timeout", "20s", "sip:bob@nowhere.invalid")
    phone.ends(20)
    expect("nowhere.invalid" in phone.stderr() + phone.stdout(), "the name is told")


@case("a connection that closes instead of answering: exit 20")
def connection_lost():
    with socket.create_server(("127.0.0.1", 0)) as server:
        phone = Offhook("call", "--timeout", "10s", f"sip:bob@127.0.0.1:{server.getsockname()[1]};transport=tcp")
        link, _ = server.accept()
        link.recv(4096)
        link.close()
        phone.ends(20, 8)


def within_timeout(*args, env=None, event=None, **options):
    """`args` with --timeout 3s ends with 124 after 3.0 to 3.1 s, counted from the start of the process."""
    phone = Offhook(*args, "--timeout", "3s", plain=True, env=env, **options)
    if event:
        phone.wait_event(event)
    phone.ends(124, 6)
    took = phone.events[-1]["seen"] - phone.started
    expect(3.0 <= took <= 3.1 + START, f"--timeout 3s took {took:.3f} s")
    first = phone.events[0]
    expect(stamp(phone.result) - stamp(first) <= 3.1, "from the first event to the last at most 3.1 s")
    return phone


@case("--timeout with no answer at all", serial=True)
def timeout_silent():
    peer = Sipp("silent", keys={"pause": 8000})
    within_timeout("call", peer.uri())
    expect(len(peer.received("INVITE")) >= 3, "the INVITE is retransmitted")


@case("--timeout with only 100 Trying", serial=True)
def timeout_trying():
    peer = Sipp("trying_only", keys={"pause": 8000})
    within_timeout("call", peer.uri(), event="call.trying")


@case("--timeout while it rings sends CANCEL", serial=True)
def timeout_ringing():
    peer = Sipp("cancelled")
    within_timeout("call", peer.uri(), event="call.ringing")
    peer.succeeds()


@case("--timeout in a call sends BYE", serial=True)
def timeout_talking():
    peer = Sipp("answer")
    phone = within_timeout("call", "--then", "wait", peer.uri(), event="call.answered")
    peer.succeeds()
    expect_equal(phone.events_named("call.ended")[0]["by"], "timeout", "by")


@case("--timeout where no route leads", serial=True)
def timeout_no_route():
    # 192.0.2.0/24 is for documentation: nobody answers there. Where the machine has no route the call fails at
    # once, which is right too.
    phone = Offhook("call", "sip:bob@192.0.2.1", "--timeout", "3s", plain=True)
    code = phone.exit_code(6)
    expect(code in (124, 20), f"exit code {code}")
    if code == 124:
        took = phone.events[-1]["seen"] - phone.started
        expect(3.0 <= took <= 3.1 + START, f"--timeout 3s took {took:.3f} s")


@case("--timeout while a TCP connection does not come up", serial=True)
def timeout_connecting():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        others = [socket.socket() for _ in range(4)]
        for other in others:
            other.setblocking(False)
            other.connect_ex(full.getsockname())
        within_timeout("call", f"sip:bob@127.0.0.1:{full.getsockname()[1]};transport=tcp")
        for other in others:
            other.close()


@case("--timeout while registering", serial=True)
def timeout_registering():
    peer = Sipp("silent_any", keys={"pause": 8000})
    within_timeout("register", "--once", "--aor", f"sip:alice@127.0.0.1:{peer.port}", audio=None)
    expect(len(peer.received("REGISTER")) >= 3, "the REGISTER is retransmitted")


@case("--timeout while waiting for a call", serial=True)
def timeout_answer():
    within_timeout("answer", "--listen", "udp:127.0.0.1:0")


@case("503 with Retry-After is waited for", timeout=60)
def retry_after():
    peer = Sipp("register_503")
    phone = Offhook("register", "--aor", f"sip:alice@127.0.0.1:{peer.port}", audio=None)
    failed = phone.wait_event("account.failed")
    expect_equal(failed["code"], 503, "code")
    expect(2000 <= failed["retry_ms"] <= 2400, f"retry_ms {failed['retry_ms']}")
    registered = phone.wait_event("account.registered")
    expect(1.9 <= registered["seen"] - failed["seen"] <= 3.5, "tries again after two seconds")
    phone.signal(signal.SIGTERM)
    peer.succeeds()
    expect_equal(phone.exit_code(5), 130, "exit code")


@case("423 is answered with a longer interval")
def interval_too_brief():
    peer = Sipp("register_423")
    phone = Offhook("register", "--once", "--expires", "10s", "--timeout", "10s", "--aor",
                    f"sip:alice@127.0.0.1:{peer.port}", audio=None)
    phone.ends(0)
    second = peer.received("REGISTER")[1]
    expect(re.search(r"(?im)^Expires: 90\b|expires=90\b", second), f"90 s in {second}")


@case("a peer that goes away: no RTP ends the call, the recording stays playable", timeout=60)
def peer_vanishes():
    peer = Sipp("answer")
    tone = write_tone(workdir() / "tone.wav", 440, 10)
    recording = workdir() / "cut.wav"
    phone = Offhook("call", "--play", tone, "--record", recording, "--hangup-after", "2s", "--timeout", "20s",
                    peer.uri())
    phone.wait_event("call.answered")
    wait_until(lambda: recording.exists() and recording.stat().st_size > 20000, "half a second is recorded")
    peer.popen.kill()
    code = phone.exit_code(15)
    expect(code in (0, 20), f"exit code {code}")
    expect_tone(recording, 440, -12, 0.3)


@case("a port in use: exit 2 or 20, one line that names it")
def port_in_use():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        phone = Offhook("answer", "--listen", f"udp:127.0.0.1:{port}", raw=True)
        code = phone.exit_code(10)
        expect(code in (2, 20), f"exit code {code}")
        lines = [line for line in phone.stderr().splitlines() if line.strip()]
        expect(any(str(port) in line and "in use" in line for line in lines), f"names the port: {lines}")
