"""The built-in web phone as people use it: a call and its buttons, several calls, no microphone, a bridge that starts
again, two tabs, nginx."""

import os
import urllib.request

from bridge import Bridge, answering, configuration, log_in
from browser import Chromium, wait_for_sound
from harness import Offhook, case, expect, expect_equal
from nginx import Nginx
from processes import free_port

UP = "[...phone.calls.values()].filter((c) => c.state === 'up')"
NOTE = 'document.getElementById("note").textContent'


def dial(window, target, button="call-audio"):
    window.run(f"""(() => {{
        document.getElementById("target").value = {target!r};
        document.getElementById({button!r}).click();
    }})()""")


def answer(window):
    window.wait('!document.getElementById("incoming").hidden', "it rings")
    window.run('document.getElementById("answer").click()')


def opened(browser, url, user):
    window = browser.open(url, size=(390, 844))
    log_in(window, user)
    return window


@case("web phone: a second call holds the first, and the two are connected", timeout=120)
def consultation():
    bridge, browser = Bridge(), Chromium()
    anna, ben, carl = (opened(browser, bridge.http + "/", user) for user in ("anna", "ben", "carl"))
    dial(anna, "ben")
    answer(ben)
    anna.wait(f"{UP}.length === 1", "anna talks to ben")
    dial(anna, "carl")
    answer(carl)
    anna.wait(f"{UP}.length === 2 && phone.calls.values().next().value.held", "ben waits while anna talks to carl")
    ben.wait(f"{UP}[0].remoteHeld", "ben is told")
    # The card of the newer call is the upper one.
    anna.run("""(() => {
        document.querySelector(".call .transfer").click();
        document.querySelector(".call .joins button").click();
    })()""")
    anna.wait("phone.calls.size === 0 && cards.size === 0", "anna is out of it")
    # carl was handed to ben, whose call with anna it replaces without ringing.
    for window, other in ((ben, "carl"), (carl, "ben")):
        window.wait(f"{UP}.length === 1 && {UP}[0].who === {other!r}", f"the call with {other}")
        window.wait("cards.size === 1 && phone.calls.size === 1", "one call is shown")
    ben.wait(f"!{UP}[0].remoteHeld", "nobody is on hold")
    expect(ben.run('document.getElementById("incoming").hidden'), "nothing rang at ben's")
    # A call that names another one but not its tags is none of ours.
    ben.run("""(() => {
        const call = phone.calls.values().next().value;
        phone.request("INVITE", `sip:carl@${phone.domain}`, {From: `<${phone.aor}>;tag=x`, To: `<sip:carl@${phone.domain}>`,
            "Call-ID": "foreign", Contact: `<${phone.contact}>`, Replaces: `${call.callId};to-tag=a;from-tag=b`},
            call.pc.localDescription.sdp, () => 1 + (window.number = (window.number || 0) + 1))
            .then((response) => { window.refusal = response.status; });
    })()""")
    expect_equal(ben.wait("window.refusal", "the answer to it"), 481, "who replaces a call without knowing its tags")
    expect_equal(carl.run(f"{UP}.length"), 1, "carl's calls")
    # The one that is busy with a call that rings is not asked twice; the others of its user would still ring.
    dial(anna, "carl")
    carl.wait('!document.getElementById("incoming").hidden', "anna rings at carl's")
    second = Offhook("call", *bridge.account("anna"), "--timeout", "30s", "sip:carl@house.test", name="second")
    expect_equal(second.wait_event("call.ended")["code"], 486, "a second one meanwhile")
    second.exit_code()
    carl.run('document.getElementById("decline").click()')
    expect_equal(anna.wait(NOTE, "anna is told"), "carl declined.", "what anna reads")
    dial(anna, "nobody")
    anna.wait(f"/Nobody here is called nobody/.test({NOTE})", "what anna reads of a wrong name")
    browser.quit()
    bridge.stop()


@case("web phone: without a microphone it hears and opens the door, and says so", timeout=90)
def no_microphone():
    bridge, browser = Bridge("--door-code", "42#"), Chromium(flags=["--use-fake-ui-for-media-stream=deny"])
    door = answering(bridge, "ben", "--expect-dtmf", "42#")
    window = opened(browser, bridge.http + "/", "anna")
    told = window.wait('document.getElementById("microphone").textContent', "it says so before the first call")
    expect("You will not be heard" in told, f"what it says: {told}")
    dial(window, "ben")
    window.wait(f"{UP}.length === 1", "the call is up")
    wait_for_sound(window)
    expect("cannot hear you" in window.run('document.querySelector(".call .state").textContent'), "the call says so, too")
    # Not at once: the second half of a double click on "Answer" opens no door.
    window.wait("Date.now() - cards.values().next().value.since > 600", "a moment has passed")
    window.run('document.querySelector(".call .door").click()')
    for digit in "42#":
        door.wait_event("call.dtmf", {"digit": digit, "method": "rfc4733"})
    window.run('document.querySelector(".call .hangup").click()')
    door.ends(0)
    browser.quit()
    bridge.stop()


