"""Every state of the built-in web phone, in the light and in the dark, on a small screen and on a large one: axe-core
finds nothing to mend, nothing is wider than the screen, and what changes is said to whoever does not see it."""

import os

from bridge import LEVEL, Bridge, answering, let_answer, log_in, configuration, ringing
from browser import MODULES, Chromium, wait_for_sound
from harness import Offhook, Skip, case, expect, expect_equal, workdir, write_tone
from tone import g711_tone

UP = "[...phone.calls.values()].filter((c) => c.state === 'up')"
SIZES = {"small": (360, 640), "large": (1280, 800)}
# Beside the standards the rules that axe calls best practice.
RULES = '{runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}'


class Looker:
    """Looks at the page in all of its clothes."""

    def __init__(self, window):
        axe = MODULES / "axe-core/axe.min.js"
        if not axe.exists():
            raise Skip("axe-core is not there (tests/deps.sh installs it)")
        self.window, self.source = window, axe.read_text()
        self.shots = os.environ.get("OFFHOOK_SCREENSHOTS")
        self.seen = []

    def devtools(self, command, **parameters):
        self.window.select()
        self.window.browser.command("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def wear(self, scheme, size, motion="reduce"):
        width, height = SIZES[size]
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme},
                                                              {"name": "prefers-reduced-motion", "value": motion}])
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def look(self, state):
        self.window.select()
        if not self.window.run("Boolean(window.axe)"):
            self.window.browser.command("/execute/sync", {"script": self.source, "args": []})
        for scheme in ("light", "dark"):
            for size in SIZES:
                self.wear(scheme, size)
                wrong = self.window.run(f"""(async () => {{
                    const found = await axe.run(document, {RULES});
                    return found.violations.map((v) => v.id + ": " + v.help + " – " + v.nodes.map((n) => n.html).join(" | "));
                }})()""")
                name = f"{state}, {scheme}, {size}"
                if self.shots:
                    self.window.screenshot(f"{self.shots}/{state.replace(' ', '-')}-{scheme}-{size}.png")
                self.seen += [f"{name}: {text}" for text in wrong]
                if self.window.run("document.documentElement.scrollWidth > innerWidth"):
                    self.seen.append(f"{name}: wider than the screen")
                moving = self.window.run("document.getAnimations().length")
                if moving:
                    self.seen.append(f"{name}: {moving} things move, and the user wants none to")


def spoken(window):
    """What the live regions say, and the dialog with the focus."""
    return window.run("""[...document.querySelectorAll("[role=status], [role=alert], [role=alertdialog], [aria-live]")]
        .filter((e) => e.checkVisibility()).map((e) => e.textContent.replace(/\\s+/g, " ").trim()).filter(Boolean).join(" / ")""")


