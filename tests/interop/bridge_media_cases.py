"""wss-bridge: digits and codecs between a real browser and real phones."""

from bridge import USERS, Bridge, web_phone
from browser import Chromium, Pages
from harness import Baresip, case, wait_until


def bare(bridge, codec, hz=660, user="carl"):
    """baresip registered as `user` with one codec."""
    peer = Baresip(name=user, codec=codec, hz=hz, registrar="house.test",
                   account=f';auth_pass={USERS[user]};outbound="sip:{bridge.udp};transport=udp";regint=60')
    bridge.registered(user)
    return peer


@case("bridge: digits of a page reach a phone that speaks Opus, also after its own hold", timeout=90)
def opus_digits():
    bridge, pages, browser = Bridge(), Pages(), Chromium()
    # baresip takes a digit for one only when packets without the end bit came.
    peer = bare(bridge, "opus")
    page = web_phone(browser, pages, bridge, "anna", hz=700, answer=True)
    for incoming, digits in ((False, "1234"), (True, "5678")):
        if incoming:
            peer.dial("sip:anna@house.test")
        else:
            page.call("sip:carl@house.test")
        index = int(incoming)
        page.event("confirmed", {"index": index})
        page.hears(660)

        def send(digit):
            page.do(index, f'sendDTMF("{digit}", {{transportType: "RFC2833"}})')
            wait_until(lambda: digit in peer.digits(), f"digit {digit} at baresip")

        send(digits[0])
        for digit in digits[1:]:
            seen = len(page.events())
            page.do(index, 'hold({}, () => phone.note("held"))')  # JsSIP's own event comes before the answer
            page.event("held", after=seen)
            page.do(index, 'unhold({}, () => phone.note("resumed"))')
            page.event("resumed", after=seen)
            send(digit)
        page.do(index, "terminate()")
        page.event("ended", {"index": index})
    browser.quit()
    bridge.stop()
