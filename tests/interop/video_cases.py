"""Video between pages, and between a page and a phone: H.264 of baresip decoded in the page, lost frames, and who asks for new ones."""

import pathlib
import re

from baresip import MODULES
from bridge import Bridge, configuration, web_phone
from browser import Chromium, Pages
from harness import Baresip, Sipp, Skip, case, expect, expect_equal, wait_until, workdir
from relay import MediaRelay
from rtp_pcap import Stream

# Moving bars by libx264 (baresip-ffmpeg). Its key frames come every ten seconds, or when they are asked for.
H264 = """module avcodec.so
module fakevideo.so
video_source fakevideo,nil
video_display fakevideo,nil
video_size 320x240
video_fps 15
video_bitrate 300000
"""
PICTURE_LOSS = (206, 1)


def device(name, port):
    return [f'name = "{name}"', f'uri = "sip:{name}@127.0.0.1:{port}"']


def sees(page, call, what="video", **least):
    """Waits until the counters of `what` have reached these values; the counters."""
    def look():
        seen = page.stats(call).get(what) or {}
        return seen if all((seen.get(key) or 0) >= value for key, value in least.items()) else None
    return wait_until(look, f"{page.user}: {what} {least}", timeout=15, step=0.1)


@case("bridge: H.264 of baresip in a page, a lost frame is asked for, and the other way round", timeout=90)
def h264():
    if not pathlib.Path(MODULES, "avcodec.so").exists():
        raise Skip("baresip-ffmpeg is not installed")
    peer = Baresip(name="carl", codec="pcmu", hz=660, extra=H264)
    between = MediaRelay(peer.ports["udp"])
    bridge, pages, browser = Bridge(config=configuration(devices=[device("carl", between.port)])), Pages(), Chromium()
    page = web_phone(browser, pages, bridge, "anna", hz=700, video=True)
    call = page.call("sip:carl@house.test")
    page.event("confirmed", {"index": call})
    page.hears(660)
    expect_equal(sees(page, call, decoded=20)["width"], 320, "width of the picture")

    # Packets of a frame are lost: the page asks, the bridge asks the phone, and a key frame comes.
    before, asked = page.stats(call)["video"], len(between.feedback)
    between.lose(3)
    sees(page, call, pli=before["pli"] + 1)
    wait_until(lambda: between.feedback[asked:], "the phone is asked")
    expect_equal(set(between.feedback[asked:]), {PICTURE_LOSS}, "what the phone is asked")
    now = sees(page, call, key=before["key"] + 1)
    sees(page, call, decoded=now["decoded"] + 10)

    # The other way round: baresip asks by the FIR of RFC 2032, which it sends where no feedback is negotiated.
    encoded, lost = page.stats(call)["videoOut"], between.lost
    between.lose(6, towards="phone")
    wait_until(lambda: between.lost > lost, "packets towards the phone are lost")
    sees(page, call, "videoOut", pli=encoded["pli"] + 1, key=encoded["key"] + 1)
    page.do(call, "terminate()")
    peer.wait_event("CALL_CLOSED")
    browser.quit()
    bridge.stop()


@case("bridge: --avpf offers a door station video with feedback: no INFO, and its PLI reaches the page", timeout=60)
def avpf():
    requests = Stream().picture_losses(8).write(workdir() / "pli.pcap")
    phone = Sipp("video_avpf", keys={"requests": requests})
    bridge = Bridge("--avpf", config=configuration(devices=[device("door", phone.port)]))
    pages, browser = Pages(), Chromium()
    page = web_phone(browser, pages, bridge, "anna", hz=700, video=True)
    call = page.call("sip:door@house.test")
    page.event("confirmed", {"index": call})
    started = sees(page, call, "videoOut", sent=5, key=1)
    sees(page, call, "videoOut", pli=started["pli"] + 2, key=started["key"] + 1)
    page.do(call, "terminate()")
    phone.succeeds()
    expect(not phone.received("INFO"), "no INFO where feedback is spoken")
    browser.quit()
    bridge.stop()


@case("bridge: key frames by INFO, to a phone that knows no RTCP feedback and from it", timeout=60)
def media_control():
    phone = Sipp("video_info")
    bridge, pages, browser = Bridge(config=configuration(devices=[device("door", phone.port)])), Pages(), Chromium()
    page = web_phone(browser, pages, bridge, "anna", hz=700, video=True, answer=True)
    call = page.call("sip:door@house.test")
    page.event("confirmed", {"index": call})
    wait_until(lambda: phone.received("INFO"), "the phone is asked for a key frame")
    page.do(call, "hold()")
    wait_until(lambda: len(phone.received("INVITE")) == 2, "the page's hold")
    page.event("hold", {"index": call, "originator": "local"})
    wait_until(lambda: len(phone.received("ACK")) == 2, "its ACK")
    page.do(call, "terminate()")
    phone.succeeds()
    # The INFO of the bridge stands between the page's requests: the numbers the phone sees only rise.
    seen = [re.search(r"^CSeq: *(\d+) (\w+)", text, re.M).groups() for way, text in phone.messages()
            if way == "received" and not text.startswith(("ACK", "SIP/2.0"))]
    expect_equal([method for _, method in seen], ["INVITE", "INFO", "INVITE", "BYE"], "requests at the phone")
    numbers = [int(number) for number, _ in seen]
    expect(all(a < b for a, b in zip(numbers, numbers[1:])), f"CSeq numbers at the phone: {numbers}")

    # A phone asks the page, once its pictures are on the way.
    caller = Sipp("uac_video_info", target=bridge.udp)
    page.event("confirmed", {"index": call + 1})
    started = sees(page, call + 1, "videoOut", sent=5, key=1)
    page.do(call + 1, 'sendInfo("text/plain", "now")')
    wait_until(lambda: len(caller.received("200")) > 1, "the INFO of the phone is answered")
    sees(page, call + 1, "videoOut", pli=started["pli"] + 1, key=started["key"] + 1)
    page.do(call + 1, "terminate()")
    caller.succeeds()
    browser.quit()
    bridge.stop()


@case("bridge: video between two browsers, decoded, with key frames on request", timeout=90)
def video():
    bridge, pages, browser = Bridge(), Pages(), Chromium()
    anna = web_phone(browser, pages, bridge, "anna", hz=500, video=True, answer=True)
    ben = web_phone(browser, pages, bridge, "ben", hz=800, video=True)
    call = ben.call("sip:anna@house.test")
    ben.event("confirmed")
    for page, index in ((anna, 0), (ben, call)):
        wait_until(lambda page=page, index=index: (page.stats(index).get("video") or {}).get("decoded", 0) > 20,
                   f"{page.user} sees the other", timeout=20, step=0.2)
    stats = ben.stats(call)
    expect(stats["videoOut"]["key"] >= 1, f"key frames: {stats}")
    ben.do(call, "terminate()")
    anna.event("ended", {"index": 0})
    browser.quit()
    bridge.stop()
