"""wss-bridge and addresses: browsers by IPv6 with phones on IPv4, and a bridge that is seen under another address."""

import ctypes
import os
import re
import socket
import subprocess

from bridge import Bridge, answering, configuration, log_in, web_phone
from browser import EAR, Chromium, Pages, wait_for_tone
from harness import Skip, case, expect, expect_equal, expect_tone, free_port, need, workdir


def candidates(window, connection):
    """(address, port) of each one that the bridge offered."""
    sdp = window.run(f"{connection}.remoteDescription.sdp")
    return set(re.findall(r"^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) ", sdp, re.M | re.I))


def need_ipv6():
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as one:
        try:
            one.bind(("::1", 0))
        except OSError as error:
            raise Skip(f"no IPv6: {error}") from error


@case("bridge: page, web socket and media by IPv6, the phone on IPv4, heard both ways", timeout=90)
def ipv6():
    need_ipv6()
    bridge, pages, browser = Bridge(host="[::1]", origin=None), Pages(), Chromium()
    phone = answering(bridge, "ben")
    window = browser.open(bridge.http + "/")
    log_in(window, "anna")
    expect(bridge.registered("anna")["address"].startswith("[::1]:"), "the browser's address")
    window.run("""(() => { document.getElementById("target").value = "ben"; document.getElementById("call-audio").click(); })()""")
    wait_for_tone(window, EAR, 440, "the page")
    expect_equal({address for address, _ in candidates(window, "[...phone.calls.values()][0].pc")}, {"::1"}, "the bridge's candidates")
    window.run('document.querySelector(".call .hangup").click()')
    phone.ends(0)
    bridge.stop()

    # The same with JsSIP, whose page is elsewhere, and with the sound of the page.
    bridge = Bridge(host="[::1]", name="bridge2")
    recording = workdir() / "ben.record.wav"
    phone = answering(bridge, "ben", "--record", recording)
    page = web_phone(browser, pages, bridge, "anna", hz=700)
    call = page.call("sip:ben@house.test")
    page.event("confirmed")
    page.hears(440)
    page.window.wait("phone.stats(0).then((s) => s.audioOut.sent > 100)", "two seconds of sound")
    page.do(call, "terminate()")
    phone.ends(0)
    expect_tone(recording, 700, -13.5, 1.0, side=1)
    browser.quit()
    bridge.stop()


def nat_on_this_host(address):
    """From here on this process and its children have a network of their own, where `address` is forwarded to 127.0.0.1."""
    if os.geteuid() != 0 or ctypes.CDLL(None).unshare(0x40000000) != 0:  # CLONE_NEWNET
        raise Skip("needs root, for a network namespace")
    configure("ip link set lo up", f"ip route add {address} dev lo src 127.0.0.1",
              f"iptables -t nat -A OUTPUT -d {address} -j DNAT --to-destination 127.0.0.1")


def configure(*commands):
    for words in commands:
        program, *rest = words.split()
        subprocess.run([need(program), *rest], check=True)


@case("bridge: one port for the media under a public address, that of a NAT", timeout=90)
def public_address():
    nat_on_this_host("203.0.113.5")
    port = free_port()
    # The bridge offers its own address, too; whoever is outside of the NAT does not reach that.
    configure(f"iptables -A OUTPUT -p udp -d 127.0.0.1 --dport {port} -m conntrack ! --ctstate DNAT -j DROP")
    low = 20000 if port > 30000 else 50000
    bridge = Bridge("--ice-port", port, "--public-address", "203.0.113.5",
                    config=configuration(extra=f'rtp_ports = "{low}-{low + 999}"'))
    pages, browser = Pages(), Chromium()
    recording = workdir() / "ben.record.wav"
    phone = answering(bridge, "ben", "--record", recording)
    page = web_phone(browser, pages, bridge, "anna", hz=700)
    call = page.call("sip:ben@house.test")
    page.event("confirmed")
    page.hears(440)
    expect_equal(candidates(page.window, f"phone.connection({call})"), {("203.0.113.5", str(port)), ("127.0.0.1", str(port))},
                 "the bridge's candidates")
    page.window.wait(f"phone.stats({call}).then((s) => s.audioOut.sent > 100)", "two seconds of sound")
    page.do(call, "terminate()")
    phone.ends(0)
    expect_tone(recording, 700, -13.5, 1.0, side=1)
    browser.quit()
    bridge.stop()
