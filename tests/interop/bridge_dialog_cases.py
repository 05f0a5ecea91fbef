"""wss-bridge inside a call: descriptions that cannot be used, messages that cross each other, ends that keep still."""

import re
import urllib.request

from bridge import USERS, configuration
from bridge_wire import (JSSIP_ALLOW, browser_at, call_to_browser, call_to_phone, hang_up, invite_from, native, pair,
                         registered)
from harness import Offhook, case, expect, expect_equal, free_port, sockets, wait_until
from raw_sip import RawBrowser, RawPhone, plain_sdp, web_sdp, word


def final(method):
    return lambda m: m.status >= 200 and m.get("cseq").endswith(method)


def both_hang_up(anna, ben):
    """The bridge ends it: a BYE for each."""
    for one in (anna, ben):
        one.reply(one.wait("BYE", "BYE of the bridge"), 200, contact=False)


@case("bridge in a call: an answer that cannot be used never crosses; whoever gave it is offered what held before")
def unusable_answers():
    bridge = native()
    anna, ben = pair(bridge)
    ours, theirs, _, _ = call_to_phone(anna, ben)
    # The phone answers a hold with a codec that nobody offered.
    for method in ("INVITE", "UPDATE"):
        anna.within(ours, method, body=web_sdp("sendonly"))
        hold = ben.wait("INVITE", "hold")
        expect("a=sendonly" in hold.body, hold.body)
        ben.reply(hold, 200, "OK", body=plain_sdp("recvonly", formats="18"))
        acked = ben.wait("ACK", "ACK")
        expect_equal(acked.get("cseq").split()[0], hold.get("cseq").split()[0], "whose ACK")
        refused = anna.wait(final(method), "answer")
        expect_equal((refused.status, refused.body, "no codec" in refused.get("warning")), (488, "", True), str(refused))
        before = ben.wait("INVITE", "re-INVITE of the bridge")
        expect("a=sendonly" not in before.body and " 0" in before.body, f"what held before: {before.body}")
        expect(int(before.get("cseq").split()[0]) > int(hold.get("cseq").split()[0]), "its number rises")
        ben.reply(before, 200, "OK", body=plain_sdp())
        ben.wait("ACK", "ACK")
        event = bridge.wait_event("bridge.refused", {"code": 488})
        expect_equal((event["call"], event["reason"]), ("b1", "no codec in common"), "event")
    # It repeats what it said: acknowledged again, and nothing else.
    mark = anna.mark()
    ben.others.clear()
    ben.reply(hold, 200, "OK", body=plain_sdp("recvonly", formats="18"))
    ben.wait("ACK", "ACK again")
    expect(not [m for m in anna.since(mark) if m.get("call-id") == ours.call_id], "the browser heard of it")
    # The call is as it was.
    anna.within(ours, "INVITE", body=web_sdp("sendonly"))
    hold = ben.wait("INVITE", "hold")
    ben.reply(hold, 200, "OK", body=plain_sdp("recvonly"))
    expect("a=recvonly" in anna.wait(200, "the hold").body, "held")
    anna.within(ours, "ACK", number=ours.number)
    ben.wait("ACK", "ACK")
    hang_up(anna, ours, ben)
    # A browser that will not begin with DTLS; it says so again: there is no way back.
    ours, theirs, _ = call_to_browser(ben, anna)
    ben.within(ours, "INVITE", body=plain_sdp("sendonly"))
    hold = anna.wait("INVITE", "hold")
    anna.reply(hold, 200, "OK", body=web_sdp("recvonly", "passive"))
    anna.wait("ACK", "ACK")
    expect_equal(ben.wait(final("INVITE"), "answer").status, 488, "for the phone")
    before = anna.wait("INVITE", "re-INVITE of the bridge")
    anna.reply(before, 200, "OK", body=web_sdp("sendrecv", "passive"))
    anna.wait("ACK", "ACK")
    both_hang_up(anna, ben)
    bridge.wait_event("bridge.ended", {"call": "b2", "reason": "what anna answered cannot be used"})
    bridge.stop()


