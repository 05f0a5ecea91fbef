"""Transfers: offhook as transferor, transferee and target, with SIPp, baresip, Kamailio and other offhooks."""

import refer_script as part
from harness import (Baresip, Kamailio, Offhook, Sipp, answerer, case, expect, expect_equal, expect_tone, wait_until,
                     workdir, write_tone)

LEVEL = -15.0
NOBODY = "sip:nobody@127.0.0.1:9"


def hand_on(first, second, exit_code, *args, timeout=30, **options):
    """`offhook transfer FIRST SECOND` to its end: (process, its result's transfer)."""
    phone = Offhook("transfer", "--timeout", "40s", *args, first, second, **options)
    result = phone.ends(exit_code, timeout)
    return phone, result["transfer"]


def codes(phone):
    return [e["code"] for e in phone.events_named("call.transfer") if e["role"] == "transferor"]


def transferee(name, *parts):
    """SIPp answers, and goes through `parts`."""
    return Sipp(part.script(name, part.ANSWER, *parts))


def refused_and_resumed(name, code, exit_code, *parts):
    """A transfer that fails with `code`: the call is resumed (SIPp checks the re-INVITE), then ended."""
    peer = transferee(name, part.HOLD, part.REFER, *parts, part.RESUME, part.BYE)
    phone, transfer = hand_on(peer.uri(), NOBODY, exit_code)
    peer.succeeds()
    expect_equal(transfer["code"], code, "code in the result")
    names = [e["event"] for e in phone.events]
    expect(names.index("call.resumed") < names.index("call.ended"), f"resumed before it ends: {names}")
    return phone


@case("blind: 202, NOTIFY 100, 180, 200")
def blind_accepted():
    peer = transferee("accepted", part.HOLD, part.REFER, part.reply(202, "Accepted"), part.notify(1, "100 Trying"),
                      part.notify(2, "180 Ringing"), part.notify(3, "200 OK", part.END), part.BYE)
    phone, transfer = hand_on(peer.uri(), "sip:carol@example.test;transport=tcp", 0)
    peer.succeeds()
    expect_equal(codes(phone), [0, 100, 180, 200], "codes")
    expect_equal((transfer["code"], transfer["kind"]), (200, "blind"), "result")
    refer = peer.received("REFER")[0]
    expect("\r\nRefer-To: <sip:carol@example.test;transport=tcp>\r\n" in refer.replace("\n", "\r\n").replace("\r\r", "\r"),
           f"angle brackets: {refer}")
    expect("Contact: <sip:" in refer and "norefersub" in refer, f"REFER: {refer}")


@case("blind: refused by the transferee, by the target, and with odd words")
def blind_refused():
    refused_and_resumed("declined", 603, 12, part.reply(603, "Decline"))
    refused_and_resumed("unknown", 501, 16, part.reply(501, "Not Implemented"))
    refused_and_resumed("busy", 486, 10, part.reply(202, "Accepted"), part.notify(1, "100 Trying"),
                        part.notify(2, "486 Busy Here", part.END))
    refused_and_resumed("silent_end", 0, 20, part.reply(202, "Accepted"), part.notify(1, "100 Trying", part.END))


@case("NOTIFY before the 202, and two seconds late")
def notify_order():
    early = transferee("early", part.HOLD, part.REFER, part.request(
        "NOTIFY", 1, "      Event: refer\n      Subscription-State: active;expires=60\n",
        "      Content-Type: message/sipfrag\n      Content-Length: [len]\n\n      SIP/2.0 100 Trying\n")
        + '  <recv response="200"/>\n', part.notify(2, "200 OK", part.END), part.BYE)
    # The REFER stays without an answer of its own: the NOTIFY says enough (RFC 6665 §4.1.2.4).
    hand_on(early.uri(), NOBODY, 0)
    early.succeeds()
    late = transferee("late", part.HOLD, part.REFER, part.reply(202, "Accepted"), part.pause(2000),
                      part.notify(1, "200 OK", part.END), part.BYE)
    hand_on(late.uri(), NOBODY, 0)
    late.succeeds()


@case("NOTIFY never comes: resumed, exit 20 after 64*T1; exit 11 with --ring-timeout", timeout=90)
def notify_missing():
    peers = [transferee(name, part.HOLD, part.REFER, part.reply(202, "Accepted"), part.RESUME, part.BYE)
             for name in ("never", "impatient")]
    slow = Offhook("transfer", "--timeout", "60s", peers[0].uri(), NOBODY, name="slow")
    quick, transfer = hand_on(peers[1].uri(), NOBODY, 11, "--ring-timeout", "1s")
    peers[1].succeeds()
    expect_equal(transfer["code"], 0, "code")
    slow.ends(20, 50)
    peers[0].succeeds()


