"""Headless Chromium, driven through chromedriver (WebDriver, plain HTTP), and a page with JsSIP in it."""

import http.server
import json
import os
import pathlib
import subprocess
import threading
import time
import urllib.error
import urllib.request

from processes import ROOT, Failure, Process, Skip, free_port, need, workdir

PAGES = ROOT / "tests/browser"
MODULES = ROOT / "build/js/node_modules"
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio",
         "--autoplay-policy=no-user-gesture-required", "--use-fake-device-for-media-stream",
         "--use-fake-ui-for-media-stream", "--allow-loopback-in-peer-connection", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-extensions",
         "--ignore-certificate-errors"]


# Name of the script -> (package, its entry, the global name).
LIBRARIES = {"jssip.js": ("jssip", "lib/JsSIP.js", "JsSIP"), "sipjs-bundle.js": ("sip.js", "lib/index.js", "SIP")}


def bundled(name):
    """One of LIBRARIES as one script, bundled once by esbuild into build/js."""
    package, entry, variable = LIBRARIES[name]
    bundle = ROOT / "build/js" / name
    if bundle.exists():
        return bundle
    if not (MODULES / package).exists():
        raise Skip(f"{package} is not there (tests/deps.sh installs it)")
    fresh = bundle.with_suffix(f".{os.getpid()}")
    subprocess.run([MODULES / ".bin/esbuild", MODULES / package / entry, "--bundle", "--format=iife",
                    f"--global-name={variable}", f"--outfile={fresh}", "--log-level=warning"], check=True)
    fresh.rename(bundle)
    return bundle


class Pages:
    """Serves tests/browser and a SIP library on http://127.0.0.1: a secure context, so that media may be used."""

    def __init__(self, library="jssip.js"):
        scripts = {f"/{library}": str(bundled(library))}

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *args):
                super().__init__(*args, directory=str(PAGES))

            def translate_path(self, path):
                return scripts.get(path) or super().translate_path(path)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Browser(Process):
    """What all have in common: one window for each open(). They answer command() as WebDriver wants it (W3C)."""

    _fresh = True  # the window it came with is not in use yet

    def open(self, url, size=None):
        """A window showing `url`."""
        if self._fresh:
            handle = self.command("/window", method="GET")
            self._fresh = False
        else:
            handle = self.command("/window/new", {"type": "window"})["handle"]
        window = Window(self, handle)
        window.select()
        if size:
            self.command("/window/rect", {"width": size[0], "height": size[1]})
        self.command("/url", {"url": url})
        return window

    def quit(self):
        try:
            self.command("", method="DELETE")
        except (Failure, OSError):
            pass


class Chromium(Browser):

    def __init__(self, name="chromium", flags=()):
        self.port = free_port()
        profile = workdir() / f"{name}.profile"
        super().__init__([need("chromedriver"), f"--port={self.port}", "--silent"], name)
        options = {"args": [*FLAGS, *flags, f"--user-data-dir={profile}"], "binary": need("chromium")}
        capabilities = {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options,
                                        "goog:loggingPrefs": {"browser": "ALL"}, "timeouts": {"script": 60000}}}
        deadline = time.monotonic() + 20
        while True:
            try:
                self.session = self._post("/session", {"capabilities": capabilities})["sessionId"]
                break
            except (urllib.error.URLError, ConnectionError):
                if time.monotonic() > deadline or not self.alive():
                    raise Failure(f"chromedriver does not answer: {self.stderr()[-500:]}") from None
                time.sleep(0.05)

    def _post(self, path, body, method="POST"):
        data = None if method == "GET" else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, method=method,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=90) as reply:
                return json.load(reply)["value"]
        except urllib.error.HTTPError as error:
            raise Failure(f"chromedriver: {json.load(error)['value'].get('message', '')[:600]}") from None

    def command(self, path, body=None, method="POST"):
        return self._post(f"/session/{self.session}{path}", body or {}, method)


class Window:
    def __init__(self, browser, handle):
        self.browser, self.handle = browser, handle

    def select(self):
        self.browser.command("/window", {"handle": self.handle})

    def run(self, script, *args):
        """The value of a JavaScript expression; promises are awaited."""
        self.select()
        text = ("const done = arguments[arguments.length - 1];"
                f"Promise.resolve((async () => ({script}))()).then(v => done({{value: v}}), "
                "e => done({error: `${e} ${e && e.stack || 0}`}));")
        result = self.browser.command("/execute/async", {"script": text, "args": list(args)})
        if "error" in result:
            raise Failure(f"in the page: {result['error'][:600]}")
        return result.get("value")

    def wait(self, script, what, timeout=15.0):
        deadline = time.monotonic() + timeout
        while True:
            value = self.run(script)
            if value:
                return value
            if time.monotonic() > deadline:
                raise Failure(f"{what}: not within {timeout:g} s; {self.log()}")
            time.sleep(0.05)

    def log(self):
        self.select()
        entries = self.browser.command("/se/log", {"type": "browser"})
        return "; ".join(e["message"] for e in entries)[-1500:]

    def screenshot(self, path):
        import base64
        self.select()
        pathlib.Path(path).write_bytes(base64.b64decode(self.browser.command("/screenshot", method="GET")))

    def reload(self):
        self.select()
        self.browser.command("/refresh")

    def close(self):
        self.select()
        self.browser.command("/window", method="DELETE")


