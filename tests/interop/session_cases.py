"""PRACK, UPDATE and session timers against SIPp, in both roles."""

import re

from harness import Offhook, Sipp, answerer, case, expect, expect_equal
from scenario import Scenario, sdp


def called_by_us(scenario, *args, exit_code=0):
    """offhook calls SIPp; (SIPp, offhook), both ended."""
    peer = Sipp(scenario.write())
    phone = Offhook("call", "--timeout", "30s", *args, peer.uri())
    phone.ends(exit_code)
    peer.succeeds()
    return peer, phone


def calling_us(scenario, *args, exit_code=0):
    phone, uri = answerer("--timeout", "30s", *args)
    peer = Sipp(scenario.write(), re.search(r"@([^;]+)", uri)[1], options=["-s", "callee"])
    peer.succeeds()
    phone.ends(exit_code)
    return peer, phone


@case("100rel: we PRACK each reliable provisional, its answer counts, the 200 has none")
def prack_caller():
    s = Scenario("prack-uas").called({"Supported": "100rel"})
    s.answer(183, "Session Progress", "Require: 100rel\nRSeq: 5001", sdp(), retrans=500)
    s.recv("PRACK", {"RAck": "5001 1 INVITE"}).reply()
    s.answer(180, "Ringing", "Require: 100rel\nRSeq: 5002", retrans=500)
    s.recv("PRACK", {"RAck": "5002 1 INVITE", "CSeq": "3 PRACK"}).reply()
    s.answer(200, "OK", retrans=500).recv("ACK").recv("BYE", {"CSeq": "4 BYE"}).reply()
    _, phone = called_by_us(s, "--hangup-after", "300ms")
    expect_equal([e["code"] for e in phone.events_named("call.early")], [183], "call.early")
    expect_equal([e["code"] for e in phone.events_named("call.ringing")], [180], "call.ringing")


@case("100rel: what comes twice or too early is not acknowledged")
def prack_order():
    s = Scenario("prack-order").called()
    s.answer(180, "Ringing", "Require: 100rel\nRSeq: 7")
    s.recv("PRACK", {"RAck": "7 1 INVITE"}).reply()
    s.answer(180, "Ringing", "Require: 100rel\nRSeq: 7")  # again: no PRACK
    s.answer(183, "Session Progress", "Require: 100rel\nRSeq: 9")  # 8 was lost: no PRACK
    s.pause(300)
    s.answer(183, "Session Progress", "Require: 100rel\nRSeq: 8")
    s.recv("PRACK", {"RAck": "8 1 INVITE"}).reply()
    s.answer(200, "OK", body=sdp(), retrans=500).recv("ACK").recv("BYE").reply()
    peer, phone = called_by_us(s, "--hangup-after", "200ms")
    expect_equal(len(peer.received("PRACK")), 2, "PRACKs")
    expect_equal(len(phone.events_named("call.ringing")), 2, "call.ringing")


@case("an unreliable 183 is a preview: the description of the 200 counts")
def unreliable_early():
    s = Scenario("unreliable").called()
    s.answer(183, "Session Progress", body=sdp())
    s.answer(200, "OK", body=sdp("sendonly", 2), retrans=500).recv("ACK").recv("BYE").reply()
    _, phone = called_by_us(s, "--hangup-after", "300ms")
    expect_equal([e["on"] for e in phone.events_named("call.remote-hold")], [True], "call.remote-hold")


@case("100rel required of us: 180 with RSeq, a strange PRACK gets 481, the right one 200")
def prack_callee():
    s = Scenario("prack-uac").invite("Require: 100rel\nAllow: INVITE, ACK, BYE, PRACK", sdp())
    s.recv(100, optional=True)
    s.recv(180, {"Require": "100rel"}, keep={"RSeq": "rseq", "Contact": ("reach", "<([^>]*)>")})
    s.request("PRACK", 2, "RAck: 1 1 INVITE", uri="[$reach]").recv(481)
    s.request("PRACK", 3, "RAck:[$rseq] 1 INVITE", uri="[$reach]").recv(200)
    s.recv(200, {"CSeq": "1 INVITE"}).ack().pause(200).request("BYE", 4).recv(200)
    _, phone = calling_us(s, "--delay", "800ms")
    expect_equal(len(phone.events_named("call.answered")), 1, "answers")


