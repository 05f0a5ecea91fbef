"""offhook wss-bridge with its configuration, as the tests need it."""

import os
import re
import socket

from browser import WebPhone
from offhook import Offhook
from processes import wait_until, workdir
from sipp import Sipp
from tone import write_tone

LEVEL = -15.0  # of the tones that phones sing
USERS = {"anna": "rose-17", "ben": "lily-23", "carl": "iris-42"}


def configuration(users=None, extra="", devices=(), name="bridge", domain="house.test"):
    lines = ["[bridge]", f'domain = "{domain}"', extra]
    for user, password in (users or USERS).items():
        # baresip 1.0.0 takes no challenge in which SHA-256 appears
        lines += ["[[bridge.user]]", f'name = "{user}"', f'password = "{password}"', 'digest = "md5"']
    for device in devices:
        lines += ["[[bridge.device]]", *device]
    path = workdir() / f"{name}.toml"
    path.write_text("\n".join(lines) + "\n")
    os.chmod(path, 0o600)
    return path


class Bridge(Offhook):
    """On free ports of 127.0.0.1: .web is its WebSocket URL, .udp is where phones reach it. host: where browsers do;
    origin: whose pages may connect, None for its own alone."""

    def __init__(self, *args, name="bridge", config=None, origin="http://127.0.0.1:*", web="ws", host="127.0.0.1",
                 **options):
        config = config or configuration(name=name)
        if "OFFHOOK_BRIDGE_TRACE" in os.environ:  # for developers
            args = (*args, f"--trace={os.environ['OFFHOOK_BRIDGE_TRACE']}")
        if host != "127.0.0.1":
            args = (*args, "--allow-ws")
        super().__init__("wss-bridge", "-c", config, "--listen", f"{web}://{host}:0", "--sip", "udp:127.0.0.1:0",
                         "--sip", "tcp:127.0.0.1:0", *(("--origin", origin) if origin else ()), *args, name=name,
                         audio=None, **options)
        self.wait_event("bridge.ready", timeout=20)
        self.sockets = {e["address"].split(":")[0]: e["address"].split(":", 1)[1]
                        for e in self.events_named("bridge.listening")}
        self.http = ("https" if web == "wss" else "http") + f"://{self.sockets[web]}"
        self.web = f"{web}://{self.sockets[web]}/ws"
        self.udp = self.sockets["udp"]
        self.tcp = self.sockets["tcp"]

    def password(self, user, users=None):
        path = workdir() / f"{user}.password"
        path.write_text((users or USERS)[user] + "\n")
        return path

    def account(self, user, transport="udp"):
        """Options that make an offhook register here as `user`."""
        server = f"sip:{self.sockets[transport]};transport={transport}"
        return ["--aor", f"sip:{user}@house.test", "--registrar", server, "--proxy", f"{server};lr",
                "--password-file", self.password(user), "--listen", f"{transport}:127.0.0.1:0"]

    def registered(self, user, timeout=15):
        return self.wait_event("bridge.registered", {"user": user}, timeout)

    def stop(self):
        self.popen.terminate()
        return self.ends(0)


def web_phone(browser, pages, bridge, user, **options):
    """The JsSIP page, registered as `user`."""
    return WebPhone(browser, pages, bridge.web, user, USERS[user], **options).registered()


def answering(bridge, user, *args, hz=440, **options):
    """offhook registered as `user`, answering with a tone."""
    tone = write_tone(workdir() / f"{user}.wav", hz, 30, 8000, dbfs=LEVEL)
    phone = Offhook("answer", "--auto", "--play", tone, "--then", "wait", *bridge.account(user), *args, name=user,
                    **options)
    bridge.registered(user)
    return phone


def edge(registrar, *args, name="edge", extra="", **options):
    """A bridge in front of `registrar` (Kamailio); extra: more lines of [bridge]."""
    path = workdir() / f"{name}.toml"
    path.write_text(f'[bridge]\ndomain = "{registrar.realm}"\n{extra}')
    return Bridge("--upstream", f"sip:127.0.0.1:{registrar.port}", *args, name=name, config=path, **options)


def log_in(window, user):
    """Logs in to the built-in page."""
    window.wait("config !== null", "the page has its configuration")
    window.run(f"""(() => {{
        document.getElementById("user").value = {user!r};
        document.getElementById("password").value = {USERS[user]!r};
        document.querySelector("#login button").click();
    }})()""")
    window.wait('document.getElementById("status").dataset.state === "on"', f"{user} is logged in")


def secret(password):
    """A password file for accounts at Kamailio."""
    path = workdir() / "kamailio.password"
    path.write_text(password + "\n")
    return path


def ringing(tone, calls, answers="first", rings="first", codec="PCMU"):
    """A phone that sings from its 183 on, and answers when it is told to, perhaps by another tag."""
    return Sipp("early_tone", calls=calls, keys={"tone": tone, "first": rings, "second": answers, "codec": codec,
                                                 "number": {"PCMU": 0, "PCMA": 8}[codec]})


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
