"""The built-in web phone when its network is bad: a way that is gone, a connection that is cut, a reload, a log-in
that is refused."""

import re

from bridge import LEVEL, USERS, Bridge, answering, configuration, log_in
from browser import EAR, Chromium, wait_for_tone
from harness import Offhook, case, expect, expect_equal, free_port, wait_until, workdir, write_tone
from relay import TcpRelay, UdpRelay

UP = "[...phone.calls.values()].filter((c) => c.state === 'up')"
CARD = '(document.querySelector(".call .state") || {textContent: ""}).textContent'
NOTE = 'document.getElementById("note").textContent'
UFRAG = f"/a=ice-ufrag:(\\S+)/.exec({UP}[0].pc.localDescription.sdp)[1]"


def dial(window, target):
    window.run(f"""(() => {{
        document.getElementById("target").value = {target!r};
        document.getElementById("call-audio").click();
    }})()""")


def hang_up(window):
    window.run('document.querySelector(".call .hangup").click()')


def steer(window, port, into):
    """Media of the page goes to port `into`."""
    window.run(f"""(() => {{
        const real = RTCPeerConnection.prototype.setRemoteDescription;
        RTCPeerConnection.prototype.setRemoteDescription = function (description) {{
            const {{type, sdp}} = description;
            return real.call(this, {{type, sdp: sdp && sdp.replace(/ {port} typ host/g, " {into} typ host")}});
        }};
    }})()""")


def invites_received(trace):
    return len(re.findall(r" received .*\nINVITE ", trace.read_text()))


@case("web phone: the way of the media is gone, ICE finds another one; with the connection; for good", timeout=150)
def another_way():
    port = free_port()
    low = 20000 if port > 30000 else 50000
    bridge = Bridge(config=configuration(extra=f'ice_port = {port}\nrtp_ports = "{low}-{low + 999}"'))
    browser, nat = Chromium(), UdpRelay(port)
    cut = TcpRelay(int(bridge.http.rsplit(":", 1)[1]))
    window = browser.open(f"http://127.0.0.1:{cut.port}/")
    log_in(window, "anna")
    steer(window, port, nat.port)
    tone, trace = write_tone(workdir() / "tone.wav", 440, 120, 8000, dbfs=LEVEL), workdir() / "ben.trace"
    phone = Offhook("answer", "--auto", "--play", tone, "--then", "wait", "--count", "2", *bridge.account("ben"),
                    f"--trace={trace}", name="ben")
    bridge.registered("ben")
    dial(window, "ben")
    window.wait(f"{UP}.length === 1", "the call is up")
    wait_for_tone(window, EAR, 440, "the page")
    window.wait("""(() => { const call = [...phone.calls.values()][0]; window.states = [];
        call.pc.addEventListener("connectionstatechange", () => states.push(call.pc.connectionState)); return true; })()""",
                "the states are noted")

    # The pair is dead, as behind a NAT that forgot it: another one is found without a word to the phone.
    first = window.run(UFRAG)
    nat.cut()
    window.wait(f"/trying again/.test({CARD})", "the page says that it tries again")
    window.wait(f"{UP}[0].pc.connectionState === 'connected' && {UFRAG} !== {first!r}", "another way", 25)
    window.wait(f"!/trying again/.test({CARD})", "and that it is back")
    wait_for_tone(window, EAR, 440, "the page")
    expect(not window.run("states.includes('failed')"), "it did not wait until ICE had failed")

    # The network changes: the connection is dead as well. What the browser says of it is enough.
    second = window.run(UFRAG)
    nat.cut()
    cut.drop()
    window.run('(window.dispatchEvent(new Event("online")), null)')
    window.wait(f"{UP}[0].pc.connectionState === 'connected' && {UFRAG} !== {second!r}", "another way, again", 25)
    wait_for_tone(window, EAR, 440, "the page")
    expect_equal(invites_received(trace), 1, "INVITEs that the phone got")
    hang_up(window)
    wait_until(lambda: len(phone.events_named("call.ended")) == 1, "the phone's call ends")

    # Nothing helps: it is told, and both sides are free.
    dial(window, "ben")
    window.wait(f"{UP}.length === 1", "the second call is up")
    wait_for_tone(window, EAR, 440, "the page")
    nat.cut(for_good=True)
    window.wait("phone.calls.size === 0", "the call is given up", 50)
    expect_equal(window.run(NOTE), "The connection with ben was lost.", "what the page says")
    wait_until(lambda: len(phone.events_named("call.ended")) == 2, "the phone's second call ends", timeout=10)
    phone.exit_code()
    browser.quit()
    bridge.stop()
    cut.close()