@case("100rel required and no offer: ours is in the 180, the answer in the PRACK, none in 200 and ACK")
def prack_late_offer():
    s = Scenario("prack-late").invite("Require: 100rel")
    s.recv(100, optional=True)
    s.recv(180, {"Require": "100rel", "*": "m=audio"}, keep={"RSeq": "rseq", "Contact": ("reach", "<([^>]*)>")})
    s.request("PRACK", 2, "RAck:[$rseq] 1 INVITE", sdp(), uri="[$reach]").recv(200)
    s.recv(200, {"CSeq": "1 INVITE", "*": "!m=audio"}).ack().pause(200).request("BYE", 3).recv(200)
    _, phone = calling_us(s, "--delay", "500ms")
    expect(phone.events_named("call.answered")[0]["codec"].startswith("PCMU"), "a codec is agreed")


@case("UPDATE by the caller: hold, a bare refresh, resume")
def update_callee():
    s = Scenario("update-uac").invite("Allow: INVITE, ACK, BYE, UPDATE", sdp())
    s.recv(100, optional=True).recv(180, optional=True)
    s.recv(200, {"Allow": "UPDATE"}).ack()
    s.request("UPDATE", 2, body=sdp("sendonly", 2)).recv(200, {"*": "a=recvonly"})
    s.request("UPDATE", 3).recv(200, {"*": "!m=audio"})
    s.request("UPDATE", 4, body=sdp("sendrecv", 3)).recv(200, {"*": "a=sendrecv"})
    s.request("BYE", 5).recv(200)
    _, phone = calling_us(s)
    expect_equal([e["on"] for e in phone.events_named("call.remote-hold")], [True, False], "call.remote-hold")


@case("UPDATE by the callee, before the answer and after it")
def update_caller():
    s = Scenario("update-uas").called({"Allow": "UPDATE"})
    s.answer(183, "Session Progress", "Require: 100rel\nRSeq: 1\nAllow: INVITE, ACK, BYE, PRACK, UPDATE", sdp())
    s.recv("PRACK").reply()
    s.ask("UPDATE", 1, body=sdp("sendonly", 2)).recv(200, {"*": "a=recvonly"})
    s.answer(200, "OK", "Allow: INVITE, ACK, BYE, PRACK, UPDATE", retrans=500).recv("ACK")
    s.ask("UPDATE", 2, body=sdp("sendrecv", 3)).recv(200, {"*": "a=sendrecv"})
    s.recv("BYE").reply()
    _, phone = called_by_us(s, "--hangup-after", "500ms")
    expect_equal([e["on"] for e in phone.events_named("call.remote-hold")], [True, False], "call.remote-hold")


@case("UPDATE that meets an open offer of ours gets 491")
def update_glare():
    s = Scenario("update-glare").called()
    s.answer(180, "Ringing", "Require: 100rel\nRSeq: 1")
    s.recv("PRACK").reply()
    s.ask("UPDATE", 1, body=sdp()).recv(491)
    s.answer(200, "OK", body=sdp(), retrans=500).recv("ACK").recv("BYE").reply()
    called_by_us(s, "--hangup-after", "200ms")


@case("session timer: 422 is answered with what it asks for; we refresh by UPDATE; no refresh, no call")
def timer_caller():
    s = Scenario("timer-uas").called({"Supported": "timer", "Session-Expires": "1800"})
    s.answer(422, "Session Interval Too Small", "Min-SE: 3600").recv("ACK")
    s.called({"Session-Expires": "3600", "Min-SE": "3600", "CSeq": "2 INVITE"})
    allow = "Allow: INVITE, ACK, BYE, UPDATE\nRequire: timer\n"
    s.answer(200, "OK", allow + "Session-Expires: 4;refresher=uac", sdp(), retrans=500).recv("ACK")
    s.recv("UPDATE", {"Session-Expires": "refresher=uac", "Supported": "timer"}, timeout=4000)
    # From now on the callee is to refresh, and does not: the call ends.
    s.reply(headers=allow + "Session-Expires: 4;refresher=uas")
    s.recv("BYE", {"Reason": "408"}, timeout=5000).reply()
    _, phone = called_by_us(s, "--then", "wait", exit_code=20)
    expect_equal(phone.events_named("call.ended")[0]["by"], "timeout", "by")


@case("session timer: a peer without UPDATE is refreshed by re-INVITE, one that lost the call ends it")
def timer_reinvite():
    s = Scenario("timer-reinvite").called()
    s.answer(200, "OK", "Allow: INVITE, ACK, BYE\nRequire: timer\nSession-Expires: 4;refresher=uac", sdp(), retrans=500)
    s.recv("ACK")
    s.called({"Session-Expires": "4;refresher=uac", "CSeq": "2 INVITE", "*": "m=audio"})
    s.reply(headers="Require: timer\nSession-Expires: 4;refresher=uac", body=sdp()).recv("ACK")
    s.called({"CSeq": "3 INVITE"}).reply(481, "Call Does Not Exist").recv("ACK")
    s.recv("BYE").reply(481, "Call Does Not Exist")
    _, phone = called_by_us(s, "--then", "wait", exit_code=15)
    expect_equal(phone.events_named("call.ended")[0]["by"], "network", "by")


