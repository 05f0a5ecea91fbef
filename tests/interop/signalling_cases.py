"""wss-bridge, what JsSIP and SIP.js require on the wire: each row an assertion, by a client that is no library and a phone
that is none."""

import socket

from bridge import USERS, Bridge, edge
from bridge_wire import (JSSIP_ALLOW, SIPJS_ALLOW, browser_at, call_to_browser, call_to_phone, hang_up, invite_from, native,
                         pair, registered)
from harness import Kamailio, case, expect, expect_equal, workdir
from raw_sip import RawBrowser, RawPhone, lines_of, plain_sdp, uri_of, web_sdp, word


def transport_of(sdp):
    """What a browser must see unchanged in every description."""
    return [lines_of(sdp, name) for name in ("ice-ufrag", "ice-pwd", "fingerprint")] + \
        [line.split()[1] for line in sdp.splitlines() if line.startswith("m=audio")]


@case("bridge on the wire: REGISTER is answered with the browser's own Contact and expires, whoever is the registrar")
def registering():
    bridge = native()
    # As SIP.js: no instance, expires as a parameter only. As JsSIP: instance, reg-id, both.
    instance = ';+sip.ice;reg-id=1;+sip.instance="<urn:uuid:8f2c1a5e-0b4d-4a57-9c39-7d21b1f0aa01>"'
    for more, headers in ((";expires=300", ()), (instance + ";expires=600", (("Expires", "600"),)),
                          ("", (("Expires", "600"),)), (";expires=300", (("Supported", "path,gruu,outbound"),))):
        one = browser_at(bridge)
        answer = one.register(more, headers)
        expect_equal(answer.status, 200, "status")
        mine = [c for c in answer.elements("contact") if uri_of(c) == one.contact]
        expect_equal(len(mine), 1, f"Contacts that are byte for byte {one.contact} in {answer.all('contact')}")
        expect(";expires=" in mine[0], f"expires as a parameter: {mine[0]}")
        expect_equal(answer.all("via"), [one.seen[-1].get("via")], "one Via")
        expect_equal(answer.get("via").split(";")[0], f"SIP/2.0/WS {one.host}", "its sent-by, without a port")
        # A query without Contact is told, too.
        listed = one.ask("REGISTER", "sip:house.test", f"<{one.aor}>")[1]
        expect(any(uri_of(c) == one.contact and ";expires=" in c for c in listed.elements("contact")), str(listed))
        one.close()
    # The last challenge is the one that the libraries take: MD5, though SHA-256 is offered before it.
    both = Bridge("--allow-native", name="both", origin="*", config=both_digests())
    stranger = browser_at(both)
    stranger.request("REGISTER", "sip:house.test", f"<{stranger.aor}>")
    asked = stranger.wait(401, "challenge").all("www-authenticate")
    expect_equal([("SHA-256" in value) for value in asked], [True, False], f"challenges: {asked}")
    both.stop()
    bridge.stop()
    # In front of Kamailio, by Contact: what is rewritten for it is undone for the browser.
    registrar = Kamailio()
    bridge = edge(registrar, "--upstream-mode", "contact", "--allow-native", name="edge")
    one = RawBrowser(bridge.sockets["ws"], "anna", registrar.password, registrar.realm)
    answer = one.register(";expires=300", ())
    expect_equal(answer.status, 200, "status from Kamailio")
    expect_equal([uri_of(c) for c in answer.elements("contact")], [one.contact], "Contact from Kamailio")
    expect(";expires=" in answer.get("contact").split(">")[1], answer.get("contact"))
    bridge.stop()
    registrar.stop()


def both_digests():
    path = workdir() / "both.toml"
    path.write_text('[bridge]\ndomain = "house.test"\n[[bridge.user]]\nname = "anna"\npassword = "rose-17"\n')
    path.chmod(0o600)
    return path