@case("bridge in a call: answers in an ACK: rewritten, also when they are repeated; without a usable one the call ends")
def answers_in_acks():
    bridge = native()
    anna, ben = pair(bridge)

    def offerless():
        sent, invite = invite_from(ben, anna, "sip:anna@house.test")
        expect_equal(invite.body, "", "no offer")
        anna.reply(invite, 200, "OK", body=web_sdp(), tag="anna" + word())
        ok = ben.wait(200, "the browser's offer")
        expect("RTP/AVP" in ok.body and "fingerprint" not in ok.body, ok.body)
        return ben.dialog_of_caller(sent, ok)

    dialog = offerless()
    bodies = []
    for _ in range(2):  # the first one is lost between the bridge and the browser, for all the phone knows
        ben.within(dialog, "ACK", number=dialog.number, body=plain_sdp())
        bodies.append(anna.wait("ACK", "ACK").body)
    expect("a=fingerprint" in bodies[0] and "a=setup:passive" in bodies[0], f"the answer: {bodies[0]}")
    expect_equal(bodies[1], bodies[0], "the answer again")
    # One to no offer has nothing to say.
    ben.within(dialog, "ACK", number=dialog.number + 5, body=plain_sdp())
    expect_equal(anna.wait("ACK", "ACK").body, "", "an answer to nothing")
    # An offerless re-INVITE, and an ACK whose answer cannot be used.
    ben.within(dialog, "INVITE")
    again = anna.wait("INVITE", "re-INVITE")
    anna.reply(again, 200, "OK", body=web_sdp())
    expect("RTP/AVP" in ben.wait(final("INVITE"), "offer").body, "an offer for the phone")
    ben.within(dialog, "ACK", number=dialog.number, body=plain_sdp(formats="18"))
    expect_equal(anna.wait("ACK", "ACK").body, "", "nothing of it crosses")
    both_hang_up(anna, ben)
    bridge.wait_event("bridge.ended", {"call": "b1", "reason": "what ben answered cannot be used: no codec in common"})
    for body in (plain_sdp(formats="18"), "v=0\r\nnonsense", None):
        dialog = offerless()
        ben.within(dialog, "ACK", number=dialog.number, body=body or "")
        expect_equal(anna.wait("ACK", "ACK").body, "", "nothing of it crosses")
        both_hang_up(anna, ben)
    bridge.stop()


@case("bridge: a description inside of another body is not read, and does not cross")
def parts():
    bridge = native()
    anna, ben = pair(bridge)
    kind = ("Content-Type", 'multipart/mixed; boundary="x"')
    body = f"--x\r\nContent-Type: application/sdp\r\n\r\n{web_sdp()}\r\n--x--\r\n"

    def refused(answer):
        expect_equal((answer.status, answer.get("accept")), (415, "application/sdp"), str(answer))

    refused(anna.ask("INVITE", "sip:ben@house.test", more=[kind], body=body, until=200)[1])
    ours, theirs, _, _ = call_to_phone(anna, ben)
    refused(anna.answer_within(ours, "INVITE", more=[kind], body=body))
    anna.within(ours, "INVITE", body=web_sdp("sendonly"))
    ben.reply(ben.wait("INVITE", "hold"), 488, "No", body=plain_sdp())
    held = anna.wait(488, "answer to the hold")
    expect_equal((held.body, held.get("content-type")), ("", ""), "what a refusal says of the phone's addresses")
    hang_up(anna, ours, ben)
    expect_equal([m.uri for m in ben.seen if m.method == "INVITE" and "multipart" in m.get("content-type")], [], "INVITEs")
    bridge.stop()


