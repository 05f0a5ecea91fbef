"""The built-in web phone and callers who mean harm: names that are markup or turn the writing round, headers in
headers, questions for the password, lines without end."""

from bridge import USERS, Bridge, log_in
from bridge_wire import registered
from browser import Chromium
from harness import case, expect, expect_equal, wait_until
from raw_sip import RawPhone, plain_sdp, word

UP = "[...phone.calls.values()].filter((c) => c.state === 'up')"
WHO = 'document.getElementById("incoming-who").textContent'


def dial(phone, call_id, tag, name):
    """An INVITE whose From has this display name, up to the ringing; its headers."""
    plain, send = f"<{phone.aor}>;tag={tag}", phone.send
    named = f'"{name}" {plain}'
    phone.send = lambda start, headers, body="": send(start, [(k, named if v == plain else v) for k, v in headers], body)
    try:
        sent, _ = phone.ask("INVITE", "sip:anna@house.test", body=plain_sdp(), call_id=call_id, tag=tag, until=180)
    finally:
        phone.send = send
    return {**sent, "From": named}


@case("web phone: names and texts of callers are shown, and are nothing but text", timeout=60)
def names():
    bridge, browser = Bridge(), Chromium()
    window = browser.open(bridge.http + "/")
    log_in(window, "anna")
    ben = registered(RawPhone(bridge.udp, "ben", USERS["ben"]))
    for name, shown in (('<img src=x onerror=\\"window.hurt=1\\">', '<img src=x onerror="window.hurt=1"> (ben)'),
                        ("\u202egpj.rood\u2066\u200b", "gpj.rood (ben)"), ("a" * 200, "a" * 63 + "… (ben)"),
                        ("<sip:carl@house.test>;tag=x", "<sip:carl@house.test>;tag=x (ben)"), ("carl", "carl (ben)"), ("ben", "ben"), ("x\ty  z", "x y z (ben)")):
        tag, call_id = word(10), word(20)
        sent = dial(ben, call_id, tag, name)
        window.wait('!document.getElementById("incoming").hidden', "it rings")
        expect_equal(window.run(WHO), shown, f"what is shown of {name!r}")
        expect(not window.run("Boolean(window.hurt) || document.querySelector('#incoming img')"), "it is no markup")
        ben.send("CANCEL sip:anna@house.test SIP/2.0",
                 [(k, sent[k]) for k in ("Via", "To", "From", "Call-ID")] + [("CSeq", sent["CSeq"].replace("INVITE", "CANCEL"))])
        answer = ben.wait(487, "487")
        ben.ack(sent, answer, "sip:anna@house.test")
        window.wait('document.getElementById("incoming").hidden', "it rings no more")
    # Whatever got in could tell nobody else.
    blocked = window.run("""new Promise((done) => { document.addEventListener("securitypolicyviolation", (e) => done(e.effectiveDirective));
        try { new WebSocket("ws://127.0.0.1:9/"); } catch {} })""")
    expect_equal(blocked, "connect-src", "a connection to elsewhere")
    ben.ask("MESSAGE", "sip:anna@house.test", more=[("Content-Type", "text/html")], body="<b onclick=x>bold</b>")
    window.wait('document.getElementById("messages").textContent', "the message")
    expect_equal(window.run('document.getElementById("messages").textContent'), "ben: <b onclick=x>bold</b>", "the message")
    expect_equal(window.run('document.querySelectorAll("#messages b").length'), 0, "elements of it")
    browser.quit()
    bridge.stop()


@case("web phone: a transfer cannot write headers, a stranger's challenge gets no digest, endless lines do not hang it",
      timeout=60)
def headers():
    bridge, browser = Bridge(), Chromium()
    window = browser.open(bridge.http + "/")
    log_in(window, "anna")
    ben = registered(RawPhone(bridge.udp, "ben", USERS["ben"]))
    # A call of the page to ben, who asks for a password of his own first, then of the house.
    for realm in ("casino.example", "house.test"):
        window.run("""(() => { window.sent = []; const send = phone.send; phone.send = (text) => { sent.push(text); return send.call(phone, text); };
            document.getElementById("target").value = "ben"; document.getElementById("call-audio").click(); })()""")
        invite = ben.wait("INVITE", "the INVITE")
        ben.reply(invite, 407, "Who", [("Proxy-Authenticate", f'Digest realm="{realm}", nonce="mine", algorithm=MD5, qop="auth"')], tag=word())
        window.wait("phone.calls.size === 0", "the call is over")
        wait_until(lambda: window.run("sent.some((text) => text.startsWith('ACK'))"), "its ACK")
        proofs = window.run("""sent.filter((text) => text.startsWith("INVITE")).map((text) => (/nonce="([^"]*)"/.exec(text) || [])[1] || "")""")
        expect("mine" not in proofs, f"a digest for the nonce of ben, realm {realm}: {proofs}")
    # In a call: ben hands anna over, with a header of his own in the Replaces.
    sent, _ = ben.ask("INVITE", "sip:anna@house.test", body=plain_sdp(), until=180)
    window.wait('!document.getElementById("incoming").hidden', "it rings")
    window.run('document.getElementById("answer").click()')
    ok = ben.wait(200, "the answer")
    dialog = ben.dialog_of_caller(sent, ok)
    ben.within(dialog, "ACK", number=dialog.number)
    window.wait(f"{UP}.length === 1", "the call is up")
    window.run("(window.sent = [], null)")
    ben.within(dialog, "REFER", [("Refer-To", "<sip:carl@house.test?Replaces=a%0d%0aX-Mine:%20yes%0d%0a%0d%0abody%3bto-tag%3d1%3bfrom-tag%3d2>")])
    ben.reply(ben.wait("NOTIFY", "a NOTIFY"), 200, "OK")
    window.wait('sent.some((text) => text.startsWith("INVITE sip:carl"))', "the page calls carl")
    made = window.run('sent.find((text) => text.startsWith("INVITE sip:carl"))')
    expect("\r\nX-Mine" not in made and made.count("\r\n\r\n") == 1, f"headers of somebody else's: {made[:600]}")
    ben.within(dialog, "BYE")
    window.wait(f"!{UP}.length", "the call is over")
    # Lines without end.
    took = window.run("""(() => { const begun = performance.now();
        phone.receive("INVITE sip:anna@house.test SIP/2.0\\r\\nVia: a\\r\\nCall-ID: b\\r\\nFrom: <sip:a@b>;tag=1\\r\\nRecord-Route: " + "<".repeat(60000) + "\\r\\n\\r\\n");
        return performance.now() - begun; })()""")
    expect(took < 500, f"it took {took:.0f} ms")
    browser.quit()
    bridge.stop()