def wait_for_tone(window, script, hz, who, timeout=10.0, tolerance=15.0, above=-60.0):
    """Waits until the strongest tone that `script` measures, {hz, db}, is `hz`."""
    deadline = time.monotonic() + timeout
    while True:
        heard = window.run(script)
        if abs(heard["hz"] - hz) < tolerance and (heard["db"] or -200) > above:
            return heard
        if time.monotonic() > deadline:
            raise Failure(f"{who} hears {heard['hz']:.0f} Hz at {heard['db']} dB, expected {hz} Hz")
        time.sleep(0.1)


def wait_for_sound(window):
    """The first call of the built-in page gets packets."""
    window.wait("""(async () => {
        const call = [...phone.calls.values()][0];
        for (const r of (await call.pc.getStats()).values())
            if (r.type === "inbound-rtp" && r.packetsReceived > 20) return true;
        return false;
    })()""", "sound arrives")


# What the last call of the built-in page brings: the strongest frequency and its level.
EAR = """(() => {
    const call = [...phone.calls.values()].pop();
    if (!call || !call.remote || !call.remote.getAudioTracks().length) return {hz: 0, db: -200};
    if (!window.ear || window.ear.stream !== call.remote) {
        const audio = new AudioContext({sampleRate: 48000});
        const analyser = new AnalyserNode(audio, {fftSize: 16384, smoothingTimeConstant: 0});
        audio.createMediaStreamSource(call.remote).connect(analyser);
        window.ear = {stream: call.remote, analyser, audio};
    }
    const bins = new Float32Array(window.ear.analyser.frequencyBinCount);
    window.ear.analyser.getFloatFrequencyData(bins);
    let best = 1;
    for (let i = 1; i < bins.length; i++) if (bins[i] > bins[best]) best = i;
    return {hz: best * 48000 / 16384, db: Number.isFinite(bins[best]) ? bins[best] : -200};
})()"""


class WebPhone:
    """The JsSIP page (or the one of SIP.js) in a window of its own."""

    def __init__(self, browser, pages, url, user, password, domain="house.test", page="page.html", **options):
        self.user, self.window = user, browser.open(f"{pages.origin}/{page}")
        self.options = {"url": url, "user": user, "password": password, "domain": domain, **options}
        self.start()

    def start(self):
        self.window.run(f"phone.start({json.dumps(self.options)})")

    def reload(self):
        """The page as it was opened, without its calls and its registration: start() begins anew."""
        self.window.reload()

    def registered(self):
        self.event("registered")
        return self

    def events(self):
        return self.window.run("phone.events")

    def event(self, name, match=None, timeout=15.0, after=0):
        """Waits for an event of the page; (its number, the event)."""
        deadline = time.monotonic() + timeout
        while True:
            events = self.events()
            for number, event in enumerate(events):
                if number >= after and event["name"] == name and \
                        all(event.get(k) == v for k, v in (match or {}).items()):
                    return event
            if time.monotonic() > deadline:
                seen = ", ".join(f"{e['name']}({e.get('cause') or e.get('originator') or ''})" for e in events)
                raise Failure(f"{self.user}: no event {name} {match or ''} within {timeout:g} s; events: {seen}; "
                              f"{self.window.log()}")
            time.sleep(0.05)

    def call(self, target, **options):
        return self.window.run(f"phone.call({json.dumps(target)}, {json.dumps(options)})")

    def do(self, index, text):
        """Runs `session.TEXT` on a session."""
        return self.window.run(f"(phone.sessions[{index}].{text}, null)")

    def hold(self, index, **how):
        """Holds the call; the far side has agreed when this returns."""
        self._hold(index, True, how)

    def resume(self, index, **how):
        """Takes it back."""
        self._hold(index, False, how)

    def _hold(self, index, on, how):
        status = self.window.run(f"phone.hold({index}, {json.dumps(on)}, {json.dumps(how)})")
        if status != 200:
            raise Failure(f"{self.user}: {'hold' if on else 'resume'} of call {index}: {status or 'the call ended'}")

    def stats(self, index=0):
        return self.window.run(f"phone.stats({index})")

    def hears(self, hz, **options):
        """Waits until the strongest tone heard is `hz`."""
        return wait_for_tone(self.window, "phone.heard()", hz, self.user, **options)

    def hears_nothing(self, timeout=10.0, below=-80.0):
        deadline = time.monotonic() + timeout
        while True:
            heard = self.window.run("phone.heard()")
            if heard["db"] is None or heard["db"] < below:
                return
            if time.monotonic() > deadline:
                raise Failure(f"{self.user} still hears {heard['hz']:.0f} Hz at {heard['db']} dB")
            time.sleep(0.1)