@case("bridge: a phone that refuses gives its media ports back while others ring")
def ports_of_branches():
    bridge = native()
    anna, ben = pair(bridge)
    other = registered(RawPhone(bridge.udp, "ben", USERS["ben"]))

    def ports():
        return len([s for s in sockets(bridge.pid) if s[0] == "udp"])

    idle = ports()
    sent, invite = invite_from(anna, ben, "sip:ben@house.test", [JSSIP_ALLOW], web_sdp())
    second = other.wait("INVITE", "INVITE")
    wait_until(lambda: ports() == idle + 5, "one for the browser, two for each phone")
    ben.reply(invite, 486, "Busy", contact=False, tag="busy")
    wait_until(lambda: ports() == idle + 3, "the ports of the phone that is busy are free")
    other.reply(second, 200, "OK", body=plain_sdp(), tag="other")
    dialog = anna.dialog_of_caller(sent, anna.wait(200, "200"))
    anna.within(dialog, "ACK", number=dialog.number)
    hang_up(anna, dialog, other)
    wait_until(lambda: ports() == idle, "all are free")
    bridge.stop()


@case("bridge: it stops in a call whose phone is silent: nothing is left behind")
def silent_phone():
    bridge = native()
    anna, ben = pair(bridge)
    call_to_phone(anna, ben)
    bridge.signal(15)
    ben.wait("BYE", "BYE")
    anna.wait("BYE", "BYE")
    bridge.ends(0)


@case("bridge: who is called off and answers all the same is hung up on; BYE in an early dialog ends no other branch")
def late_answers():
    bridge = native()
    anna, ben = pair(bridge)
    other = registered(RawPhone(bridge.udp, "ben", USERS["ben"]))
    # BYE for the dialog with the first phone: the second one rings on, and answers.
    sent, first = invite_from(anna, ben, "sip:ben@house.test", [JSSIP_ALLOW], web_sdp())
    second = other.wait("INVITE", "INVITE")
    ben.reply(first, 180, tag="ben")
    early = anna.dialog_of_caller(sent, anna.wait(180, "180"))
    anna.within(early, "BYE")
    ben.reply(ben.wait("BYE", "BYE"), 200, contact=False)
    anna.wait(final("BYE"), "answer to BYE")
    ben.reply(first, 487, tag="ben")
    other.reply(second, 200, "OK", body=plain_sdp(), tag="other")
    dialog = anna.dialog_of_caller(sent, anna.wait(200, "the answer of the second phone"))
    dialog.number = int(sent["CSeq"].split()[0])
    anna.within(dialog, "ACK", number=dialog.number)
    other.wait("ACK", "ACK")
    dialog.number += 5
    hang_up(anna, dialog, other)
    # The browser vanishes while the phone is being answered.
    leaving = registered(browser_at(bridge, "carl"))
    _, invite = invite_from(leaving, ben, "sip:ben@house.test", [JSSIP_ALLOW], web_sdp())
    ben.reply(invite, 180, tag="late")
    leaving.wait(180, "180")
    leaving.close()
    ben.wait("CANCEL", "CANCEL")
    ben.reply(invite, 200, "OK", body=plain_sdp(), tag="late")
    ben.wait("ACK", "ACK")
    bye = ben.wait("BYE", "BYE")
    expect_equal(bye.tag("to"), "late", "whom it is for")
    ben.reply(bye, 200, contact=False)
    bridge.stop()