@case("bridge on the wire: Via, Content-Length and the branches of two connections")
def vias_and_lengths():
    bridge = native()
    anna, ben = pair(bridge)
    # Two browsers that chose the same sent-by, branch, CSeq and method: 10^7 branches are few.
    twins = [registered(browser_at(bridge, user, host="twin000twin0.invalid")) for user in ("anna", "carl")]
    sent = []
    for one in twins:
        sent.append(one.request("OPTIONS", "sip:house.test", "<sip:house.test>", number=77, branch="z9hG4bK1234567"))
    for one, request in zip(twins, sent):
        answer = one.wait(lambda m: m.status and m.get("cseq").startswith("77 "), "answer to OPTIONS")
        expect_equal(answer.get("call-id"), request["Call-ID"], "whose answer it is")
        expect_equal([via.removesuffix(";received=127.0.0.1") for via in answer.all("via")], [request["Via"]], "Via")
    # Bytes, not characters; none at all is fine from a browser.
    text = "Tür auf, κόσμε \U0001f6aa"
    for way, one, other in (("out", anna, ben), ("in", ben, anna)):
        target = f"sip:{other.user}@house.test"
        one.ask("MESSAGE", target, more=[("Content-Type", "text/plain;charset=utf-8")], body=text, until=None)
        got = other.wait("MESSAGE", "MESSAGE")
        expect_equal((got.body, got.get("content-length")), (text, str(len(text.encode()))), f"the MESSAGE {way}")
        other.reply(got, 200, contact=False)
        one.wait(200, "answer")
    ours, _, invite, ok = call_to_phone(anna, ben)
    for message in (invite, ok):
        expect_equal(message.get("content-length"), str(len(message.raw_body)), "Content-Length of rewritten SDP")
    expect_equal([v.split(";")[0] for v in ok.all("via")], [f"SIP/2.0/WS {anna.host}"], "Via of the answer")
    hang_up(anna, ours, ben)
    bridge.stop()


@case("bridge on the wire: Request-URI, sips, 404 and 416")
def request_uris():
    bridge = native()
    anna, ben = pair(bridge)
    # The browser's libraries answer 404 to any user but their Contact's, 416 to sips.
    sent, invite = invite_from(ben, anna, "sips:anna@house.test", body=plain_sdp())
    expect_equal(invite.uri, anna.contact, "Request-URI")
    expect("sips:" not in invite.get("to") + invite.get("from"), f"To and From: {invite.get('to')} {invite.get('from')}")
    anna.reply(invite, 180, tag="t1")
    ringing = ben.wait(180, "ringing")
    expect_equal(ringing.get("to"), "<sips:anna@house.test>;tag=t1", "To as the phone wrote it")
    anna.reply(invite, 200, "OK", [SIPJS_ALLOW], web_sdp(setup="active"), "t1")
    ok = ben.wait(200, "the answer")
    expect_equal(ok.get("from"), sent["From"], "From as the phone wrote it")
    dialog = ben.dialog_of_caller(sent, ok)
    ben.within(dialog, "ACK", number=dialog.number)
    expect_equal(anna.wait("ACK", "ACK").uri, anna.contact, "Request-URI of the ACK")
    ben.within(dialog, "BYE")
    bye = anna.wait("BYE", "BYE")
    expect_equal(bye.uri, anna.contact, "Request-URI of the BYE")
    anna.reply(bye, 200, contact=False)
    ben.wait(200, "answer to BYE")
    # The browser's own scheme mistakes, and names that lead nowhere: never DNS.
    for uri, status in (("mailto:ben@house.test", 416), (f"sip:x@{word(12)}.invalid;transport=ws", 404),
                        ("sip:nobody@house.test", 404), ("sip:carl@house.test", 480), ("sip:anna@house.test", 480)):
        expect_equal(anna.ask("MESSAGE", uri, more=[("Content-Type", "text/plain")], body="x")[1].status, status, uri)
    # Both spellings of the transport; our own is ws.
    other = browser_at(bridge, "carl")
    other.contact = other.contact.replace("transport=ws", "transport=wss")
    registered(other)
    _, invite = invite_from(ben, other, "sip:carl@house.test", body=plain_sdp())
    expect_equal(invite.uri, other.contact, "Request-URI")
    expect("transport=ws;" in invite.elements("record-route")[0], f"Record-Route: {invite.all('record-route')}")
    bridge.stop()


