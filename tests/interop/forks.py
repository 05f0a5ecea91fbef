"""Phones of one name that ring with sound, and a page of SIP.js that hears it."""

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


def other_answers(page, one, other, hz, other_hz):
    """The page calls two phones that sing so, with early media; the one that it does not hear answers, both are done with."""
    call = page.call("sip:ring@house.test", earlyMedia=True)
    page.window.wait('phone.events.filter((e) => e.name === "progress").length === 2', "both ring")
    heard = page.window.wait("(() => { const h = phone.heard(); return h.db > -60 && h.hz; })()", "early media")
    loud, silent = (one, other) if abs(heard - hz) < 15 else (other, one)
    let_answer(silent, 0)
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