@case("web phone: the connection is cut in a call: either side ends it afterwards, or the page while it is gone",
      timeout=120)
def cut_in_a_call():
    bridge, browser = Bridge(), Chromium()
    cut = TcpRelay(int(bridge.http.rsplit(":", 1)[1]))
    window = browser.open(f"http://127.0.0.1:{cut.port}/")
    log_in(window, "anna")
    phone = answering(bridge, "ben", "--count", "2")

    def lose_connection(calls):
        wait_for_tone(window, EAR, 440, "the page")
        window.run("(window.back = new Promise((done) => phone.addEventListener('registered', done, {once: true})), null)")
        cut.drop()
        wait_until(lambda: len(bridge.events_named("bridge.disconnected")) == calls, "the bridge notices")

    # The page hangs up when it is back.
    dial(window, "ben")
    window.wait(f"{UP}.length === 1", "the call is up")
    lose_connection(1)
    window.run("(async () => { await back; })()")
    wait_for_tone(window, EAR, 440, "the page")
    hang_up(window)
    expect_equal(phone.wait_event("call.ended")["by"], "remote", "who ended the first call")

    # It hangs up while it is away: that is said as soon as it is back.
    dial(window, "ben")
    window.wait(f"{UP}.length === 1", "the second call is up")
    lose_connection(2)
    window.run("(async () => { document.querySelector('.call .hangup').click(); await back; })()")
    wait_until(lambda: len(phone.events_named("call.ended")) == 2, "the phone's second call ends", timeout=4)
    expect_equal(phone.events_named("call.ended")[1]["by"], "remote", "who ended the second call")
    phone.ends(0)

    # The phone hangs up: the page is told over its next connection.
    tone = write_tone(workdir() / "carl.wav", 440, 60, 8000, dbfs=LEVEL)
    caller = Offhook("call", "--play", tone, "--then", "wait", "--do", "wait answer; wait dtmf 1 30s; hangup",
                     *bridge.account("carl"), "--timeout", "60s", "sip:anna@house.test", name="carl")
    window.wait('!document.getElementById("incoming").hidden', "it rings")
    window.run('document.getElementById("answer").click()')
    lose_connection(3)
    window.run("(async () => { await back; })()")
    window.run("([...phone.calls.values()][0].digit('1'), null)")
    caller.wait_event("call.ended", {"by": "local"})
    window.wait("phone.calls.size === 0 && cards.size === 0", "the call is gone in the page")
    caller.exit_code()

    # It rings when the connection is cut: it rings no more, and says who called.
    caller = Offhook("call", *bridge.account("carl"), "--timeout", "30s", "sip:anna@house.test", name="carl2")
    window.wait('!document.getElementById("incoming").hidden', "it rings")
    cut.drop()
    window.wait('document.getElementById("incoming").hidden', "it rings no more", 5)
    expect(window.run(NOTE).startswith("carl called at "), "who called is told")
    expect_equal(caller.wait_event("call.ended")["code"], 480, "what the caller is told")
    caller.exit_code()

    # Nothing is sent later that was wanted while there was no connection.
    window.wait('document.getElementById("status").dataset.state === "on"', "the page is back")
    calls = len(bridge.events_named("bridge.call"))
    window.run("(async () => { phone.lost(); clearTimeout(phone.again); })()")
    dial(window, "carl")
    window.wait(f"{NOTE} === 'The connection to the bridge was lost.'", "it says so at once", 5)
    window.run("(phone.connect(), null)")
    window.wait('document.getElementById("status").dataset.state === "on"', "the page is back")
    expect_equal(len(bridge.events_named("bridge.call")), calls, "calls at the bridge")
    browser.quit()
    bridge.stop()
    cut.close()