@case("the transferee hangs up first, the outcome comes after it")
def hangs_up_first():
    for name, words, exit_code in (("gone_well", "200 OK", 0), ("gone_ill", "404 Not Found", 13)):
        peer = transferee(name, part.HOLD, part.REFER, part.reply(202, "Accepted"), part.notify(1, "100 Trying"),
                          part.hang_up(2), part.pause(300), part.notify(3, words, part.END))
        hand_on(peer.uri(), NOBODY, exit_code)
        peer.succeeds()


@case("a transferee that cannot be held; one that hangs up before it is asked")
def odd_transferees():
    peer = transferee("no_hold", part.NO_HOLD, part.REFER, part.reply(202, "Accepted"),
                      part.notify(1, "200 OK", part.END), part.BYE)
    hand_on(peer.uri(), NOBODY, 0)
    peer.succeeds()
    peer = transferee("leaves", '  <recv request="INVITE"/>\n', part.hang_up(1), part.reply(487, "Terminated"),
                      '  <recv request="ACK" optional="true"/>\n')
    hand_on(peer.uri(), NOBODY, 12)


@case("SIGINT, SIGTERM and --timeout in the middle of a transfer: BYE, exit 130 and 124")
def interrupted():
    for name, number, exit_code in (("int", 2, 130), ("term", 15, 130), ("timeout", 0, 124)):
        peer = transferee(name, part.HOLD, part.REFER, part.reply(202, "Accepted"), part.notify(1, "100 Trying"), part.BYE)
        phone = Offhook("transfer", "--timeout", "2s" if number == 0 else "40s", peer.uri(), NOBODY, name=name)
        phone.wait_event("call.transfer", {"code": 100})
        if number:
            phone.signal(number)
        phone.ends(exit_code, 5)
        peer.succeeds()


@case("a stranger who challenges the REFER gets no digest")
def stranger_challenges():
    peer = transferee("stranger", part.HOLD, part.REFER, part.reply(
        401, "Unauthorized", '      WWW-Authenticate: Digest realm="x", nonce="n", qop="auth"\n'), part.RESUME, part.BYE)
    phone, transfer = hand_on(peer.uri(), NOBODY, 14, "--aor", "sip:alice@example.test",
                              env={"OFFHOOK_PASSWORD": "secret"})
    peer.succeeds()
    expect_equal(transfer["code"], 401, "code")
    expect_equal(len(peer.received("REFER")), 1, "REFERs")
    expect("Authorization" not in peer.received("REFER")[0], "no credentials")


@case("a NOTIFY nobody asked for is 481, and the call goes on")
def notify_unasked():
    peer = transferee("unasked", part.notify(1, "200 OK", part.END, answer=481),
                      part.notify(2, "200 OK", part.END, event="dialog", answer=481), part.BYE)
    phone = Offhook("call", "--hangup-after", "1s", "--timeout", "20s", peer.uri())
    phone.ends(0)
    peer.succeeds()
    told = [e["text"] for e in phone.events_named("log") if "nobody asked for" in e["text"]]
    expect(len(told) == 2 and "refer" in told[0] and "dialog" in told[1], f"one line each: {told}")


@case("REFER that is refused: scheme, headers, two of them, method, and by policy")
def refer_refused():
    refusals = [("<tel:+49301234>", 416), ("<http://example.test/>", 416), ("sip:", 400),
                ("<sip:a@127.0.0.1?Route=%3Csip%3A127.0.0.1%3A9%3E>", 400), ("<sip:a@127.0.0.1;method=BYE>", 603),
                ("<sip:a@127.0.0.1>, <sip:b@127.0.0.1>", 400), ("<sip:a@127.0.0.1?Replaces=x>", 400)]
    peer = transferee("bad_refer", *[part.refer(i + 1, text.replace("<", "<"), status)
                                     for i, (text, status) in enumerate(refusals)], part.BYE)
    phone = Offhook("call", "--refer", "allow", "--hangup-after", "3s", "--timeout", "30s", peer.uri())
    phone.ends(0)
    peer.succeeds()
    expect_equal(len(phone.events_named("call.outgoing")), 1, "nobody was called")
    warnings = [e["text"] for e in phone.events_named("log")]
    expect_equal(len([w for w in warnings if "refused a transfer" in w]), len(refusals), f"one line each: {warnings}")
    peer = transferee("denied", part.refer(1, "<sip:a@127.0.0.1:9>", 603), part.BYE)
    phone = Offhook("call", "--hangup-after", "1s", "--timeout", "20s", peer.uri())
    phone.ends(0)
    peer.succeeds()