@case("web phone: the bridge is killed and starts again, the page is back by itself; two tabs of one user", timeout=120)
def bridge_starts_again():
    web, sip = free_port(), free_port()

    def start(name):
        bridge = Offhook("wss-bridge", "-c", configuration(), "--listen", f"ws://127.0.0.1:{web}", "--sip",
                         f"udp:127.0.0.1:{sip}", name=name, audio=None)
        bridge.wait_event("bridge.ready", timeout=20)
        return bridge

    first, browser = start("first"), Chromium()
    url = f"http://127.0.0.1:{web}/"
    window = opened(browser, url, "anna")
    first.wait_event("bridge.registered", {"user": "anna"})
    first.popen.kill()
    first.popen.wait()
    window.wait('document.getElementById("status").dataset.state === "wait"', "the page notices")
    expect(window.run('document.getElementById("login").hidden'), "it does not ask for the password again")
    second = start("second")
    second.wait_event("bridge.registered", {"user": "anna"}, timeout=40)
    window.wait('document.getElementById("status").dataset.state === "on"', "the page says that it is back")
    # A tab that was duplicated has the session storage of the first one, and is a device of its own all the same.
    instance = window.run("phone.instance")
    other = browser.open(url)
    other.run(f"sessionStorage.setItem('instance', {instance!r})")
    log_in(other, "anna")
    expect(other.run("phone.instance") != instance, "the tabs are two devices")
    # A call to oneself rings in the other tab, not in the one that calls.
    dial(other, "anna")
    answer(window)
    other.wait(f"{UP}.length === 1", "the tabs talk to each other")
    expect(other.run('document.getElementById("incoming").hidden'), "the tab that calls does not ring")
    other.run('document.querySelector(".call .hangup").click()')
    window.wait("cards.size === 0", "the call is over in both")
    browser.quit()
    second.popen.terminate()
    second.ends(0)


@case("web phone: behind nginx as the manual has it", timeout=90)
def behind_nginx():
    browser, nginx = Chromium(), Nginx()
    bridge = Bridge("--public-address", "127.0.0.1", "--trusted-proxy", "127.0.0.1", origin=None)
    nginx.start(int(bridge.http.rsplit(":", 1)[1]))
    expect_equal(urllib.request.urlopen(nginx.plain + "/healthz").read(), b"ok\n", "/healthz through nginx")
    phone = answering(bridge, "ben")
    window = opened(browser, nginx.origin + "/", "anna")
    expect_equal(window.run("config.url"), nginx.origin.replace("https", "wss") + "/ws", "the URL of the web socket")
    expect_equal(window.run("location.protocol"), "https:", "the page is secure")
    dial(window, "ben")
    window.wait(f"{UP}.length === 1", "the call is up")
    wait_for_sound(window)
    window.run('document.querySelector(".call .hangup").click()')
    phone.ends(0)
    browser.quit()
    bridge.stop()
    nginx.stop()


def click(window, selector):
    window.run(f"document.querySelector({selector!r}).click()")


@case("web phone: it calls, is called, holds, opens the door, transfers", timeout=150)
def built_in_phone():
    bridge, browser = Bridge("--door-code", "42#", origin="http://127.0.0.1:*"), Chromium()
    shots = os.environ.get("OFFHOOK_SCREENSHOTS")
    window = browser.open(bridge.http + "/", size=(390, 844))
    log_in(window, "anna")
    bridge.registered("anna")
    door = answering(bridge, "ben", "--expect-dtmf", "42#")
    window.run("""(() => {
        document.getElementById("target").value = "ben";
        document.getElementById("call-audio").click();
    })()""")
    window.wait('/^0:0/.test((document.querySelector(".call .state") || {}).textContent)', "the call is up")
    if shots:
        window.screenshot(f"{shots}/phone.png")
    wait_for_sound(window)
    click(window, ".call .hold")
    door.wait_event("call.remote-hold")
    window.wait('document.querySelector(".hold").getAttribute("aria-pressed") === "true" && '
                '!document.querySelector(".hold").disabled', "held")
    click(window, ".call .hold")
    window.wait('document.querySelector(".hold").getAttribute("aria-pressed") === "false"', "resumed")
    click(window, ".call .door")
    for digit in "42#":
        door.wait_event("call.dtmf", {"digit": digit, "method": "rfc4733"})
    click(window, ".call .hangup")
    door.wait_event("call.ended")
    door.ends(0)
    # It is called: it rings, answers by the keyboard, and the caller hangs up.
    caller = Offhook("call", "--hangup-after", "2s", *bridge.account("carl"), "--timeout", "40s",
                     "sip:anna@house.test", name="carl")
    window.wait('!document.getElementById("incoming").hidden', "it rings")
    expect_equal(window.run('document.activeElement.id'), "answer", "the button with the focus")
    expect(window.run('document.getElementById("incoming-who").textContent'), "who calls is shown")
    if shots:
        window.browser.command("/window/rect", {"width": 1200, "height": 800})
        window.screenshot(f"{shots}/desktop.png")
    click(window, "#answer")
    caller.wait_event("call.answered")
    caller.ends(0)
    window.wait('document.querySelectorAll(".call").length === 0', "the call is gone")
    # A second page transfers its call.
    other = browser.open(bridge.http + "/", size=(390, 844))
    log_in(other, "ben")
    target = answering(bridge, "carl", hz=520)
    other.run("""(() => {
        document.getElementById("target").value = "anna";
        document.getElementById("call-audio").click();
    })()""")
    window.wait('!document.getElementById("incoming").hidden', "anna's rings")
    click(window, "#answer")
    other.wait('/^0:0/.test((document.querySelector(".call .state") || {}).textContent)', "the call is up")
    other.run("""(() => {
        document.querySelector(".call .transfer").click();
        document.querySelector(".call .transfer-form input").value = "carl";
        document.querySelector(".call .transfer-form button").click();
    })()""")
    target.wait_event("call.answered", timeout=20)
    other.wait('document.querySelectorAll(".call").length === 0', "ben's call is gone")
    window.wait('document.querySelectorAll(".call").length === 1', "anna talks to carl")
    click(window, ".call .hangup")
    target.wait_event("call.ended")
    browser.quit()
    bridge.stop()