@case("session timer asked of us: 422 below 90 s, then the caller refreshes")
def timer_callee():
    s = Scenario("timer-uac").invite("Supported: timer\nSession-Expires: 30", sdp())
    s.recv(100, optional=True).recv(422, {"Min-SE": "90"}).ack(refused=True)
    s.invite("Supported: timer\nSession-Expires: 90\nMin-SE: 90", sdp(), number=2)
    s.recv(100, optional=True).recv(180, optional=True)
    s.recv(200, {"Session-Expires": "90;refresher=uac", "Require": "timer"}).ack(2)
    s.request("UPDATE", 3, "Supported: timer\nSession-Expires: 90;refresher=uac")
    s.recv(200, {"Session-Expires": "90;refresher=uac"})
    s.request("BYE", 4).recv(200)
    _, phone = calling_us(s)
    expect_equal(len(phone.events_named("call.incoming")), 1, "calls: the 422 made none")


@case("session timer of a proxy: the callee refreshes")
def timer_proxy():
    s = Scenario("timer-proxy").invite("Session-Expires: 4\nAllow: INVITE, ACK, BYE, UPDATE", sdp())
    s.recv(100, optional=True).recv(180, optional=True)
    s.recv(200, {"Session-Expires": "4;refresher=uas"}).ack()
    s.recv("UPDATE", {"Session-Expires": "refresher=uac"}, timeout=4000)
    s.reply(headers="Session-Expires: 4;refresher=uac\nAllow: INVITE, ACK, BYE, UPDATE")
    s.request("BYE", 2).recv(200)
    calling_us(s)


CHALLENGE = 'WWW-Authenticate: Digest realm="127.0.0.1", nonce="n1", algorithm=MD5, qop="auth"'
PROXY_CHALLENGE = 'Proxy-Authenticate: Digest realm="127.0.0.1", nonce="n1", algorithm=SHA-256, qop="auth"'


@case("a stranger's challenge gets no digest, out of dialog and in it, by 401 and by 407")
def stranger():
    # The account's own servers are at 127.0.0.1.
    arguments, env = ["--aor", "sip:alice@127.0.0.1", "--transport", "udp"], {"OFFHOOK_PASSWORD": "secret"}
    for status, phrase, header in ((401, "Unauthorized", CHALLENGE),
                                   (407, "Proxy Authentication Required", PROXY_CHALLENGE)):
        s = Scenario(f"stranger-{status}").called({"*": "!Authorization:"})
        s.answer(status, phrase, header, retrans=500).recv("ACK", {"*": "!Authorization:"})
        peer = Sipp(s.write(), host="127.0.0.2")
        phone = Offhook("call", "--timeout", "10s", *arguments, peer.uri(), env=env)
        phone.ends(14)
        peer.succeeds()
        expect_equal(len(peer.received("INVITE")), 1, "INVITEs to the stranger")
        s = Scenario(f"stranger-bye-{status}").called()
        s.answer(200, "OK", body=sdp(), retrans=500).recv("ACK", {"*": "!Authorization:"})
        s.recv("BYE", {"*": "!Authorization:"}).reply(status, phrase, header)
        peer = Sipp(s.write(), host="127.0.0.2")
        phone = Offhook("call", "--timeout", "10s", "--hangup-after", "100ms", *arguments, peer.uri(), env=env)
        phone.ends(0)
        peer.succeeds()
        expect_equal(len(peer.received("BYE")), 1, "BYEs to the stranger")


@case("a challenge inside the dialog by our own proxy is answered, once")
def own_proxy_in_dialog():
    s = Scenario("proxy-bye").called()
    s.answer(200, "OK", "Record-Route: <sip:[local_ip]:[local_port];lr>", sdp(), retrans=500).recv("ACK")
    s.recv("BYE", {"*": "!Authorization:"}).reply(407, "Proxy Authentication Required", PROXY_CHALLENGE)
    s.recv("BYE", {"Proxy-Authorization": 'algorithm="?SHA-256'})
    s.reply(407, "Proxy Authentication Required", PROXY_CHALLENGE.replace("n1", "n2"))
    peer = Sipp(s.write())
    phone = Offhook("call", "--timeout", "10s", "--hangup-after", "100ms", "--aor", f"sip:alice@127.0.0.1:{peer.port}",
                    "--proxy", peer.uri(), peer.uri(), env={"OFFHOOK_PASSWORD": "secret"})
    phone.ends(0)
    peer.succeeds()
    expect_equal(len(peer.received("BYE")), 2, "BYEs")