@case("bridge in a call: offers and BYEs that cross each other")
def crossing():
    bridge = native()
    anna, ben = pair(bridge)
    ours, theirs, _, _ = call_to_phone(anna, ben)
    # Two holds at once: the second one is told to try again, the first one is what counts.
    anna.within(ours, "INVITE", body=web_sdp("sendonly"))
    hold = ben.wait("INVITE", "hold")
    expect_equal(ben.answer_within(theirs, "INVITE", body=plain_sdp("sendonly")).status, 491, "the other way")
    sooner = anna.answer_within(ours, "UPDATE", body=web_sdp("sendrecv"))
    expect_equal((sooner.status, sooner.get("retry-after").isdigit()), (500, True), "the same way")
    ben.reply(hold, 200, "OK", body=plain_sdp("recvonly"))
    expect("a=recvonly" in anna.wait(final("INVITE"), "the hold").body, "held")
    anna.within(ours, "ACK", number=ours.number - 1)
    ben.wait("ACK", "ACK")
    # Both hang up, neither hears of the other in time.
    anna.within(ours, "BYE")
    ben.wait("BYE", "BYE")
    ben.within(theirs, "BYE")
    bye = anna.wait("BYE", "BYE")
    anna.reply(bye, 200, contact=False)
    for one in (ben, anna):
        expect_equal(one.wait(final("BYE"), "answer to BYE").status, 200, "BYE")
    # BYE while a re-INVITE is open.
    ours, theirs, _, _ = call_to_phone(anna, ben)
    anna.within(ours, "INVITE", body=web_sdp("sendonly"))
    ben.wait("INVITE", "hold")
    ben.within(theirs, "BYE")
    anna.reply(anna.wait("BYE", "BYE"), 200, contact=False)
    expect_equal(anna.wait(final("INVITE"), "answer to the hold").status, 487, "the hold")
    bridge.stop()


@case("bridge: of a browser and a desk phone the desk phone answers a phone's call, and may hold it")
def unanchored_branch():
    bridge = native()
    anna = registered(browser_at(bridge))
    desk = registered(RawPhone(bridge.udp, "anna", USERS["anna"]))
    ben = registered(RawPhone(bridge.udp, "ben", USERS["ben"]))
    sent, invite = invite_from(ben, desk, "sip:anna@house.test", body=plain_sdp())
    anna.wait("INVITE", "INVITE")
    desk.reply(invite, 200, "OK", body=plain_sdp(port=40010), tag="desk")
    ok = ben.wait(200, "the answer")
    expect("m=audio 40010 " in ok.body, "from phone to phone")
    dialog = ben.dialog_of_caller(sent, ok)
    ben.within(dialog, "ACK", number=dialog.number)
    desk.wait("ACK", "ACK")
    ben.within(dialog, "INVITE", body=plain_sdp("sendonly"))
    hold = desk.wait("INVITE", "hold")
    expect("m=audio 40000 " in hold.body, "from phone to phone")
    desk.reply(hold, 200, "OK", body=plain_sdp("recvonly"))
    expect_equal(ben.wait(final("INVITE"), "answer").status, 200, "the hold")
    ben.within(dialog, "ACK", number=dialog.number)
    hang_up(ben, dialog, desk)
    bridge.stop()


