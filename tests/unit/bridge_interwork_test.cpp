// The SDP tables T1 to T4 of the bridge: what becomes of each description.
#include <string>

#include <doctest/doctest.h>

#include "tests/unit/interwork_fixture.hpp"

using namespace offhook;
using namespace offhook::bridge;
using namespace offhook::test::interwork;

TEST_SUITE("bridge interwork") {
    TEST_CASE("T1: a browser's offer becomes one that any phone reads") {
        Pair pair;
        const auto out = offered(pair.work, End::caller, chrome_head + chrome_audio);
        CHECK(out ==
              "v=0\r\no=- 77 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n"
              "m=audio 40000 RTP/AVP 111 9 0 8 110 101\r\na=rtpmap:111 opus/48000/2\r\n"
              "a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\n"
              "a=rtpmap:8 PCMA/8000\r\na=rtpmap:110 telephone-event/48000\r\na=fmtp:110 0-16\r\n"
              "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n");
        CHECK(pair.work.fingerprint(End::caller).starts_with("sha-256 11:22"));
    }

    TEST_CASE("T1: codecs that may not pass, video, and a data channel") {
        Pair pair;
        pair.work = Interwork(pair.caller, pair.callee, {{"pcmu", "h264"}, false});
        const auto out = offered(pair.work, End::caller,
                                 chrome_head + chrome_audio + chrome_video +
                                     "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n");
        CHECK(has(out, "m=audio 40000 RTP/AVP 0 101"));
        CHECK(has(out, "m=video 40002 RTP/AVP 103"));
        CHECK(has(out, "a=fmtp:103 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"));
        CHECK(has(out, "m=application 0 RTP/AVP webrtc-datachannel"));
        for (const char *leaked : {"candidate", "ice-", "fingerprint", "setup", "msid", "ssrc", "extmap",
                                   "mid:", "group", "rtcp-fb", "rtcp-mux", "transport-cc"})
            CHECK_MESSAGE(out.find(leaked) == std::string::npos, leaked);
    }

    TEST_CASE("T2: a phone's answer becomes one that Chromium takes") {
        Pair pair;
        offered(pair.work, End::caller, chrome_head + chrome_audio);
        const auto out = answered(
            pair.work, End::callee,
            phone("0 101",
                  "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"));
        CHECK(out ==
              "v=0\r\no=- 77 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=ice-lite\r\n"
              "a=group:BUNDLE 0\r\na=msid-semantic: WMS offhook\r\nm=audio 30000 UDP/TLS/RTP/SAVPF 0 126\r\n"
              "a=rtpmap:0 PCMU/8000\r\na=rtpmap:126 telephone-event/8000\r\na=fmtp:126 0-16\r\na=mid:0\r\n"
              "a=ice-ufrag:uuuu\r\na=ice-pwd:pppppppppppppppppppppppp\r\na=fingerprint:sha-256 00:11\r\n"
              "a=setup:passive\r\na=rtcp-mux\r\na=msid:offhook offhook0\r\na=ssrc:1111 cname:offhook\r\n"
              "a=candidate:1 1 udp 2130706431 192.0.2.1 30000 typ host\r\na=end-of-candidates\r\n"
              "a=sendrecv\r\n");
        const auto &line = pair.work.lines().at(0);
        CHECK(line.at(End::callee).remote == Address::parse("192.0.2.50", 4000).value());
        CHECK(line.at(End::callee).remote_rtcp.port() == 4001);
        const auto to_phone = line.numbers(End::caller), to_page = line.numbers(End::callee);
        CHECK(to_phone.at(0) == 0);
        CHECK(to_phone.at(126) == 101);
        CHECK_FALSE(to_phone.contains(111));
        CHECK(to_page.at(101) == 126);
        CHECK(line.event_for(End::callee)->number == 101);
    }

    TEST_CASE("T2: a phone with numbers of its own is sent those, and understood by ours") {
        Pair pair;
        offered(pair.work, End::caller, chrome_head + chrome_audio);
        const auto out =
            answered(pair.work, End::callee,
                     phone("96 97", "a=rtpmap:96 opus/48000/2\r\na=rtpmap:97 telephone-event/8000\r\n"));
        CHECK(has(out, "m=audio 30000 UDP/TLS/RTP/SAVPF 111 110"));
        const auto &line = pair.work.lines().at(0);
        CHECK(line.numbers(End::caller).at(111) == 96);
        CHECK(line.numbers(End::caller).at(110) == 97);
        CHECK(line.event_clocks(End::caller).at(110) == 48000); // what Chromium counts in …
        CHECK(line.event_for(End::callee)->clock == 8000);      // … and what the phone wants
        CHECK(line.numbers(End::callee).at(111) == 111);        // what we offered it
        CHECK(line.numbers(End::callee).at(96) == 111);         // what it would receive
    }

    TEST_CASE("T2: with Opus, telephone-events count at 48 kHz, by whichever number they come") {
        Pair pair(false, true);
        offered(pair.work, End::caller,
                phone("96 0 103 101", "a=rtpmap:96 opus/48000/2\r\na=rtpmap:103 telephone-event/48000\r\n"
                                      "a=rtpmap:101 telephone-event/8000\r\n"));
        const auto out = answered(pair.work, End::callee,
                                  chrome_head + "m=audio 9 UDP/TLS/RTP/SAVPF 96 0 103 101\r\n" + chrome_web +
                                      "a=setup:active\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\n"
                                      "a=rtpmap:96 opus/48000/2\r\na=rtpmap:103 telephone-event/48000\r\n"
                                      "a=rtpmap:101 telephone-event/8000\r\n");
        CHECK(has(out, "m=audio 30000 RTP/AVP 96 0 103"));
        const auto &line = pair.work.lines()[0];
        CHECK(line.numbers(End::callee).at(101) == 103);
        CHECK(line.numbers(End::callee).at(103) == 103);
        CHECK(line.event_for(End::caller)->clock == 48000);
    }

    TEST_CASE("T2: lines the phone left out or refused are refused, by their own mid") {
        for (const std::string rest : {"", "m=video 0 RTP/AVP 103\r\n"}) {
            Pair pair;
            offered(pair.work, End::caller, chrome_head + chrome_audio + chrome_video);
            const auto out = answered(pair.work, End::callee, phone("8", "") + rest);
            CHECK(has(out, "a=group:BUNDLE 0"));
            CHECK(has(out, "m=audio 30000 UDP/TLS/RTP/SAVPF 8"));
            CHECK(has(out, "m=video 0 UDP/TLS/RTP/SAVPF 0"));
            CHECK(has(out, "a=mid:1"));
        }
    }

    TEST_CASE("T2: nothing in common is 488, not a silent call") {
        Pair pair;
        offered(pair.work, End::caller, chrome_head + chrome_audio);
        const auto out = pair.work.answer(End::callee, phone("18", "a=rtpmap:18 G729/8000\r\n"));
        REQUIRE_FALSE(out);
        CHECK(out.error().sip == 488);
    }

    TEST_CASE("T3: a phone's offer for a browser, and T4 the way back") {
        Pair pair(false, true);
        const auto out = offered(
            pair.work, End::caller,
            phone("8 0 101", "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n"));
        CHECK(has(out, "m=audio 40000 UDP/TLS/RTP/SAVPF 8 0 101"));
        for (const char *line : {"a=ice-lite", "a=group:BUNDLE 0", "a=mid:0", "a=setup:actpass", "a=rtcp-mux",
                                 "a=fingerprint:sha-256 00:11", "a=ice-ufrag:uuuu", "a=sendrecv"})
            CHECK_MESSAGE(has(out, line), line);
        const auto back =
            answered(pair.work, End::callee,
                     chrome_head + "m=audio 9 UDP/TLS/RTP/SAVPF 8 0 101\r\n" + chrome_web +
                         "a=setup:active\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:8 PCMA/8000\r\n"
                         "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n");
        CHECK(has(back, "m=audio 30000 RTP/AVP 8 0 101"));
        CHECK(back.find("rtcp-mux") == std::string::npos); // the phone did not offer it
        CHECK(back.find("fingerprint") == std::string::npos);
        CHECK(pair.work.lines()[0].at(End::caller).remote.port() == 4000);
    }

    TEST_CASE("T3: numbers are unique over the lines of a bundle") {
        Pair pair(false, true);
        const auto out =
            offered(pair.work, End::caller,
                    phone("96 101", "a=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n") +
                        "m=video 5000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n");
        CHECK(has(out, "m=audio 40000 UDP/TLS/RTP/SAVPF 96 97"));
        CHECK(has(out, "a=rtpmap:97 telephone-event/48000")); // Opus has no other clock
        CHECK(has(out, "m=video 40000 UDP/TLS/RTP/SAVPF 98"));
        CHECK(has(out, "a=fmtp:98 packetization-mode=0;profile-level-id=42e01f"));
        CHECK(has(out, "a=rtcp-fb:98 nack pli"));
        CHECK(pair.work.lines().size() == 2);
    }

    TEST_CASE("offers that cannot be served") {
        for (const auto &[sdp, status] : {std::pair<std::string, unsigned>("nonsense", 400),
                                          {phone("18", "a=rtpmap:18 G729/8000\r\n"), 488},
                                          {"v=0\r\ns=-\r\n", 488},
                                          {phone("0", "") + "m=x", 400}}) {
            Pair pair(false, true);
            const auto out = pair.work.offer(End::caller, sdp);
            REQUIRE_FALSE(out);
            CHECK(out.error().sip == status);
        }
    }

    TEST_CASE("browser to browser: each has its own transport") {
        Pair pair(true, true);
        const auto out = offered(pair.work, End::caller, chrome_head + chrome_audio + chrome_video);
        CHECK(has(out, "m=audio 40000 UDP/TLS/RTP/SAVPF 111 9 0 8 110"));
        CHECK(has(out, "m=video 40000 UDP/TLS/RTP/SAVPF 96 103"));
        CHECK(has(out, "a=group:BUNDLE 0 1"));
        CHECK(out.find("0b9a.local") == std::string::npos);
    }
}