@case("bridge on the wire: 100rel, session timers, and UPDATE for who does not know it")
def timers_and_updates():
    bridge = native()
    anna, ben = pair(bridge)
    # JsSIP asks for 90 s, and needs Session-Expires in the answer.
    ours, theirs, invite, ok = call_to_phone(anna, ben, [JSSIP_ALLOW, ("Supported", "timer,ice,replaces,outbound"),
                                                         ("Session-Expires", "90")])
    expect(int(invite.get("session-expires").split(";")[0]) >= 1800, f"towards the phone: {invite.get('session-expires')}")
    expect(int(ok.get("session-expires").split(";")[0]) >= 1800, f"towards the browser: {ok.get('session-expires')}")
    # It refreshes by UPDATE, whatever Allow says: nobody troubles a phone that does not know it.
    mark = ben.mark()
    refreshed = anna.answer_within(ours, "UPDATE", more=[("Session-Expires", "1800;refresher=uac")])
    expect_equal((refreshed.status, refreshed.get("session-expires").split(";")[0]), (200, "1800"), "the refresh")
    expect(not [m for m in ben.since(mark) if m.method == "UPDATE"], "the phone saw an UPDATE")
    # hold({useUpdate: true}) becomes a re-INVITE, which the bridge acknowledges.
    anna.within(ours, "UPDATE", body=web_sdp("sendonly", ufrag="abcd"))
    again = ben.wait("INVITE", "re-INVITE")
    expect("a=sendonly" in again.body, again.body)
    ben.reply(again, 200, "OK", body=plain_sdp("recvonly"), tag="x")
    held = anna.wait(lambda m: m.status >= 200 and m.get("cseq").endswith("UPDATE"), "answer to UPDATE")
    expect_equal((held.status, "a=recvonly" in held.body), (200, True), "the hold")
    acknowledged = ben.wait("ACK", "ACK of the re-INVITE")
    expect_equal(acknowledged.get("cseq").split()[0], again.get("cseq").split()[0], "CSeq of the ACK")
    ben.reply(again, 200, "OK", body=plain_sdp("recvonly"), tag="x")  # repeated: acknowledged again
    ben.others.clear()
    ben.wait("ACK", "second ACK")
    hang_up(anna, ours, ben)
    # A phone that lists UPDATE and refuses it.
    for status in (405, 501):
        ours, theirs, _, _ = call_to_phone(anna, ben, allow="INVITE, ACK, BYE, CANCEL, UPDATE")
        anna.within(ours, "UPDATE", body=web_sdp("sendonly"))
        refused = ben.wait("UPDATE", "UPDATE")
        ben.reply(refused, status, contact=False)
        again = ben.wait("INVITE", "re-INVITE")
        expect(int(again.get("cseq").split()[0]) > int(refused.get("cseq").split()[0]), "the number rises")
        ben.reply(again, 200, "OK", body=plain_sdp("recvonly"))
        held = anna.wait(lambda m: m.status >= 200 and m.get("cseq").endswith("UPDATE"), "answer to UPDATE")
        expect_equal((held.status, held.get("cseq").split()[0]), (200, str(ours.number)), f"the hold after {status}")
        ben.wait("ACK", "ACK")
        mark = ben.mark()
        refreshed = anna.answer_within(ours, "UPDATE", more=[("Session-Expires", "1800")])
        expect_equal(refreshed.status, 200, "the refresh")
        expect(not [m for m in ben.since(mark) if m.method == "UPDATE"], "the phone is asked no second time")
        anna.within(ours, "BYE")
        bye = ben.wait("BYE", "BYE")
        expect(int(bye.get("cseq").split()[0]) > int(again.get("cseq").split()[0]), "the number of the BYE")
        ben.reply(bye, 200, contact=False)
        anna.wait(200, "answer to BYE")
    # Reliable provisional responses are not for browsers.
    ours, theirs, invite = call_to_browser(ben, anna, [("Supported", "100rel, timer"), ("Session-Expires", "1800")])
    expect("100rel" not in invite.elements("supported"), f"Supported: {invite.all('supported')}")
    # SIP.js knows no UPDATE: it gets a re-INVITE, and a refresh is answered in its place.
    mark = anna.mark()
    refreshed = ben.answer_within(ours, "UPDATE", more=[("Session-Expires", "1800;refresher=uac")])
    expect_equal(refreshed.status, 200, "the phone's refresh")
    ben.within(ours, "UPDATE", body=plain_sdp("sendonly"))
    again = anna.wait("INVITE", "re-INVITE")
    expect(not [m for m in anna.seen[mark:] if m.method == "UPDATE"], "the browser saw an UPDATE")
    anna.reply(again, 200, "OK", [SIPJS_ALLOW], web_sdp("recvonly", "active"), "x")
    held = ben.wait(lambda m: m.status >= 200 and m.get("cseq").endswith("UPDATE"), "answer to UPDATE")
    expect_equal((held.status, "a=recvonly" in held.body), (200, True), "held by the phone")
    anna.wait("ACK", "ACK")
    # One that insists on what the browser cannot do is told so.
    insisting = ben.ask("INVITE", "sip:anna@house.test", more=[("Require", "100rel")], body=plain_sdp(), until=200)[1]
    expect_equal((insisting.status, insisting.get("unsupported")), (420, "100rel"), "Require: 100rel")
    hang_up(ben, ours, anna)
    bridge.stop()


