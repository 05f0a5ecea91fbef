"""SIPp calls `offhook answer`: what must be answered, and how."""

import re

from harness import Sipp, answerer, case, expect, expect_equal


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


@case("a retransmitted INVITE is one call, the 200 repeats until the ACK")
def retransmitted():
    peer, phone = scenario("uac_retransmit")
    expect_equal(len(phone.events_named("call.incoming")), 1, "incoming calls")
    messages = peer.messages()
    ack = next(i for i, (_, m) in enumerate(messages) if m.startswith("ACK "))
    late = [m for way, m in messages[ack:] if way == "received" and "INVITE" in m.split("CSeq", 1)[1].split("\n")[0]]
    expect_equal(late, [], "responses to the INVITE after the ACK")
    tags = {re.search(r"^To: .*tag=(\S+)", m, re.M)[1] for way, m in messages
            if way == "received" and m.startswith("SIP/2.0 200")}
    expect_equal(len(tags), 1, "To tags")


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
    scenario("uac_codec", exit_code=30)


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
