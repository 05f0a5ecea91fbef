"""Headless Firefox, driven by its own Marionette protocol: lengths and JSON on a TCP connection, WebDriver's commands under
names of their own."""

import json
import os
import socket
import time

from browser import Browser
from processes import Failure, free_port, need, workdir

PREFERENCES = {
    "media.navigator.permission.disabled": True,
    "media.navigator.streams.fake": True,
    "media.autoplay.default": 0,
    "media.autoplay.block-webaudio": False,
    "media.autoplay.blocking_policy": 0,
    "media.cubeb.force_mock_context": True,  # a sound card; without one the page's AudioContext never starts
    "media.cubeb.sandbox": False,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    # Nothing on the network but what the test opens.
    "app.normandy.enabled": False,
    "app.update.enabled": False,
    "browser.region.network.url": "",
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage": "about:blank",
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.getAddons.cache.enabled": False,
    "extensions.update.enabled": False,
    "media.gmp-manager.updateEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,#",
    "toolkit.telemetry.enabled": False,
}
COMMANDS = {
    ("GET", "/window"): "WebDriver:GetWindowHandle",
    ("POST", "/window"): "WebDriver:SwitchToWindow",
    ("POST", "/window/new"): "WebDriver:NewWindow",
    ("DELETE", "/window"): "WebDriver:CloseWindow",
    ("POST", "/window/rect"): "WebDriver:SetWindowRect",
    ("POST", "/url"): "WebDriver:Navigate",
    ("POST", "/refresh"): "WebDriver:Refresh",
    ("POST", "/execute/async"): "WebDriver:ExecuteAsyncScript",
    ("GET", "/screenshot"): "WebDriver:TakeScreenshot",
    ("DELETE", ""): "Marionette:Quit",
}


def own_address():
    """An address of this machine that others reach it at: Firefox has no candidates on the loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing
        return probe.getsockname()[0]


class Firefox(Browser):
    def __init__(self, name="firefox"):
        profile, port = workdir() / f"{name}.profile", free_port()
        profile.mkdir()
        preferences = {**PREFERENCES, "marionette.port": port}
        (profile / "user.js").write_text("".join(f"user_pref({json.dumps(key)}, {json.dumps(value)});\n"
                                                 for key, value in preferences.items()))
        super().__init__([need("firefox-esr"), "--headless", "--no-remote", "--marionette", "--profile", str(profile)],
                         name, env={**os.environ, "HOME": str(workdir()), "MOZ_DISABLE_CONTENT_SANDBOX": "1"})
        self.link = self._connect(port)
        self.buffer, self.number = b"", 0
        self._receive()  # its greeting
        self._ask("WebDriver:NewSession", {"capabilities": {"alwaysMatch": {"acceptInsecureCerts": True,
                                                                            "timeouts": {"script": 60000}}}})

    def _connect(self, port):
        deadline = time.monotonic() + 60
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=90)
            except ConnectionError:
                if time.monotonic() > deadline or not self.alive():
                    raise Failure(f"firefox does not answer: {self.stderr()[-500:]}") from None
                time.sleep(0.1)

    def _receive(self):
        def more():
            read = self.link.recv(65536)
            if not read:
                raise Failure(f"firefox is gone: {self.stderr()[-500:]}")
            self.buffer += read
        while b":" not in self.buffer:
            more()
        length, _, self.buffer = self.buffer.partition(b":")
        while len(self.buffer) < int(length):
            more()
        message, self.buffer = self.buffer[:int(length)], self.buffer[int(length):]
        return json.loads(message)

    def _ask(self, name, parameters):
        self.number += 1
        request = json.dumps([0, self.number, name, parameters]).encode()
        self.link.sendall(b"%d:%s" % (len(request), request))
        _, number, error, result = self._receive()
        if error or number != self.number:
            raise Failure(f"firefox: {name}: {(error or {}).get('message', 'an answer to something else')[:600]}")
        return result["value"] if isinstance(result, dict) and list(result) == ["value"] else result

    def command(self, path, body=None, method="POST"):
        if path == "/se/log":
            return []  # its console goes to standard error
        return self._ask(COMMANDS[method, path], body or {})