@case("bridge on the wire: early answers, the first one only, and one transport for all forks")
def forks():
    bridge = native()
    anna, ben = pair(bridge)
    carl = registered(RawPhone(bridge.udp, "ben", USERS["ben"]))
    sent, first = invite_from(anna, ben, "sip:ben@house.test", [JSSIP_ALLOW], web_sdp())
    second = carl.wait("INVITE", "INVITE")
    ben.reply(first, 183, "Session Progress", body=plain_sdp(formats="8 0"), tag="ben")
    early = anna.wait(183, "183")
    expect(early.body, "the first early answer passes")
    carl.reply(second, 183, "Session Progress", body=plain_sdp(formats="0 8", port=40002), tag="carl")
    later = anna.wait(183, "second 183")
    expect_equal((later.body, later.get("content-type"), later.tag("to")), ("", "", "carl"), "the second one's description")
    # The 2xx has a description, though the phone leaves it out, on the same transport and with the codec of the first.
    carl.reply(second, 200, "OK", tag="carl")
    ok = anna.wait(200, "200")
    expect_equal(transport_of(ok.body), transport_of(early.body), "ICE, DTLS and port")
    formats = [line.split()[3:] for line in ok.body.splitlines() if line.startswith("m=audio")][0]
    expect_equal(formats[:2], ["8", "0"], "codecs in the order of the first answer")
    cancel = ben.wait("CANCEL", "CANCEL for the other phone")
    ben.reply(cancel, 200, contact=False)
    # Both answered at once: the second one is acknowledged and ended.
    ben.reply(first, 200, "OK", body=plain_sdp(), tag="ben")
    ben.wait("ACK", "ACK of the second answer")
    bye = ben.wait("BYE", "BYE of the second answer")
    expect_equal((bye.uri, bye.tag("to")), (ben.contact, "ben"), "whom the BYE is for")
    ben.reply(bye, 200, contact=False)
    dialog = anna.dialog_of_caller(sent, ok)
    anna.within(dialog, "ACK", number=dialog.number)
    carl.wait("ACK", "ACK")
    # Glare: 491 goes to whoever asked.
    anna.within(dialog, "INVITE", body=web_sdp("sendonly"))
    again = carl.wait("INVITE", "re-INVITE")
    carl.reply(again, 491, "Request Pending")
    expect_equal(anna.wait(lambda m: m.status >= 200, "answer to the re-INVITE").status, 491, "glare")
    hang_up(anna, dialog, carl)
    # A call for two browsers: each gets an offer of its own.
    other = registered(browser_at(bridge))
    _, one = invite_from(ben, anna, "sip:anna@house.test", body=plain_sdp())
    two = other.wait("INVITE", "INVITE")
    expect(all(a != b for a, b in zip(transport_of(one.body)[:2], transport_of(two.body)[:2])), "ICE for each")
    expect(transport_of(one.body)[3] != transport_of(two.body)[3], "a port for each")
    bridge.stop()


