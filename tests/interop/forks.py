"""Phones of one name that ring with sound, and a page of SIP.js that hears it."""

import re
import socket

from bridge import USERS, configuration, let_answer
from browser import WebPhone
from harness import wait_until, workdir
from tone import g711_tone


def tone(hz, law="pcmu"):
    path = workdir() / f"{hz}.{law}"
    path.write_bytes(g711_tone(hz, 8000, law))
    return path


def devices(**phones):
    """[[bridge.device]] for each phone; those of one list have one name."""
    out = []
    for name, listed in phones.items():
        out += [[f'name = "{name}"', f'uri = "sip:{name}@127.0.0.1:{phone.port}"']
                for phone in (listed if isinstance(listed, list) else [listed])]
    return configuration(devices=out)


def sipjs_page(browser, pages, bridge, user="anna"):
    return WebPhone(browser, pages, bridge.web, user, USERS[user], page="sipjs.html", hz=700).registered()


def rings(page, target, hz=660):
    """The page calls with early media and hears the phone that rings."""
    call = page.call(target, earlyMedia=True)
    page.event("progress", {"index": call})
    page.hears(hz)
    return call


def spend_call(phone):
    """SIPp counts its SSRCs from the same number in each process, one a call; phones in the world have SSRCs of their own.
    After this call, which is called off, the next one of `phone` has another than the first one of another SIPp."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as side, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        for one in (side, ear):
            one.settimeout(10)
            one.bind(("127.0.0.1", 0))
        side.connect(("127.0.0.1", phone.port))
        here = "127.0.0.1:%d" % side.getsockname()[1]
        sdp = ("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
               f"m=audio {ear.getsockname()[1]} RTP/AVP 8 0\r\n")

        def send(method, to=f"<sip:ring@{here}>", more="Content-Length: 0\r\n\r\n"):
            side.send(f"{method} sip:ring@127.0.0.1:{phone.port} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKspent\r\n"
                      f"From: <sip:test@{here}>;tag=1\r\nTo: {to}\r\nCall-ID: spent-{here}\r\nCSeq: 1 {method}\r\n"
                      f"Contact: <sip:{here}>\r\n{more}".encode())

        send("INVITE", more=f"Content-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n\r\n{sdp}")
        ear.recv(2048)  # it rings, sings and waits for what comes
        send("CANCEL")
        while not (got := side.recv(4096).decode()).startswith("SIP/2.0 487 "):
            pass
        send("ACK", re.search(r"^To: *(.*)$", got, re.M)[1].strip())


def other_answers(page, one, other, hz, other_hz):
    """The page calls two phones that sing so, with early media; the one that it does not hear answers, both are done with."""
    call = page.call("sip:ring@house.test", earlyMedia=True)
    page.window.wait('phone.events.filter((e) => e.name === "progress").length === 2', "both ring")
    heard = page.window.wait("(() => { const h = phone.heard(); return h.db > -60 && h.hz; })()", "early media")
    loud, silent = (one, other) if abs(heard - hz) < 15 else (other, one)
    let_answer(silent, -1)  # its last call
    page.event("confirmed", {"index": call})
    page.hears(other_hz if loud is one else hz)
    wait_until(lambda: loud.received("CANCEL"), "the other one is called off")
    page.do(call, "bye()")
    silent.succeeds()
    loud.succeeds()


class At:
    """For devices(): a phone that tells its port later."""

    def __init__(self, port):
        self.port = port
