// Descriptions as Chromium and desk phones write them, and an Interwork between two ends.
#pragma once

#include <string>

#include <doctest/doctest.h>

#include "bridge/interwork.hpp"

namespace offhook::test::interwork {

using namespace offhook::bridge;

inline const std::string chrome_head =
    "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
    "a=group:BUNDLE 0 1\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS s\r\n";
inline const std::string chrome_web =
    "c=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n"
    "a=candidate:1 1 udp 2113937151 0b9a.local 54321 typ host generation 0\r\n"
    "a=ice-ufrag:abcd\r\na=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\na=ice-options:trickle\r\n"
    "a=fingerprint:sha-256 11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:"
    "77:88:99:AA:BB:CC:DD:EE:FF:00\r\n";
inline const std::string chrome_audio =
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\n" + chrome_web +
    "a=setup:actpass\r\na=mid:0\r\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=sendrecv\r\n"
    "a=msid:s t\r\na=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\n"
    "a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\na=rtpmap:9 "
    "G722/8000\r\n"
    "a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:13 CN/8000\r\na=rtpmap:110 "
    "telephone-event/48000\r\n"
    "a=rtpmap:126 telephone-event/8000\r\na=ssrc:1 cname:x\r\na=ssrc:1 msid:s t\r\n";
inline const std::string chrome_video =
    "m=video 9 UDP/TLS/RTP/SAVPF 96 97 103 104 39\r\n" + chrome_web +
    "a=setup:actpass\r\na=mid:1\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 "
    "goog-remb\r\n"
    "a=rtcp-fb:96 nack\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=rtpmap:103 H264/90000\r\n"
    "a=fmtp:103 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\na=rtpmap:104 "
    "H264/90000\r\n"
    "a=fmtp:104 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640c1f\r\na=rtpmap:39 "
    "AV1/90000\r\n";

inline std::string phone(const std::string &formats, const std::string &lines,
                         const std::string &profile = "RTP/AVP", const std::string &address = "192.0.2.50") {
    return "v=0\r\no=phone 1 1 IN IP4 192.0.2.50\r\ns=call\r\nc=IN IP4 " + address +
           "\r\nt=0 0\r\nm=audio 4000 " + profile + " " + formats + "\r\n" + lines;
}

inline void set_up(OwnEnd &end, bool web, std::uint16_t base, const std::string &ip) {
    end.web = web;
    end.connection = {ip, false};
    end.session_id = "77";
    end.place = [web, base, ip](std::size_t line) -> Result<OwnPlace> {
        OwnPlace place;
        place.connection = {ip, false};
        place.port = static_cast<std::uint16_t>(web ? base : base + 2 * line);
        if (!web) return place;
        place.ufrag = "uuuu";
        place.password = "pppppppppppppppppppppppp";
        place.fingerprint = "sha-256 00:11";
        place.candidates = {"1 1 udp 2130706431 " + ip + " " + std::to_string(base) + " typ host"};
        return place;
    };
    end.ssrcs = {1111, 2222, 3333};
}

struct Pair { // a browser calls a phone, or the other way round
    explicit Pair(bool caller_web = true, bool callee_web = false) {
        set_up(caller, caller_web, 30000, "192.0.2.1");
        set_up(callee, callee_web, 40000, "192.0.2.2");
    }
    OwnEnd caller, callee;
    Interwork work{caller, callee, {{"opus", "g722", "pcma", "pcmu", "h264", "vp8"}, false}};
};

inline std::string offered(Interwork &work, End from, const std::string &sdp) {
    auto out = work.offer(from, sdp);
    REQUIRE_MESSAGE(out, out.error().what);
    return *out;
}

inline std::string answered(Interwork &work, End from, const std::string &sdp) {
    auto out = work.answer(from, sdp);
    REQUIRE_MESSAGE(out, out.error().what);
    return *out;
}

inline bool has(const std::string &text, const std::string &line) {
    return text.find(line + "\r\n") != std::string::npos;
}

} // namespace offhook::test::interwork
