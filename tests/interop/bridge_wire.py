"""Calls between a browser and a phone at the bridge, message by message."""

from bridge import USERS, Bridge
from harness import expect_equal
from raw_sip import RawBrowser, RawPhone, plain_sdp, web_sdp, word

JSSIP_ALLOW = ("Allow", "INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY,SUBSCRIBE")
SIPJS_ALLOW = ("Allow", "ACK,CANCEL,INVITE,MESSAGE,BYE,OPTIONS,INFO,NOTIFY,REFER")


def native(*args, **options):
    return Bridge("--allow-native", *args, origin="*", **options)


def browser_at(bridge, user="anna", **options):
    return RawBrowser(bridge.sockets["ws"], user, USERS[user], **options)


def registered(endpoint, *args):
    expect_equal(endpoint.register(*args).status, 200, f"{endpoint.user} registers")
    return endpoint


def pair(bridge):
    return registered(browser_at(bridge)), registered(RawPhone(bridge.udp, "ben", USERS["ben"]))


def invite_from(caller, callee, target, more=(), body=""):
    """(what the caller sent, the INVITE that the callee got)"""
    sent, _ = caller.ask("INVITE", target, more=list(more), body=body)
    return sent, callee.wait("INVITE", "INVITE")


def call_to_phone(browser, phone, more=(JSSIP_ALLOW,), allow="INVITE, ACK, BYE, CANCEL, INFO", answer=None, extra=()):
    """An established call of the browser: (its dialog, the phone's, the INVITE, the 200 that the browser got)."""
    sent, invite = invite_from(browser, phone, "sip:ben@house.test", more, web_sdp())
    tag = word()
    phone.reply(invite, 200, "OK", [("Allow", allow), *extra], answer or plain_sdp(), tag)
    ok = browser.wait(200, "the answer")
    ours, theirs = browser.dialog_of_caller(sent, ok), phone.dialog_of_callee(invite, tag)
    browser.within(ours, "ACK", number=ours.number)
    phone.wait("ACK", "ACK")
    return ours, theirs, invite, ok


def call_to_browser(phone, browser, more=(), allow=SIPJS_ALLOW):
    """An established call of the phone: (its dialog, the browser's, the INVITE that the browser got)."""
    sent, invite = invite_from(phone, browser, "sip:anna@house.test", more, plain_sdp())
    tag = word()
    browser.reply(invite, 200, "OK", [allow], web_sdp(setup="active"), tag)
    ok = phone.wait(200, "the answer")
    ours, theirs = phone.dialog_of_caller(sent, ok), browser.dialog_of_callee(invite, tag)
    phone.within(ours, "ACK", number=ours.number)
    browser.wait("ACK", "ACK")
    return ours, theirs, invite


def hang_up(one, dialog, other):
    one.within(dialog, "BYE")
    other.reply(other.wait("BYE", "BYE"), 200, contact=False)
    one.wait(lambda m: m.status == 200 and m.get("cseq").endswith("BYE"), "answer to BYE")