@case("bridge: a phone that wants longer sessions than the bridge asked for gets them (422); others hear of it")
def longer_sessions():
    bridge = native()
    anna, ben = pair(bridge)
    more = [JSSIP_ALLOW, ("Supported", "timer"), ("Session-Expires", "90")]
    sent, invite = invite_from(anna, ben, "sip:ben@house.test", more, web_sdp())
    number = int(invite.get("cseq").split()[0])
    for least in (3600, 7200):
        ben.reply(invite, 422, "Session Interval Too Small", [("Min-SE", str(least))], contact=False, tag=word())
        ben.wait("ACK", "ACK")
        invite = ben.wait("INVITE", "INVITE again")
        number += 1
        asked = [invite.get("session-expires"), invite.get("min-se"), invite.get("cseq").split()[0]]
        expect_equal(asked, [str(least), str(least), str(number)], "Session-Expires, Min-SE and CSeq")
        expect("RTP/AVP" in invite.body, invite.body)
    ben.reply(invite, 200, "OK", [("Allow", "INVITE, ACK, BYE, UPDATE")], plain_sdp(), "ben")
    ok = anna.wait(lambda m: m.status >= 200, "the answer")
    expect_equal((ok.status, ok.get("cseq"), ok.get("session-expires").split(";")[0]), (200, sent["CSeq"], "7200"),
                 "what the browser sees")
    ours = anna.dialog_of_caller(sent, ok)
    anna.within(ours, "ACK", number=ours.number)
    expect_equal(ben.wait("ACK", "ACK").get("cseq"), f"{number} ACK", "the number of the ACK")
    # In the call: it knows by now, and may change its mind.
    anna.within(ours, "UPDATE", more=[("Session-Expires", "90;refresher=uac")])
    update = ben.wait("UPDATE", "UPDATE")
    expect_equal(update.get("session-expires"), "7200;refresher=uac", "the refresh")
    ben.reply(update, 422, "Session Interval Too Small", [("Min-SE", "9000")], contact=False)
    update = ben.wait("UPDATE", "UPDATE again")
    expect_equal(update.get("session-expires"), "9000;refresher=uac", "the refresh again")
    ben.reply(update, 200, "OK", [("Session-Expires", "9000;refresher=uac")])
    expect_equal(anna.wait(final("UPDATE"), "answer").status, 200, "the refresh")
    anna.within(ours, "BYE")
    bye = ben.wait("BYE", "BYE")
    expect(int(bye.get("cseq").split()[0]) > int(update.get("cseq").split()[0]), "numbers rise")
    ben.reply(bye, 200, contact=False)
    anna.wait(final("BYE"), "answer to BYE")
    # What the browser asked for itself is its own affair, and so is nonsense.
    for expires, least in (("2000", "3600"), ("90", "100"), ("90", "soon")):
        more[-1] = ("Session-Expires", expires)
        _, invite = invite_from(anna, ben, "sip:ben@house.test", more, web_sdp())
        ben.reply(invite, 422, "Session Interval Too Small", [("Min-SE", least)], contact=False, tag=word())
        refused = anna.wait(lambda m: m.status >= 300, "the refusal")
        expect_equal((refused.status, refused.get("min-se")), (422, least), f"{expires} and {least}")
    bridge.stop()


@case("bridge: the log names each call: who, how long, how many packets and why; also those that nobody hears of")
def log_lines():
    web, udp = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    bridge = Offhook("wss-bridge", "-c", configuration(), "--listen", f"ws://{web}", "--sip", f"udp:{udp}",
                     "--allow-native", "--origin", "*", raw=True, audio=None)
    wait_until(lambda: "ready:" in bridge.stderr() + bridge.stdout(), "it is ready")
    anna = registered(RawBrowser(web, "anna", USERS["anna"]))
    ben = registered(RawPhone(udp, "ben", USERS["ben"]))
    ours, _, _, _ = call_to_phone(anna, ben)
    hang_up(anna, ours, ben)
    _, invite = invite_from(anna, ben, "sip:ben@house.test", [JSSIP_ALLOW], web_sdp())
    ben.reply(invite, 486, "Busy Here", contact=False, tag="busy")
    anna.wait(486, "486")
    for target, status in (("sip:carl@house.test", 480), ("sip:nobody@house.test", 404)):
        expect_equal(anna.ask("INVITE", target, body=web_sdp(), until=200)[1].status, status, target)
    metrics = urllib.request.urlopen(f"http://{web}/metrics").read().decode()
    expect("\noffhook_bridge_calls_total 4\n" in metrics and "\noffhook_bridge_calls_unreached_total 2\n" in metrics, metrics)
    bridge.stop()
    told = bridge.stderr() + bridge.stdout()
    for line in (r"b1: anna calls sip:ben@house\.test", "b1: ben answered anna",
                 r"b1: ended after \d+\.\d s, 0 packets from anna and 0 from ben: the caller hung up",
                 r"b2: anna calls sip:ben@house\.test", r"b2: ended after \d+\.\d s without an answer: 486 Busy Here",
                 r"b3: anna calls sip:carl@house\.test: not registered",
                 r"b4: anna calls sip:nobody@house\.test: nobody of that name"):
        expect(re.search(rf"\b{line}$", told, re.M), f"{line} in {told}")