def press(window, *keys):
    """Keys of the keyboard, as WebDriver has them (W3C)."""
    window.select()
    actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
    window.browser.command("/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})


ENTER, TAB, ESCAPE, SPACE = "\ue007", "\ue004", "\ue00c", " "


def focused(window):
    return window.run("""(() => { const e = document.activeElement;
        return e.id || (e.getAttribute("aria-label") || e.textContent).trim(); })()""")


@case("web phone: every state of it is accessible, light and dark, small and large", timeout=240)
def accessible():
    tone = workdir() / "tone.ul"
    tone.write_bytes(g711_tone(660, 8000))
    slow = ringing(tone, 1)
    devices = [['name = "slow"', f'uri = "sip:slow@127.0.0.1:{slow.port}"']]
    bridge = Bridge("--door-code", "42#", config=configuration(devices=devices))
    browser = Chromium()
    window = browser.open(bridge.http + "/")
    looker = Looker(window)
    window.wait("config !== null", "the page has its configuration")
    looker.look("log-in")
    window.run("""(() => { document.getElementById("user").value = "anna"; document.getElementById("password").value = "x";
        document.querySelector("#login button").click(); })()""")
    window.wait('document.getElementById("login-error").textContent', "the error")
    looker.look("log-in refused")
    log_in(window, "anna")
    looker.look("ready")

    def dial(target, button="call-audio"):
        window.run(f"""(() => {{ document.getElementById("target").value = {target!r};
            document.getElementById({button!r}).click(); }})()""")

    dial("nobody")
    window.wait('document.getElementById("note").textContent', "the note")
    looker.look("nobody of that name")
    dial("slow")
    window.wait('document.querySelector(".call .words").textContent === "ringing …"', "it rings there")
    looker.look("ringing there")
    let_answer(slow, 0)
    window.wait(f"{UP}.length === 1", "the call is up")
    window.run('document.querySelector(".call .hangup").click()')
    slow.succeeds()

    phone = answering(bridge, "ben", "--count", "2")
    dial("ben")
    window.wait(f"{UP}.length === 1", "the call is up")
    wait_for_sound(window)
    looker.look("in a call")
    window.run('document.querySelector(".call .keys").click()')
    window.run("""document.querySelectorAll(".call .keypad button").forEach((b) => b.click())""")
    looker.look("keypad")
    window.run('document.querySelector(".call .keys").click()')
    window.run('document.querySelector(".call .transfer").click()')
    looker.look("transfer")
    window.run('document.querySelector(".call .transfer").click()')
    window.run('document.querySelector(".call .hold").click()')
    window.wait(f"{UP}[0].held", "held")
    looker.look("on hold")
    window.run("([...phone.calls.values()][0].path.broken = true, [...phone.calls.values()][0].tell('way'), null)")
    looker.look("a way that is lost")

    # Somebody calls meanwhile.
    caller = Offhook("call", *bridge.account("carl"), "--timeout", "100s", "sip:anna@house.test", name="carl")
    window.wait('!document.getElementById("incoming").hidden', "it rings")
    looker.look("somebody calls")
    window.run('document.getElementById("answer").click()')
    window.wait(f"{UP}.length === 2", "both calls are up")
    looker.look("two calls")
    caller.signal(15)
    caller.exit_code()
    window.wait("cards.size === 1", "one call is left")
    window.run('document.querySelector(".call .hangup").click()')
    phone.wait_event("call.ended")

    # Video, from one page to another.
    other = browser.open(bridge.http + "/")
    log_in(other, "carl")
    dial("carl", "call-video")
    other.wait('!document.getElementById("answer-video").hidden', "a video call rings")
    there = Looker(other)
    there.look("a video call rings")
    other.run('document.getElementById("answer-video").click()')
    window.wait('document.querySelector(".theirs") && document.querySelector(".theirs").videoWidth > 0', "the picture is there")
    looker.look("video")
    window.run("(phone.request('MESSAGE', `sip:carl@${phone.domain}`, {From: `<${phone.aor}>;tag=m`, To: `<sip:carl@${phone.domain}>`, "
               "'Call-ID': 'm1'}, 'The door is open.', () => window.number = (window.number || 0) + 1, {type: 'text/plain'}), null)")
    other.wait('document.getElementById("messages").textContent', "a message")
    other.run('document.querySelector(".call .hangup").click()')
    window.wait("cards.size === 0", "the call is over")
    there.look("a message")
    bridge.stop()
    window.wait('document.getElementById("status").dataset.state === "wait"', "the bridge is gone")
    looker.look("no connection")
    found = looker.seen + there.seen
    expect(not found, "\n".join(sorted(set(found))[:40]))
    browser.quit()
    phone.stop()


@case("web phone: all of it by keyboard, and said to whoever does not see it", timeout=90)
def keyboard():
    bridge, browser = Bridge("--door-code", "42#"), Chromium()
    window = browser.open(bridge.http + "/", size=(1280, 800))
    window.wait("config !== null", "the page has its configuration")
    expect_equal(focused(window), "user", "where it begins")
    press(window, *"anna", TAB, *"rose-17", ENTER)
    window.wait('document.getElementById("status").dataset.state === "on"', "logged in")
    expect("anna: ready" in spoken(window), spoken(window))
    window.wait('document.activeElement.id === "target"', "the focus is where the next call is placed")
    phone = answering(bridge, "ben", "--expect-dtmf", "5")
    press(window, *"ben", ENTER)
    window.wait(f"{UP}.length === 1", "the call is up")
    expect_equal(focused(window), "Call with ben", "the call has the focus")
    order = []
    for _ in range(6):
        press(window, TAB)
        order.append(focused(window))
        outline = window.run("getComputedStyle(document.activeElement).outlineStyle + getComputedStyle(document.activeElement).outlineWidth")
        expect_equal(outline, "solid3px", f"the ring around {order[-1]}")
    expect_equal(order, ["Open the door", "Mute", "Hold", "Keypad", "Transfer", "Hang up"], "the order of the buttons")
    press(window, "5")
    phone.wait_event("call.dtmf", {"digit": "5"})
    expect("Sent: 5" in spoken(window), spoken(window))
    press(window, ENTER)
    phone.ends(0)
    window.wait('document.activeElement.id === "target"', "the focus is back")
    # Who calls is said, by the dialog that takes the focus; Escape declines.
    tone = write_tone(workdir() / "carl.wav", 440, 30, 8000, dbfs=LEVEL)
    window.wait("performance.now() - typed > 2000", "nobody has typed for a while: who types is not interrupted")
    caller = Offhook("call", "--play", tone, *bridge.account("carl"), "--timeout", "40s", "sip:anna@house.test", name="carl")
    window.wait('!document.getElementById("incoming").hidden', "it rings")
    expect("Incoming call" in spoken(window) and "carl" in spoken(window), spoken(window))
    expect(window.run("document.title").startswith("carl calls"), "the title says so, too")
    described = window.run("""["aria-labelledby", "aria-describedby"].map((name) =>
        document.getElementById(document.getElementById("incoming").getAttribute(name)).textContent)""")
    expect_equal(described, ["carl", "Incoming call"], "what the dialog is called")
    window.wait('document.activeElement.id === "answer"', "the focus is on Answer", 5)
    press(window, ESCAPE)
    expect_equal(caller.wait_event("call.ended")["code"], 603, "what the caller is told")
    caller.exit_code()
    browser.quit()
    bridge.stop()