@case("transferee of SIPp: 202, NOTIFY 100, 180 and 200, and the tone is heard by the target")
def transferee_of_sipp():
    tone, heard = write_tone(workdir() / "ours.wav", 440, 20, dbfs=LEVEL), workdir() / "heard.wav"
    target, uri = answerer("--record", heard, "--then", "wait", "--timeout", "40s", name="target", )
    peer = transferee("transferor", part.refer(1, f"<{uri}>", 202,
                                               "      Referred-By: &lt;sip:boss@example.test>\n".replace("&lt;", "<")),
                      part.expect_notify(100), part.expect_notify(180), part.expect_notify(200), part.hang_up(2))
    phone = Offhook("call", "--refer", "allow", "--codecs", "pcmu", "--play", tone, "--hangup-after", "4s", "--timeout",
                    "30s", peer.uri(), name="transferee")
    phone.ends(0)
    peer.succeeds()
    target.ends(0)
    expect_tone(heard, 440, LEVEL, 1.5, side=1)
    told = [e for e in phone.events_named("call.transfer") if e["role"] == "transferee"]
    expect_equal((told[-1]["done"], told[-1]["exit"], told[-1]["code"]), (True, 0, 200), "outcome")


@case("a REFER to a number is called through the account's domain")
def refer_to_number():
    target, uri = answerer("--timeout", "40s", "--then", "wait", name="target")
    domain = uri.split("@")[1].split(";")[0]
    peer = transferee("to_number", part.refer(1, "<tel:+49-30-1234>", 202), part.expect_notify(100),
                      part.expect_notify(180), part.expect_notify(200), part.hang_up(2))
    phone = Offhook("call", "--aor", f"sip:alice@{domain}", "--refer", "allow", "--hangup-after", "2s", "--timeout",
                    "30s", peer.uri(), name="transferee")
    phone.ends(0)
    peer.succeeds()
    target.ends(0)
    expect_equal(target.events_named("call.incoming")[0]["local"], f"sip:+49301234@{domain}", "who was called")


@case("Replaces of nobody's call is 481, and the call goes on")
def replaces_nobody():
    phone, uri = answerer("--timeout", "30s", "--then", "wait", name="callee")
    caller = Offhook("call", "--hangup-after", "2s", "--timeout", "20s", uri, name="caller")
    caller.wait_event("call.answered")
    stranger = Offhook("call", "--header", "Replaces: guess@x;to-tag=1;from-tag=2", "--timeout", "20s", uri,
                       name="stranger")
    expect_equal(stranger.ends(15)["code"], 481, "code")
    phone.wait_event("log", {"text": lambda t: "no such call to replace" in t})
    caller.ends(0)
    phone.ends(0)


def three_offhooks(attended):
    """A calls B and hands him on to C, all registered at Kamailio; then B and C hear each other."""
    registrar = Kamailio()

    def account(user):
        return ["--aor", f"sip:{user}@127.0.0.1:{registrar.port}", "--listen", "udp:127.0.0.1:0"]

    env = {"OFFHOOK_PASSWORD": "secret"}
    files = {}
    phones = {}
    for user, hz in (("bob", 440), ("carol", 660)):
        tone = write_tone(workdir() / f"{user}.wav", hz, 30, dbfs=LEVEL)
        files[user] = workdir() / f"{user}-call.wav"
        phones[user] = Offhook("answer", *account(user), "--refer", "allow", "--codecs", "pcmu", "--play", tone,
                               "--record", files[user], "--then", "wait", "--timeout", "50s", env=env, name=user)
        phones[user].wait_event("account.registered")
    here = f"@127.0.0.1:{registrar.port}"
    phone, transfer = hand_on("sip:bob" + here, "sip:carol" + here, 0, *account("alice"),
                              *(["--attended"] if attended else []), env=env)
    expect_equal(transfer["code"], 200, "code")
    carol = phones["carol"]
    carol.wait_event("call.media", {"what": "first"})
    phones["bob"].wait_event("call.transfer", {"role": "transferee", "done": True, "exit": 0})
    if attended:
        carol.wait_event("call.transfer", {"role": "target", "done": True})
    wait_until(lambda: files["carol"].stat().st_size > 2.5 * 16000 * 2, "they talk", 15)
    carol.signal(15)
    carol.ends(130)
    phones["bob"].ends(0)
    expect_tone(files["bob"], 660, LEVEL, 1.0, side=1)
    expect_tone(files["carol"], 440, LEVEL, 1.0, side=1)