@case("web phone: a connection that nobody has closed and that is dead is given up", timeout=60)
def dead_connection():
    bridge, browser = Bridge(), Chromium()
    window = browser.open(bridge.http + "/")
    log_in(window, "anna")
    # What comes in is heard by nobody, as from a network that was left.
    window.run("(phone.socket.onmessage = null, window.dead = phone.socket, null)")
    window.run('(window.dispatchEvent(new Event("online")), null)')
    window.wait('document.getElementById("status").dataset.state === "wait"', "the page notices", 5)
    window.wait('document.getElementById("status").dataset.state === "on" && phone.socket !== dead', "and has another one")
    browser.quit()
    bridge.stop()


@case("web phone: loaded again in a call, it says what became of it, and knows whose phone it is", timeout=60)
def loaded_again():
    bridge, browser = Bridge(), Chromium()
    window = browser.open(bridge.http + "/")
    log_in(window, "anna")
    phone = answering(bridge, "ben")
    dial(window, "ben")
    window.wait(f"{UP}.length === 1", "the call is up")
    wait_for_tone(window, EAR, 440, "the page")
    asks = "(() => { const event = new Event('beforeunload', {cancelable: true}); dispatchEvent(event); return event.defaultPrevented; })()"
    expect(window.run(asks), "the browser is to ask first")
    window.reload()
    expect_equal(phone.wait_event("call.ended", timeout=3)["by"], "remote", "who ended it")
    phone.ends(0)
    told = window.wait('document.getElementById("login-note").textContent', "it is told")
    expect_equal(told, "The page was loaded again: the call with ben has ended.", "what the page says")
    expect_equal(window.run('document.getElementById("user").value'), "anna", "the name it knows")
    expect_equal(window.run("document.activeElement.id"), "password", "where to go on")
    expect(not window.run(asks), "nothing is lost now")
    log_in(window, "anna")
    expect_equal(window.run('document.getElementById("login-note").textContent'), "", "the note afterwards")
    browser.quit()
    bridge.stop()


@case("web phone: a log-in that is refused, and why; a registration that is refused later ends no call", timeout=90)
def refused():
    bridge, browser = Bridge(), Chromium()
    window = browser.open(bridge.http + "/")

    def attempt(user, password):
        window.wait("config !== null && phone === null", "the page is ready")
        window.run(f"""(() => {{
            document.getElementById("user").value = {user!r};
            document.getElementById("password").value = {password!r};
            document.querySelector("#login button").click();
        }})()""")
        return window.wait('document.getElementById("login-error").textContent', f"{user} is refused")

    for user, password in (("anna", "guess"), ("nobody", "guess"), ("anna\" <x>", "a;b=c\\")):
        expect_equal(attempt(user, password), "Name or password is wrong.", f"for {user}")
        expect_equal(window.run("document.activeElement.id"), "password", "where to try again")
        expect_equal(window.run('document.getElementById("password").value'), "", "the password")
    for _ in range(4):
        attempt("carl", "guess")
    told = [attempt("carl", password) for password in ("guess", "guess", USERS["carl"])]
    expect_equal(told[-1], "Too many wrong passwords: wait a minute, then try again.", "when it was too often")

    # Somebody guesses anna's password from the same address while she talks: her call goes on.
    log_in(window, "anna")
    phone = answering(bridge, "ben")
    dial(window, "ben")
    window.wait(f"{UP}.length === 1", "the call is up")
    wrong = workdir() / "wrong"
    wrong.write_text("guess\n")
    account = bridge.account("anna")
    account[account.index("--password-file") + 1] = wrong
    for number in range(5):
        Offhook("register", "--once", *account, name=f"guess{number}").ends(14)
    window.run("phone.register(600)")
    window.wait('document.getElementById("status").dataset.state === "wait"', "the page says that it cannot log in now")
    expect_equal(window.run(f"{UP}.length"), 1, "calls that are up")
    wait_for_tone(window, EAR, 440, "the page")
    hang_up(window)
    phone.ends(0)
    browser.quit()
    bridge.stop()