@case("bridge on the wire: hold is answered legally, whatever the phone says; nobody else speaks for a dialog")
def holds():
    bridge = native()
    anna, ben = pair(bridge)
    ours, theirs, _, _ = call_to_phone(anna, ben)
    anna.within(ours, "INVITE", body=web_sdp("sendonly"))
    again = ben.wait("INVITE", "re-INVITE")
    ben.reply(again, 200, "OK", body=plain_sdp("sendrecv"))
    held = anna.wait(200, "the hold")
    expect("a=recvonly" in held.body, "sendrecv is no answer to sendonly")
    anna.within(ours, "ACK", number=ours.number)
    ben.wait("ACK", "ACK")
    # The tags alone are no proof.
    thief = registered(browser_at(bridge, "carl"))
    stolen = thief.answer_within(ours, "BYE")
    expect_equal(stolen.status, 481, "a BYE from another browser")
    stranger = RawPhone(bridge.udp, "x")
    stray = stranger.request("INFO", f"sip:x@{word(12)}.invalid", "<sip:a@house.test>;tag=nobody")
    expect_equal(stranger.wait(lambda m: m.status, "answer").status, 481, f"nobody's dialog {stray['Call-ID']}")
    hang_up(anna, ours, ben)
    bridge.stop()


@case("bridge on the wire: a registrar's challenges as the browser's libraries can take them")
def challenges():
    upstream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    upstream.bind(("127.0.0.1", 0))
    upstream.settimeout(10)
    config = workdir() / "edge.toml"
    config.write_text('[bridge]\ndomain = "house.test"\n')
    bridge = Bridge("--allow-native", "--upstream", f"sip:127.0.0.1:{upstream.getsockname()[1]}", origin="*",
                    config=config)
    anna = browser_at(bridge)
    anna.request("REGISTER", "sip:house.test", f"<{anna.aor}>", [("Expires", "600")])
    data, bridge_at = upstream.recvfrom(65536)
    head = data.decode().split("\r\n")
    kept = [line for line in head if line.split(":")[0] in ("Via", "From", "To", "Call-ID", "CSeq")]
    asked = ['Digest realm="pbx", nonce="1", algorithm=MD5, qop="auth"',
             'Digest realm="pbx", nonce="1", algorithm=SHA-256, qop="auth"',
             'Digest realm="pbx", nonce="1", algorithm=SHA-512-256, qop="auth"']
    answer = "\r\n".join(["SIP/2.0 401 Unauthorized", *kept, *(f"WWW-Authenticate: {value}" for value in asked),
                          "Content-Length: 0", "", ""])
    upstream.sendto(answer.encode(), bridge_at)
    got = anna.wait(401, "challenge").all("www-authenticate")
    expect_equal(got, asked[:1], "the challenges that the browser sees")
    bridge.stop()


