"""What happens to a page at wss-bridge: sound before the answer, a reload, ICE anew, a connection cut."""

import re
import socket

from bridge import Bridge, configuration, log_in, web_phone
from browser import EAR, Chromium, Pages, wait_for_tone
from harness import Sipp, case, expect, expect_equal, wait_until, workdir
from tone import pcmu_tone

# The call of the built-in page, its state and the words beside it.
CARD = '(document.querySelector(".call .state") || {textContent: ""}).textContent'


def dial(window, target):
    window.run(f"""(() => {{
        document.getElementById("target").value = {target!r};
        document.getElementById("call-audio").click();
    }})()""")


def ringing(tone, calls, answers="first"):
    """A phone that sings from its 183 on, and answers when it is told to."""
    return Sipp("early_tone", calls=calls, keys={"tone": tone, "first": "first", "second": answers})


def let_answer(phone, number):
    """Tells SIPp that its call `number` is to be answered now: a request of that call from the side."""
    invites = wait_until(lambda: len(phone.received("INVITE")) > number and phone.received("INVITE"), "the INVITE")
    call_id = re.search(r"^Call-ID: *(\S+)", invites[number], re.M)[1]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as side:
        side.connect(("127.0.0.1", phone.port))
        here = "127.0.0.1:%d" % side.getsockname()[1]
        side.send(f"OPTIONS sip:{here} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKnow{number}\r\n"
                  f"From: <sip:test@{here}>;tag=1\r\nTo: <sip:ring@{here}>\r\nCall-ID: {call_id}\r\n"
                  "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n".encode())


@case("bridge: early media is heard before the answer; called off; answered by another phone", timeout=90)
def early_media():
    tone = workdir() / "tone.ul"
    tone.write_bytes(pcmu_tone(660, 8000))
    phone, forked = ringing(tone, 3), ringing(tone, 1, answers="second")
    devices = [[f'name = "{name}"', f'uri = "sip:{name}@127.0.0.1:{peer.port}"']
               for name, peer in (("ring", phone), ("forked", forked))]
    bridge, pages, browser = Bridge(config=configuration(devices=devices)), Pages(), Chromium()
    page = web_phone(browser, pages, bridge, "anna", hz=700)

    def heard_early(target):
        call = page.call(target)
        page.event("progress", {"index": call})
        page.hears(660)
        expect(not [e for e in page.events() if e["name"] == "accepted" and e["index"] == call],
               "the tone came before the answer")
        return call

    call = heard_early("sip:ring@house.test")
    let_answer(phone, 0)
    page.event("confirmed", {"index": call})
    page.hears(660)
    page.do(call, "terminate()")
    page.event("ended", {"index": call})

    # Called off while the early media sounds.
    call = heard_early("sip:ring@house.test")
    page.do(call, "terminate()")
    page.event("failed", {"index": call, "cause": "Canceled"})

    # One phone rang, another answered: the page keeps its one transport.
    call = heard_early("sip:forked@house.test")
    let_answer(forked, 0)
    page.event("confirmed", {"index": call})
    page.hears(660)
    page.do(call, "terminate()")
    forked.succeeds()

    # The built-in page: the tone while it still says that it rings.
    window = browser.open(bridge.http + "/")
    log_in(window, "ben")
    dial(window, "ring")
    wait_for_tone(window, EAR, 660, "the built-in page")
    expect_equal(window.run(CARD), "ringing …", "what it shows meanwhile")
    let_answer(phone, 2)
    window.wait(f"/^0:0/.test({CARD})", "the call is up")
    wait_for_tone(window, EAR, 660, "the built-in page")
    window.run('document.querySelector(".call .hangup").click()')
    phone.succeeds()
    browser.quit()
    bridge.stop()
