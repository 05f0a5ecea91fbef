"""SIPp calls `offhook answer`: what must be answered, and how."""

import re

from harness import Sipp, answerer, case, expect, expect_equal
from wire import Wire, final_statuses


def scenario(name, *args, keys=None, exit_code=0, transport="u1", expect_end=True):
    """Runs a UAC scenario against `offhook answer`; (SIPp, offhook), both ended."""
    kind = {"u1": "udp", "t1": "tcp"}[transport]
    phone, uri = answerer("--timeout", "45s", *args, transport=kind)
    target = re.search(r"@([^;]+)", uri)[1]
    peer = Sipp(name, target, transport=transport, keys=keys, options=["-s", "callee"])
    peer.succeeds()
    if expect_end:
        phone.ends(exit_code)
    else:
        phone.stop()
        expect_equal(phone.exit_code(5), 130, "exit code after SIGTERM")
    return peer, phone


@case("a plain call over UDP and TCP")
def plain():
    for transport in ("u1", "t1"):
        _, phone = scenario("uac_call", keys={"pause": 400}, transport=transport)
        ended = phone.events_named("call.ended")[0]
        expect_equal((ended["by"], ended["code"], ended["direction"]), ("remote", 200, "incoming"), "call.ended")
        expect(ended["codec"].upper().startswith("PCMU"), f"codec {ended['codec']}")


def invite_text(port, wire, branch="z9hG4bKsame", call_id="same", body=True, extra=""):
    sdp = ("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
           "m=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n") if body else ""
    kind = "Content-Type: application/sdp\r\n" if body else ""
    return (f"INVITE sip:callee@127.0.0.1:{port} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{wire.local_port};branch={branch}\r\nMax-Forwards: 70\r\n"
            f"From: <sip:caller@127.0.0.1>;tag=caller\r\nTo: <sip:callee@127.0.0.1>\r\nCall-ID: {call_id}\r\n"
            f"CSeq: 1 INVITE\r\nContact: <sip:caller@127.0.0.1:{wire.local_port}>\r\n{extra}{kind}"
            f"Content-Length: {len(sdp)}\r\n\r\n{sdp}")


def in_dialog(method, number, wire, ok):
    """A request of the caller inside the dialog that the 200 `ok` made."""
    to, target = (re.search(pattern, ok)[1] for pattern in (r"(?m)^To: (.*)\r", r"(?m)^Contact: <([^>]+)>"))
    return (f"{method} {target} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{wire.local_port};branch=z9hG4bK{method}{number}\r\nMax-Forwards: 70\r\n"
            f"From: <sip:caller@127.0.0.1>;tag=caller\r\nTo: {to}\r\nCall-ID: same\r\nCSeq: {number} {method}\r\n"
            "Content-Length: 0\r\n\r\n")


@case("a retransmitted INVITE is one call, the 200 repeats until the ACK")
def retransmitted():
    # Not by SIPp: it takes a repeated 200 for a retransmission and sends its INVITE once more.
    phone, _ = answerer("--timeout", "30s")
    port = phone.port()
    wire = Wire(port)
    wire.send(invite_text(port, wire))
    first = wire.until(rb"SIP/2\.0 200").decode()
    wire.send(invite_text(port, wire))
    more = wire.until(rb"(?s)SIP/2\.0 200.*SIP/2\.0 200").decode()
    tags = set(re.findall(r"(?m)^To: .*tag=([^\r;]+)", first + more))
    expect_equal(len(tags), 1, "To tags")
    ok = first[first.index("SIP/2.0 200"):]
    wire.send(in_dialog("ACK", 1, wire, ok))
    wire.receive(0.1)  # what was under way
    expect_equal(final_statuses(wire.receive(2.2)), [], "answers after the ACK")
    wire.send(in_dialog("BYE", 2, wire, ok))
    expect_equal(final_statuses(wire.until(rb"SIP/2\.0 200")), [200], "answer to BYE")
    phone.ends(0)
    expect_equal(len(phone.events_named("call.incoming")), 1, "incoming calls")


@case("re-INVITE puts on hold and resumes")
def hold():
    _, phone = scenario("uac_hold")
    expect_equal([e["on"] for e in phone.events_named("call.remote-hold")], [True, False], "call.remote-hold")


@case("INVITE without SDP gets the offer in the 200")
def late_offer():
    _, phone = scenario("uac_late_offer")
    expect(phone.events_named("call.answered"), "answered")


@case("an unknown method gets 501 or 405 with Allow")
def unknown_method():
    scenario("uac_method", keys={"method": "FROBNICATE"}, expect_end=False)


@case("Require of an unknown extension gets 420 with Unsupported")
def require():
    _, phone = scenario("uac_require", expect_end=False)
    expect_equal(phone.events_named("call.incoming"), [], "incoming calls")


@case("CANCEL while it rings: 200, 487 and the caller's Reason")
def cancel():
    _, phone = scenario("uac_cancel", "--delay", "20s", exit_code=11)
    ended = phone.events_named("call.ended")[0]
    expect_equal((ended["code"], ended["by"], ended["answered"]), (487, "remote", False), "call.ended")
    expect("elsewhere" in ended.get("reason_header", ""), f"Reason: {ended}")


@case("DTMF by INFO in its three forms")
def info():
    _, phone = scenario("uac_info")
    digits = [(e["digit"], e["method"]) for e in phone.events_named("call.dtmf")]
    expect_equal(digits, [("5", "info"), ("#", "info"), ("7", "info")], "digits")


@case("--code 486 refuses")
def refuse():
    scenario("uac_refused", "--code", "486", exit_code=10)


@case("no common codec gets 488")
def no_codec():
    peer, phone = scenario("uac_codec", exit_code=30)
    expect(re.search(r"(?m)^Warning: 305 ", peer.received("488")[0]), "Warning 305: the formats do not fit")
    ended = phone.events_named("call.ended")[0]
    expect_equal((ended["code"], ended["by"], ended["answered"]), (488, "local", False), "call.ended")


@case("OPTIONS is answered with Allow, a stray BYE with 481, an unread body with 415")
def small_ones():
    for name in ("uac_options", "uac_stray_bye", "uac_type"):
        scenario(name, expect_end=False)


@case("--count 3 answers three calls")
def count():
    phone, uri = answerer("--count", "3", "--timeout", "45s")
    target = re.search(r"@([^;]+)", uri)[1]
    for _ in range(3):
        Sipp("uac_call", target, keys={"pause": 100}, options=["-s", "callee"]).succeeds()
    phone.ends(0)
    expect_equal(len(phone.events_named("call.ended")), 3, "calls")


@case("no ACK: the callee gives up with BYE", timeout=60)
def no_ack():
    scenario("uac_vanish", exit_code=20)