@case("bridge on the wire: hidden forks are one dialog, and names of it are translated both ways")
def hidden():
    bridge = native("--hide-forks")
    anna, ben = pair(bridge)
    rival = registered(RawPhone(bridge.udp, "ben", USERS["ben"]))
    carl = registered(RawPhone(bridge.udp, "carl", USERS["carl"]))
    sent, one = invite_from(anna, ben, "sip:ben@house.test", [JSSIP_ALLOW, ("Supported", "100rel, outbound")], web_sdp())
    two = rival.wait("INVITE", "INVITE")
    expect("100rel" not in one.elements("supported"), f"Supported: {one.all('supported')}")
    ben.reply(one, 183, body=plain_sdp(), tag="ben-tag")
    shown = anna.wait(183, "183").tag("to")
    rival.reply(two, 180, tag="rival.tag")
    expect_equal(anna.wait(180, "180").tag("to"), shown, "the tag of the second phone")
    expect(shown not in ("ben-tag", "rival.tag", ""), f"the tag that is shown: {shown}")
    # A request of the early dialog goes to the phone that was heard of last.
    early = anna.dialog_of_caller(sent, anna.seen[-1])
    early.number += 10
    anna.within(early, "INFO", more=[("Content-Type", "text/plain")], body="x")
    info = rival.wait("INFO", "INFO")
    expect_equal((info.tag("to"), info.uri), ("rival.tag", rival.contact), "whom the INFO is for")
    rival.reply(info, 200, contact=False)
    expect_equal(anna.wait(lambda m: m.get("cseq").endswith("INFO"), "answer").tag("to"), shown, "the tag of its answer")
    # The first phone answers. The browser's remote target is that of the phone it heard of last; the ACK goes right.
    ben.reply(one, 200, "OK", body=plain_sdp(), tag="ben-tag")
    ok = anna.wait(200, "200")
    expect_equal(ok.tag("to"), shown, "the tag of the answer")
    rival.reply(rival.wait("CANCEL", "CANCEL"), 200, contact=False)
    dialog = anna.dialog_of_caller(sent, ok)
    dialog.target = rival.contact
    anna.within(dialog, "ACK", number=dialog.number)
    ack = ben.wait("ACK", "ACK")
    expect_equal((ack.tag("to"), ack.uri), ("ben-tag", ben.contact), "whom the ACK is for")
    theirs = ben.dialog_of_callee(one, "ben-tag")
    ours = anna.seen[-1].get("from").split(";tag=")[1]
    call_id = sent["Call-ID"]

    # From the browser: names of the dialog become those of the phone.
    out = {"Refer-To": f"<sip:carl@house.test?Replaces={call_id}%3Bto-tag%3D{shown}%3Bfrom-tag%3D{ours}>",
           "Target-Dialog": f"{call_id};local-tag={ours};remote-tag={shown}",
           "Join": f"{call_id};to-tag={shown};from-tag={ours}"}
    dialog.number += 20
    anna.within(dialog, "REFER", more=list(out.items()))
    refer = ben.wait("REFER", "REFER")
    for name, value in out.items():
        expect_equal(refer.get(name), value.replace(shown, "ben-tag"), name)
    ben.reply(refer, 202)
    expect_equal(anna.wait(202, "202").tag("to"), shown, "the tag of the 202")
    anna.ask("INVITE", "sip:carl@house.test", more=[("Replaces", f"{call_id};to-tag={shown};from-tag={ours}")],
             body=web_sdp())
    expect_equal(carl.wait("INVITE", "INVITE").get("replaces"), f"{call_id};to-tag=ben-tag;from-tag={ours}", "Replaces")

    # To the browser: the other way round, in headers, in XML and in fragments of messages; in-dialog ones by its tag.
    sent, answer = carl.ask("INVITE", "sip:anna@house.test", body=plain_sdp(),
                            more=[("Replaces", f"{call_id};to-tag={ours};from-tag=ben-tag")])
    expect_equal(anna.wait("INVITE", "INVITE").get("replaces"), f"{call_id};to-tag={ours};from-tag={shown}", "Replaces")
    def xml(tag):
        return (f'<?xml version="1.0"?><dialog-info><dialog id="1" call-id="{call_id}" local-tag="{ours}" '
                f'remote-tag="{tag}"/><dialog id="2" call-id="another" local-tag="ben-tag"/></dialog-info>')

    def fragment(tag):
        return f"SIP/2.0 200 OK\r\nTo: <sip:ben@house.test>;tag={tag}\r\nCall-ID: {call_id}\r\n"

    for kind, body in (("application/dialog-info+xml", xml), ("message/sipfrag", fragment)):
        ben.within(theirs, "NOTIFY", body=body("ben-tag"),
                   more=[("Event", "refer"), ("Subscription-State", "active"), ("Content-Type", kind)])
        notify = anna.wait("NOTIFY", "NOTIFY")
        expect_equal((notify.body, notify.tag("from")), (body(shown), shown), kind)
        anna.reply(notify, 200, contact=False)
        expect_equal(ben.wait(200, "answer to NOTIFY").tag("from"), "ben-tag", "the tag that the phone sees")
    ben.within(theirs, "BYE")
    bye = anna.wait("BYE", "BYE")
    expect_equal((bye.tag("from"), bye.tag("to")), (shown, ours), "the tags of the BYE")
    anna.reply(bye, 200, contact=False)
    ben.wait(200, "answer to BYE")
    # Reliable provisional responses that the browser insists on cannot be had.
    refused = anna.ask("INVITE", "sip:ben@house.test", more=[("Require", "100rel")], body=web_sdp(), until=200)[1]
    expect_equal((refused.status, refused.get("unsupported")), (420, "100rel"), "Require: 100rel")
    bridge.stop()