@case("three offhooks through Kamailio: blind, tones after the transfer", timeout=90)
def kamailio_blind():
    three_offhooks(False)


@case("three offhooks through Kamailio: attended, tones after the transfer", timeout=90)
def kamailio_attended():
    three_offhooks(True)


@case("baresip is handed on and plays to the target; attended it is refused, and resumed", timeout=90)
def baresip_transferee():
    peer = Baresip(name="peer", hz=660, dbfs=LEVEL)
    heard = workdir() / "heard.wav"
    target, uri = answerer("--codecs", "pcmu", "--record", heard, "--then", "wait", "--timeout", "40s", name="target")
    _, transfer = hand_on(peer.uri(), uri, 0)
    expect_equal(transfer["code"], 200, "code")
    target.wait_event("call.media", {"what": "first"})
    wait_until(lambda: heard.stat().st_size > 2 * 16000 * 2, "the target hears", 15)
    peer.hangup()
    target.ends(0)
    expect_tone(heard, 660, LEVEL, 1.0, side=1)
    # baresip 1.0.0 leaves Replaces in the Request-URI, which nobody may accept (RFC 3261 §19.1.1).
    target, uri = answerer("--timeout", "40s", name="target2")
    phone, transfer = hand_on(peer.uri(), uri, 15, "--attended")
    expect_equal(transfer["code"], 400, "code")
    phone.wait_event("call.resumed")
    target.ends(0)


@case("baresip hands us on, and we play to its target")
def baresip_transferor():
    tone = write_tone(workdir() / "ours.wav", 440, 20, dbfs=LEVEL)
    target = Baresip(name="target", hz=660, dbfs=LEVEL)
    peer = Baresip(name="boss", hz=500, dbfs=LEVEL)
    phone = Offhook("call", "--refer", "allow", "--codecs", "pcmu", "--play", tone, "--then", "wait", "--timeout", "30s",
                    peer.uri(), name="transferee")
    peer.wait_event("CALL_ESTABLISHED")
    peer.command("transfer", target.uri())
    phone.wait_event("call.transfer", {"role": "transferee", "done": True, "exit": 0})
    wait_until(lambda: target.heard.stat().st_size > 2 * 16000, "the target hears us", 15)
    target.hangup()
    phone.ends(0)
    expect_tone(target.heard, 440, LEVEL, 0.7)


@case("baresip as target: it answers busy, and it answers")
def baresip_target():
    first, uri = answerer("--refer", "allow", "--count", "2", "--timeout", "40s", name="first")
    busy = Sipp("refuse", keys={"code": 486, "phrase": "Busy Here", "header": "X-Refused: yes"})
    phone, transfer = hand_on(uri, busy.uri(), 10)
    expect_equal(transfer["code"], 486, "the true code")
    busy.succeeds()
    target = Baresip(name="target", hz=660, dbfs=LEVEL)
    hand_on(uri, target.uri(), 0)
    target.wait_event("CALL_ESTABLISHED")
    target.hangup()
    first.ends(0)


@case("transfer as a step of call: done, and refused with exit 40")
def step():
    second, target = answerer("--timeout", "40s", name="second")
    first, uri = answerer("--refer", "allow", "--timeout", "40s", name="first")
    caller = Offhook("call", "--do", f'wait answer; transfer "{target}"; wait end', "--timeout", "30s", uri, name="caller")
    caller.ends(0)
    second.wait_event("call.answered")
    second.signal(15)
    second.ends(130)
    first.ends(0)
    first, uri = answerer("--timeout", "40s", name="denies")
    caller = Offhook("call", "--do", f'wait answer; transfer "{target}"; wait end', "--timeout", "30s", uri, name="caller")
    caller.ends(40)
    failed = [e for e in caller.events_named("call.step") if not e["ok"]]
    expect("603" in failed[0]["error"], f"the step tells why: {failed}")
    first.ends(0)
