// The SDP tables T1 to T4 of the bridge, on descriptions as Chromium and desk phones write them.
#include <algorithm>
#include <string>

#include <doctest/doctest.h>

#include "bridge/interwork.hpp"

using namespace offhook;
using namespace offhook::bridge;

namespace {

const std::string chrome_head = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
                                "a=group:BUNDLE 0 1\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS s\r\n";
const std::string chrome_web =
    "c=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n"
    "a=candidate:1 1 udp 2113937151 0b9a.local 54321 typ host generation 0\r\n"
    "a=ice-ufrag:abcd\r\na=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\na=ice-options:trickle\r\n"
    "a=fingerprint:sha-256 11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:"
    "77:88:99:AA:BB:CC:DD:EE:FF:00\r\n";
const std::string chrome_audio =
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\n" + chrome_web +
    "a=setup:actpass\r\na=mid:0\r\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=sendrecv\r\n"
    "a=msid:s t\r\na=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\n"
    "a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\na=rtpmap:9 "
    "G722/8000\r\n"
    "a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:13 CN/8000\r\na=rtpmap:110 "
    "telephone-event/48000\r\n"
    "a=rtpmap:126 telephone-event/8000\r\na=ssrc:1 cname:x\r\na=ssrc:1 msid:s t\r\n";
const std::string chrome_video =
    "m=video 9 UDP/TLS/RTP/SAVPF 96 97 103 104 39\r\n" + chrome_web +
    "a=setup:actpass\r\na=mid:1\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 "
    "goog-remb\r\n"
    "a=rtcp-fb:96 nack\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=rtpmap:103 H264/90000\r\n"
    "a=fmtp:103 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\na=rtpmap:104 "
    "H264/90000\r\n"
    "a=fmtp:104 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640c1f\r\na=rtpmap:39 "
    "AV1/90000\r\n";

std::string phone(const std::string &formats, const std::string &lines,
                  const std::string &profile = "RTP/AVP", const std::string &address = "192.0.2.50") {
    return "v=0\r\no=phone 1 1 IN IP4 192.0.2.50\r\ns=call\r\nc=IN IP4 " + address +
           "\r\nt=0 0\r\nm=audio 4000 " + profile + " " + formats + "\r\n" + lines;
}

struct Pair { // a browser calls a phone, or the other way round
    explicit Pair(bool caller_web = true, bool callee_web = false) {
        set_up(caller, caller_web, 30000, "192.0.2.1");
        set_up(callee, callee_web, 40000, "192.0.2.2");
    }
    static void set_up(OwnEnd &end, bool web, std::uint16_t base, const char *ip) {
        end.web = web;
        end.ip = ip;
        end.session_id = "77";
        end.port = [web, base](std::size_t line) -> Result<std::uint16_t> {
            return static_cast<std::uint16_t>(web ? base : base + 2 * line);
        };
        end.ssrcs = {1111, 2222};
        if (!web) return;
        end.ufrag = "uuuu";
        end.password = "pppppppppppppppppppppppp";
        end.fingerprint = "sha-256 00:11";
    }
    OwnEnd caller, callee;
    Interwork work{caller, callee, {{"opus", "g722", "pcma", "pcmu", "h264", "vp8"}, false}};
};

std::string offered(Interwork &work, End from, const std::string &sdp) {
    auto out = work.offer(from, sdp);
    REQUIRE_MESSAGE(out, out.error().what);
    return *out;
}

std::string answered(Interwork &work, End from, const std::string &sdp) {
    auto out = work.answer(from, sdp);
    REQUIRE_MESSAGE(out, out.error().what);
    return *out;
}

bool has(const std::string &text, const std::string &line) {
    return text.find(line + "\r\n") != std::string::npos;
}

} // namespace

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

    TEST_CASE("T2: a TCP candidate is offered behind UDP, where there is one") {
        Pair pair;
        pair.caller.tcp_port = 8443;
        offered(pair.work, End::caller, chrome_head + chrome_audio);
        const auto out = answered(pair.work, End::callee, phone("0", "a=rtpmap:0 PCMU/8000\r\n"));
        CHECK(has(out, "a=candidate:1 1 udp 2130706431 192.0.2.1 30000 typ host\r\n"
                       "a=candidate:2 1 tcp 2124414975 192.0.2.1 8443 typ host tcptype passive\r\n"
                       "a=end-of-candidates"));
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

    TEST_CASE("the browser's re-INVITE: whoever answers decides the clock of telephone-events") {
        Pair pair(false, true);
        const std::string both = "a=rtpmap:96 opus/48000/2\r\na=rtpmap:103 telephone-event/48000\r\n"
                                 "a=rtpmap:101 telephone-event/8000\r\n";
        const auto first = offered(pair.work, End::caller, phone("96 0 103 101", both));
        CHECK(has(first, "m=audio 40000 UDP/TLS/RTP/SAVPF 96 0 103")); // one, of the first codec's clock
        answered(pair.work, End::callee,
                 chrome_head + "m=audio 9 UDP/TLS/RTP/SAVPF 96 0 103\r\n" + chrome_web +
                     "a=setup:active\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\n"
                     "a=rtpmap:96 opus/48000/2\r\na=rtpmap:103 telephone-event/48000\r\n");
        CHECK(pair.work.lines()[0].spoken_clock(End::callee) == 48000);
        offered(pair.work, End::callee, chrome_head + chrome_audio);
        const auto out =
            answered(pair.work, End::caller, phone("0 101", "a=rtpmap:101 telephone-event/8000\r\n"));
        CHECK(has(out, "m=audio 40000 UDP/TLS/RTP/SAVPF 0 126"));
        const auto &line = pair.work.lines()[0];
        CHECK(line.spoken_clock(End::callee) == 8000);
        CHECK(line.numbers(End::callee).at(126) == 101);
        CHECK(line.event_clocks(End::callee).at(126) == 8000);
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

    TEST_CASE("transcoding: offered behind what passes as it is, used where nothing else is left") {
        const std::string opus_only = chrome_head + "m=audio 9 UDP/TLS/RTP/SAVPF 111 110 126\r\n" +
                                      chrome_web +
                                      "a=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\n"
                                      "a=rtpmap:111 opus/48000/2\r\na=rtpmap:110 telephone-event/48000\r\n"
                                      "a=rtpmap:126 telephone-event/8000\r\n";
        Pair pair;
        pair.work = Interwork(pair.caller, pair.callee, {{"opus", "g722", "pcma", "pcmu"}, true});
        const auto out = offered(pair.work, End::caller, opus_only);
        CHECK(has(out, "m=audio 40000 RTP/AVP 111 9 8 0 110 101"));
        const auto back =
            answered(pair.work, End::callee, phone("0 8 101", "a=rtpmap:101 telephone-event/8000\r\n"));
        CHECK(has(back, "m=audio 30000 UDP/TLS/RTP/SAVPF 111 110"));
        const auto &line = pair.work.lines()[0];
        CHECK(line.transcoded);
        const auto to_phone = line.recodes(End::caller), to_page = line.recodes(End::callee);
        REQUIRE_FALSE(to_phone.empty());
        CHECK(to_phone.front().from_number == 111);
        CHECK(to_phone.front().to_number == 0);
        CHECK(to_phone.front().to->key == "pcmu");
        REQUIRE_FALSE(to_page.empty());
        CHECK(to_page.front().to_number == 111);
        CHECK(line.numbers(End::caller).at(110) == 101);
        CHECK_FALSE(line.numbers(End::caller).contains(111));
        CHECK(line.spoken_clock(End::caller) == 48000);
        CHECK(line.spoken_clock(End::callee) == 8000);
        // A phone that has Opus after all gets it as it is.
        offered(pair.work, End::caller, opus_only);
        answered(pair.work, End::callee,
                 phone("111 0 101", "a=rtpmap:111 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n"));
        CHECK_FALSE(pair.work.lines()[0].transcoded);
        CHECK(pair.work.lines()[0].numbers(End::caller).at(111) == 111);
        CHECK(pair.work.lines()[0].recodes(End::caller).empty());
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

    TEST_CASE("hold from both sides: directions are mirrored and stay legal") {
        struct Row {
            const char *offered, *answered, *to_phone, *to_page;
        };
        const Row rows[] = {{"sendrecv", "sendrecv", "sendrecv", "sendrecv"},
                            {"sendonly", "recvonly", "sendonly", "recvonly"},
                            {"sendonly", "sendrecv", "sendonly", "recvonly"}, // a phone that ignores the hold
                            {"inactive", "sendrecv", "inactive", "inactive"},
                            {"sendrecv", "inactive", "sendrecv", "inactive"},
                            {"recvonly", "sendonly", "recvonly", "sendonly"},
                            {"recvonly", "recvonly", "recvonly", "inactive"}};
        for (const auto &row : rows) {
            Pair pair;
            std::string page = chrome_head + chrome_audio;
            page.replace(page.find("a=sendrecv"), 10, std::string("a=") + row.offered);
            CHECK(has(offered(pair.work, End::caller, page), std::string("a=") + row.to_phone));
            const auto out =
                answered(pair.work, End::callee, phone("0", std::string("a=") + row.answered + "\r\n"));
            CHECK_MESSAGE(has(out, std::string("a=") + row.to_page), row.offered << " " << row.answered);
        }
    }

    TEST_CASE("RFC 2543 hold: no address means nothing is to be sent") {
        Pair pair(false, true);
        const auto out = offered(pair.work, End::caller, phone("0", "", "RTP/AVP", "0.0.0.0"));
        CHECK(has(out, "a=sendonly"));
        CHECK_FALSE(pair.work.lines()[0].at(End::caller).remote.is_set());
    }

    TEST_CASE("re-INVITE: the browser's transport never changes, the version counts changes only") {
        Pair pair;
        offered(pair.work, End::caller, chrome_head + chrome_audio);
        const auto first =
            answered(pair.work, End::callee, phone("0 101", "a=rtpmap:101 telephone-event/8000\r\n"));
        const auto hold = offered(pair.work, End::callee,
                                  phone("0 101", "a=rtpmap:101 telephone-event/8000\r\na=sendonly\r\n"));
        CHECK(has(hold, "o=- 77 2 IN IP4 192.0.2.1"));
        for (const char *line : {"m=audio 30000 UDP/TLS/RTP/SAVPF 0 126", "a=mid:0", "a=ice-ufrag:uuuu",
                                 "a=fingerprint:sha-256 00:11", "a=setup:passive", "a=sendonly"})
            CHECK_MESSAGE(has(hold, line), line);
        answered(pair.work, End::caller,
                 chrome_head + "m=audio 9 UDP/TLS/RTP/SAVPF 0 126\r\n" + chrome_web +
                     "a=setup:active\r\na=mid:0\r\na=recvonly\r\na=rtcp-mux\r\na=rtpmap:126 "
                     "telephone-event/8000\r\n");
        CHECK(pair.work.lines()[0].numbers(End::caller).at(126) == 101);
        const auto again = offered(pair.work, End::callee,
                                   phone("0 101", "a=rtpmap:101 telephone-event/8000\r\na=sendonly\r\n"));
        CHECK(again == hold); // nothing new: not even the version
    }

    TEST_CASE("a refused offer leaves everything as it was") {
        Pair pair;
        offered(pair.work, End::caller, chrome_head + chrome_audio);
        answered(pair.work, End::callee, phone("0", ""));
        const auto before = pair.work.lines()[0].numbers(End::caller);
        offered(pair.work, End::caller, chrome_head + chrome_audio + chrome_video);
        CHECK(pair.work.open_offer());
        CHECK(pair.work.lines().size() == 2);
        pair.work.roll_back();
        CHECK(pair.work.lines().size() == 1);
        CHECK(pair.work.lines()[0].numbers(End::caller) == before);
        CHECK_FALSE(pair.work.open_offer());
    }

    TEST_CASE("ICE anew is answered here when nothing else changes") {
        Pair pair;
        const auto with = [](std::string text, const std::string &from, const std::string &to) {
            for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
                text.replace(at, from.size(), to);
            return text;
        };
        const std::string page = chrome_head + chrome_audio;
        offered(pair.work, End::caller, page);
        const auto answer = answered(pair.work, End::callee, phone("0", ""));
        CHECK_FALSE(pair.work.restart(End::caller, page)); // a refresh
        const auto anew = with(page, "ice-ufrag:abcd", "ice-ufrag:efgh");
        CHECK_FALSE(pair.work.restart(End::callee, anew)); // no browser
        CHECK_FALSE(pair.work.restart(End::caller, with(anew, "a=sendrecv", "a=sendonly")));
        CHECK_FALSE(pair.work.restart(End::caller, with(anew, "11:22:33", "33:22:11"))); // DTLS anew, too
        CHECK_FALSE(pair.work.restart(End::caller, anew + chrome_video));
        const auto out = pair.work.restart(End::caller, anew);
        REQUIRE(out);
        CHECK(*out == answer); // our own ICE values stay (RFC 8445 §9: a lite agent's may)
        CHECK_FALSE(pair.work.restart(End::caller, anew)); // known by now
        offered(pair.work, End::callee, phone("8", ""));
        CHECK_FALSE(pair.work.restart(End::caller, with(anew, "efgh", "ijkl"))); // an offer is open
    }

    TEST_CASE("SDES: whoever offers it gets it, and it can be asked for") {
        const std::string line =
            "a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n";
        Pair pair(false, true);
        offered(pair.work, End::caller, phone("0", line, "RTP/SAVP"));
        CHECK_FALSE(pair.work.keys(End::callee, 0));
        const auto out = answered(pair.work, End::callee,
                                  chrome_head + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n" + chrome_web +
                                      "a=setup:active\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\n");
        CHECK(has(out, "m=audio 30000 RTP/SAVP 0"));
        CHECK(out.find("a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:") != std::string::npos);
        REQUIRE(pair.work.keys(End::caller, 0));
        CHECK(out.find("WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz") == std::string::npos);   // ours is another
        CHECK_FALSE(Pair(false, true).work.offer(End::caller, phone("0", "", "RTP/SAVP"))); // no key at all

        for (const auto policy : {PlainSrtp::offer, PlainSrtp::require}) {
            Pair asking;
            asking.callee.srtp = policy;
            const auto offer = offered(asking.work, End::caller, chrome_head + chrome_audio);
            CHECK(has(offer, policy == PlainSrtp::require ? "m=audio 40000 RTP/SAVP 111 9 0 8 110 101"
                                                          : "m=audio 40000 RTP/AVP 111 9 0 8 110 101"));
            CHECK(offer.find("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:") != std::string::npos);
            const auto plain = asking.work.answer(End::callee, phone("0", ""));
            CHECK(plain.has_value() == (policy == PlainSrtp::offer));
            CHECK_FALSE(asking.work.keys(End::callee, 0));
        }
        Pair agreed;
        agreed.callee.srtp = PlainSrtp::offer;
        offered(agreed.work, End::caller, chrome_head + chrome_audio);
        answered(agreed.work, End::callee, phone("0", line));
        CHECK(agreed.work.keys(End::callee, 0));
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
