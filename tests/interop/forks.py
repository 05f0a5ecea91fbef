"""Phones of one name that ring with sound, and a page of SIP.js that hears it."""

from bridge import USERS, configuration
from browser import WebPhone
from harness import workdir
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


class At:
    """For devices(): a phone that tells its port later."""

    def __init__(self, port):
        self.port = port
