"""Browsers that a web application has let in: by token (JWT) and by cookie, without passwords of the bridge."""

import base64
import hashlib
import hmac
import json
import re
import subprocess
import time

from bridge import LEVEL, Bridge
from bridge_upstream_cases import account
from browser import Chromium, Pages, WebPhone
from harness import Kamailio, Offhook, case, expect, expect_tone, wait_until, workdir, write_tone
from processes import ROOT
from web_client import WebClient

SECRET = "a secret that the shop's web application knows, too"
COOKIE_SECRET = "another one, which makes cookies and nothing else"


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(user, seconds=300, secret=SECRET, **claims):
    head = base64url(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    body = base64url(json.dumps({"sub": user, "exp": int(time.time()) + seconds, "aud": "phone", **claims}).encode())
    signature = hmac.new(secret.encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{base64url(signature)}"


def cookie(user, seconds=300, secret=COOKIE_SECRET):
    said = f"{user}:{int(time.time()) + seconds}"
    return f"offhook_session={said}:{hmac.new(secret.encode(), said.encode(), hashlib.sha256).hexdigest()}"


def configuration(name, head, users):
    """[bridge] with both keys, and users of whom none has a password here."""
    lines = ["[bridge]", *head]
    for key, text in {"jwt_key_file": SECRET, "cookie_key_file": COOKIE_SECRET}.items():
        path = workdir() / f"{name}.{key}"
        path.write_text(text + "\n")
        path.chmod(0o600)
        lines.append(f'{key} = "{path}"')
    lines.append('jwt_audience = "phone"')
    for user, more in users.items():
        lines += ["[[bridge.user]]", f'name = "{user}"', *more]
    path = workdir() / f"{name}.toml"
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)
    return path


def calls(page, registrar, name):
    """The page calls ben, a phone of `registrar`, and is heard both ways; it hangs up. What ben received."""
    tone, recording = write_tone(workdir() / "tone.wav", 440, 30, 8000, dbfs=LEVEL), workdir() / f"{name}.wav"
    trace = workdir() / f"{name}.trace"
    ben = Offhook("answer", "--auto", "--play", tone, "--record", recording, "--then", "wait", f"--trace={trace}",
                  *account(registrar), name=name)
    ben.wait_event("account.registered")
    call = page.call("sip:ben@house.test")
    page.event("confirmed", {"index": call})
    page.hears(440)
    wait_until(lambda: page.stats(call)["audio"]["received"] > 75, "a second and a half of it", step=0.2)
    page.do(call, "terminate()")
    ben.wait_event("call.ended", {"by": "remote"})
    ben.ends(0)
    expect_tone(recording, 700, -13.5, 1.0, side=1)
    blocks = trace.read_text().split("--- ")
    return "".join(block for block in blocks if " received " in block.split("\n", 1)[0])


@case("bridge: pages with a token and with a cookie are lines of Kamailio; no password is in any browser", timeout=150)
def logins():
    pages, browser, registrar = Pages(), Chromium(), Kamailio()
    upstream = workdir() / "upstream.password"
    upstream.write_text(registrar.password + "\n")
    upstream.chmod(0o600)
    password = f'upstream_password_file = "{upstream}"'
    bridge = Bridge(name="logins", config=configuration(
        "logins", ['domain = "house.test"', f'upstream = "sip:127.0.0.1:{registrar.port}"', 'upstream_mode = "creds"'],
        {"anna": ['upstream_user = "line1"', password], "carl": ['upstream_user = "line2"', password]}))

    # By token, in every request (JsSIP's authorization_jwt).
    bearer = {"authorization_jwt": "Bearer " + token("anna")}
    page = WebPhone(browser, pages, bridge.web, "anna", None, hz=700, answer=True, more=bearer).registered()
    bridge.wait_event("bridge.upstream", {"user": "anna", "registered": True})
    shown = Offhook("wss-bridge", "--status", audio=None, name="status")
    status = shown.wait_event("bridge.status")
    shown.ends(0)
    expect(0 < status["bindings"][0]["expires"] <= 300, f"the registration ends with the token: {status['bindings']}")
    line = status["lines"][0]
    expect(line["user"] == "anna" and line["registered"] and 0 < line["expires"] <= 3600, f"its line: {line}")
    expect(status["lines"][1]["reason"] == "carl is not registered here", f"the other: {status['lines'][1]}")
    received = calls(page, registrar, "ben1")
    # Kamailio leaves the line's own digest in it; of other schemes a trace shows nothing but the header.
    expect("INVITE sip:ben@" in received and not re.search("Authorization:(?! Digest )", received),
           "no token reaches the phone")

    # By cookie, at the handshake; it counts for the whole connection. And a call comes in.
    browser.open(f"{pages.origin}/page.html").run(f"(document.cookie = {cookie('carl')!r} + '; SameSite=Strict', null)")
    other = WebPhone(browser, pages, bridge.web, "carl", None, hz=700, answer=True).registered()
    bridge.wait_event("bridge.upstream", {"user": "carl", "registered": True})
    calls(other, registrar, "ben2")
    tone = workdir() / "tone.wav"
    caller = Offhook("call", "--play", tone, *account(registrar, "dora"), "--timeout", "40s",
                     f"sip:line2@127.0.0.1:{registrar.port}", name="dora")
    other.event("confirmed", {"index": 1})
    other.hears(440)
    other.do(1, "terminate()")
    caller.ends(0)

    # What proves nothing: somebody else's, too old, of another key, and carl's cookie for anna.
    for number, (what, why) in enumerate({
            token("carl"): "the token is another user's", token("anna", -1): "the token has expired",
            token("anna", secret="x" * 40): "the token has a wrong signature",
            token("anna", aud="shop"): "the token is for another audience (aud)", None: "the cookie is another user's"}.items()):
        more_options = {"authorization_jwt": "Bearer " + what} if what else {}
        window = WebPhone(browser, pages, bridge.web, "anna", None, more=more_options)
        window.event("registrationFailed")
        expect(bridge.wait_event("bridge.refused", {"reason": why})["code"] == 401, f"{number}: {why}")

    # A token that is over soon: so is the registration.
    window = WebPhone(browser, pages, bridge.web, "anna", None, hz=700,
                      more={"authorization_jwt": "Bearer " + token("anna", 14)}).registered()
    window.event("registrationFailed", timeout=30)
    bridge.wait_event("bridge.refused", {"reason": "the login is over in a moment"})
    bridge.wait_event("bridge.unregistered", {"user": "anna"}, timeout=30)
    told = bridge.stderr() + bridge.stdout()
    expect(SECRET not in told and "eyJ" not in told, "neither key nor token in the output")
    browser.quit()
    bridge.stop()
    registrar.stop()


@case("bridge: the embedded registrar takes tokens and cookies; the man page's cookie is one", timeout=60)
def embedded_logins():
    bridge = Bridge("--allow-native", name="doors", config=configuration("doors", ['domain = "house.test"'],
                                                                         {"anna": [], "ben": ['password = "lily-23"']}))

    def register(client, user, *headers):
        head = "".join(header + "\r\n" for header in headers)
        client.send(f"REGISTER sip:house.test SIP/2.0\r\nVia: SIP/2.0/WS {user}.invalid;branch=z9hG4bK{time.monotonic_ns()}\r\n"
                    f"Max-Forwards: 70\r\nFrom: <sip:{user}@house.test>;tag=1\r\nTo: <sip:{user}@house.test>\r\n"
                    f"Call-ID: {user}-{id(client)}\r\nCSeq: {time.monotonic_ns() % 2**31} REGISTER\r\n{head}"
                    f"Contact: <sip:{user}@{user}.invalid;transport=ws>;expires=600\r\nContent-Length: 0\r\n\r\n")
        return client.receive()

    def expires(answer):
        expect(answer.startswith("SIP/2.0 200 "), f"registered: {answer[:200]}")
        return int(re.search(r"expires=(\d+)", answer)[1])

    client = WebClient(bridge.sockets["ws"])
    expect(register(client, "anna").startswith("SIP/2.0 401 "), "nothing shown, nothing granted")
    expect(280 < expires(register(client, "anna", f"Authorization: Bearer {token('anna')}")) <= 300, "as long as the token")
    expect(register(client, "ben", f"Authorization: Bearer {token('anna')}").startswith("SIP/2.0 401 "), "for anna alone")
    expect(register(client, "nobody", f"Authorization: Bearer {token('nobody')}").startswith("SIP/2.0 401 "), "for users alone")
    client.close()

    # The shell lines of the manual, with our key and user.
    page = (ROOT / "man/offhook-wss-bridge.1").read_text()
    script = re.search(r"said=.*?(?=\n\.Ed)", page, re.S)[0].replace("\\e\n", "\\\n")
    key = workdir() / "doors.cookie_key_file"
    script = script.replace("/etc/offhook/cookie.key", str(key))
    made = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, timeout=20, check=True).stdout
    value = re.search(r"offhook_session=[^;\s]+", made)[0]
    client = WebClient(bridge.sockets["ws"], headers=f"Cookie: theme=dark; {value}\r\n")
    expect(expires(register(client, "anna")) == 600, "by the manual's cookie")
    expect(register(client, "ben").startswith("SIP/2.0 401 "), "another user's cookie")
    client.close()
    bridge.stop()
