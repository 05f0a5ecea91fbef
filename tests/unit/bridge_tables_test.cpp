// The rows of the SDP tables, one by one: what of a description crosses the bridge, and what does not.
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/unit/interwork_fixture.hpp"

using namespace offhook;
using namespace offhook::bridge;
using namespace offhook::test::interwork;

namespace {

struct Row {
    const char *what;
    std::string in; // the description that crosses
    std::vector<const char *> lines, without;
};

void check(const Row &row, const std::string &out) {
    CAPTURE(row.what);
    for (const char *line : row.lines)
        CHECK_MESSAGE(has(out, line), line << " in\n" << out);
    for (const char *part : row.without)
        CHECK_MESSAGE(out.find(part) == std::string::npos, part << " in\n" << out);
}

std::string replaced(std::string text, const std::string &from, const std::string &to) {
    const auto at = text.rfind(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
}

const std::string page = chrome_head + chrome_audio + chrome_video;
const std::string data =
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:2\r\n";
const std::string page_answer =
    chrome_head + "m=audio 9 UDP/TLS/RTP/SAVPF 8 0 101\r\n" + chrome_web +
    "a=setup:active\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\na=rtcp-rsize\r\n"
    "a=rtcp-xr:rcvr-rtt=all\r\na=msid:s t\r\na=rtpmap:8 PCMA/8000\r\n"
    "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=ssrc:1 cname:x\r\n";
const std::string desk =
    phone("8 0 101", "b=AS:80\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n");
const std::string video = "m=video 4002 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\na=fmtp:99 "
                          "packetization-mode=1;profile-level-id=42801f\r\n";

} // namespace

TEST_SUITE("bridge tables") {
    TEST_CASE("T1: a browser's offer for a phone") {
        const Row rows[] = {
            {"o=, s=, c=, t=",
             page,
             {"o=- 77 1 IN IP4 192.0.2.2", "s=-", "c=IN IP4 192.0.2.2", "t=0 0"},
             {"127.0.0.1"}},
            {"b=",
             replaced(page, "a=setup:actpass", "b=AS:300\r\nb=RS:0\r\na=setup:actpass"),
             {"b=AS:300"},
             {"b=RS"}},
            {"session lines",
             page + "a=identity:x\r\na=tls-id:abc\r\n",
             {},
             {"group", "msid-semantic", "extmap-allow-mixed", "a=ice-", "fingerprint", "setup", "identity",
              "tls-id"}},
            {"m=",
             page,
             {"m=audio 40000 RTP/AVP 111 9 0 8 110 101", "m=video 40002 RTP/AVP 96 103"},
             {"SAVPF"}},
            {"bundle-only",
             replaced(replaced(page, "m=video 9", "m=video 0"), "a=mid:1", "a=mid:1\r\na=bundle-only"),
             {"m=video 40002 RTP/AVP 96 103"},
             {"bundle-only"}},
            {"refused by the browser", replaced(page, "m=video 9", "m=video 0"), {"m=video 0 RTP/AVP 0"}, {}},
            {"m=application", page + data, {"m=application 0 RTP/AVP webrtc-datachannel"}, {}},
            {"codecs",
             page,
             {"a=rtpmap:96 VP8/90000", "a=rtpmap:103 H264/90000"},
             {"red/", "rtx/", "AV1", "CN/8000", "apt="}},
            {"telephone-event", page, {"a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16"}, {":126 "}},
            {"lines of a medium",
             page + "a=rid:h send\r\na=simulcast:send "
                    "h\r\na=rtcp-rsize\r\na=rtcp-xr:rcvr-rtt=all\r\na=X-mine:1\r\n",
             {},
             {"candidate", "mid:", "msid", "ssrc", "extmap", "rtcp", "rid:", "simulcast", "X-mine"}},
            {"ptime, direction", page, {"a=ptime:20", "a=sendrecv"}, {}},
            {"direction", replaced(page, "a=sendrecv", "a=recvonly"), {"a=recvonly"}, {}},
        };
        for (const auto &row : rows) {
            Pair pair;
            check(row, offered(pair.work, End::caller, row.in));
        }
    }

    TEST_CASE("T1: profiles by what phones are to be offered") {
        struct Wish {
            PlainSrtp srtp;
            bool avpf;
            const char *audio, *video;
        };
        for (const auto &wish : {Wish{PlainSrtp::off, true, "RTP/AVP", "RTP/AVPF"},
                                 Wish{PlainSrtp::require, false, "RTP/SAVP", "RTP/SAVP"},
                                 Wish{PlainSrtp::require, true, "RTP/SAVP", "RTP/SAVPF"},
                                 Wish{PlainSrtp::offer, true, "RTP/AVP", "RTP/AVPF"}}) {
            Pair pair;
            pair.callee.srtp = wish.srtp;
            pair.callee.avpf = wish.avpf;
            const auto out = offered(pair.work, End::caller, page);
            CHECK(has(out, "m=audio 40000 " + std::string(wish.audio) + " 111 9 0 8 110 101"));
            CHECK(has(out, "m=video 40002 " + std::string(wish.video) + " 96 103"));
            CHECK(has(out, "a=rtcp-fb:103 nack pli") == wish.avpf);
            CHECK(has(out, "a=rtcp-fb:103 ccm fir") == wish.avpf);
            CHECK((out.find("a=crypto:1 AES_CM_128_HMAC_SHA1_80") != std::string::npos) ==
                  (wish.srtp != PlainSrtp::off));
        }
        // Once a phone has said what it speaks, that stays.
        Pair pair;
        pair.callee.avpf = true;
        offered(pair.work, End::caller, page);
        answered(pair.work, End::callee, desk + video);
        CHECK_FALSE(pair.work.lines()[1].at(End::callee).feedback);
        CHECK(has(offered(pair.work, End::caller, page), "m=video 40002 RTP/AVP 96 103"));
        answered(pair.work, End::callee,
                 desk + "m=video 4002 RTP/AVPF 103\r\na=rtpmap:103 H264/90000\r\na=rtcp-fb:* nack pli\r\n");
        CHECK(pair.work.lines()[1].at(End::callee).feedback);
    }

    TEST_CASE("T2: a phone's answer for a browser") {
        const std::string answer = phone("0 101", "a=rtpmap:101 telephone-event/8000\r\n");
        const Row rows[] = {
            {"skeleton",
             answer,
             {"m=audio 30000 UDP/TLS/RTP/SAVPF 0 126", "m=video 0 UDP/TLS/RTP/SAVPF 0", "a=mid:1"},
             {}},
            {"session", answer, {"o=- 77 1 IN IP4 192.0.2.1", "a=ice-lite", "a=group:BUNDLE 0"}, {}},
            {"of each line",
             answer,
             {"a=mid:0", "a=ice-ufrag:uuuu", "a=ice-pwd:pppppppppppppppppppppppp",
              "a=fingerprint:sha-256 00:11", "a=setup:passive", "a=rtcp-mux",
              "a=candidate:1 1 udp 2130706431 192.0.2.1 30000 typ host", "a=end-of-candidates",
              "a=msid:offhook offhook0", "a=ssrc:1111 cname:offhook"},
             {"extmap"}},
            {"video",
             answer + video,
             {"m=video 30000 UDP/TLS/RTP/SAVPF 103", "a=group:BUNDLE 0 1", "a=rtcp-fb:103 nack pli",
              "a=rtcp-fb:103 ccm fir"},
             {}},
            {"hold of RFC 2543", phone("0", "", "RTP/AVP", "0.0.0.0"), {"a=sendonly"}, {}},
            {"removed",
             answer + "a=crypto:1 AES_CM_128_HMAC_SHA1_80 "
                      "inline:x\r\na=rtcp:4009\r\na=ptime:90\r\na=silenceSupp:off\r\n",
             {},
             {"crypto", "a=rtcp:", "ptime", "silenceSupp"}},
            {"a=X-",
             "v=0\r\na=X-nat:0\r\n" + answer.substr(5) + "a=x-door:front 2\r\na=X-flag\r\n",
             {"a=X-nat:0", "a=x-door:front 2", "a=X-flag"},
             {}},
            {"b=", phone("0", "b=AS:80\r\na=ptime:40\r\n"), {"b=AS:80", "a=ptime:40"}, {}},
        };
        for (const auto &row : rows) {
            Pair pair;
            offered(pair.work, End::caller, page);
            check(row, answered(pair.work, End::callee, row.in));
        }
    }

    TEST_CASE("T3: a phone's offer for a browser") {
        const Row rows[] = {
            {"initial",
             desk + video,
             {"m=audio 40000 UDP/TLS/RTP/SAVPF 8 0 101", "m=video 40000 UDP/TLS/RTP/SAVPF 99", "a=mid:0",
              "a=mid:1", "a=group:BUNDLE 0 1", "a=setup:actpass", "a=rtcp-mux", "a=ice-lite", "b=AS:80"},
             {"RTP/AVP "}},
            {"H264", desk + video, {"a=fmtp:99 packetization-mode=1;profile-level-id=42e01f"}, {"42801f"}},
            {"H264 without fmtp",
             desk + "m=video 4002 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n",
             {"a=fmtp:99 packetization-mode=0;profile-level-id=42e01f"},
             {}},
            {"long parameter sets",
             replaced(desk + video, "42801f", "42801f;sprop-parameter-sets=" + std::string(300, 'A')),
             {"a=fmtp:99 packetization-mode=1;profile-level-id=42e01f"},
             {"sprop"}},
            {"unknown codecs",
             replaced(desk, "8 0 101", "18 8 0 101"),
             {"m=audio 40000 UDP/TLS/RTP/SAVPF 8 0 101"},
             {"G729"}},
            {"numbers are unique",
             replaced(desk + video, "RTP/AVP 99", "RTP/AVP 101") + "a=rtpmap:101 H264/90000\r\n",
             {"m=audio 40000 UDP/TLS/RTP/SAVPF 8 0 101", "a=rtpmap:96 H264/90000"},
             {}},
        };
        for (const auto &row : rows) {
            Pair pair(false, true);
            check(row, offered(pair.work, End::caller, row.in));
        }
    }

    TEST_CASE("T3: an offer again keeps what the browser has") {
        Pair pair(false, true);
        offered(pair.work, End::caller, desk + video);
        answered(pair.work, End::callee, page_answer + "m=video 0 UDP/TLS/RTP/SAVPF 99\r\na=mid:1\r\n");
        const auto out =
            offered(pair.work, End::caller, phone("9 8 97", "a=rtpmap:97 telephone-event/8000\r\n"));
        check({"again",
               "",
               {"a=mid:0", "a=mid:1", "a=setup:passive", "a=ice-ufrag:uuuu", "a=fingerprint:sha-256 00:11",
                "m=audio 40000 UDP/TLS/RTP/SAVPF 9 8 101", "m=video 0 UDP/TLS/RTP/SAVPF 0"},
               {"actpass"}},
              out);
    }

    TEST_CASE("T4: a browser's answer for a phone") {
        const std::string crypto =
            "a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n";
        const Row rows[] = {
            {"as T1",
             desk,
             {"m=audio 30000 RTP/AVP 8 0 101", "a=fmtp:101 0-16", "a=sendrecv"},
             {"candidate", "mid:", "msid", "ssrc", "rtcp", "a=ice-", "fingerprint", "setup", "group", "X-"}},
            {"numbers of its own",
             phone("8 0 97", "a=rtpmap:97 telephone-event/8000\r\n"),
             {"m=audio 30000 RTP/AVP 8 0 97"},
             {":101 "}},
            {"a=crypto",
             replaced(desk, "RTP/AVP", "RTP/SAVP") + crypto,
             {"m=audio 30000 RTP/SAVP 8 0 101"},
             {"WVNfX19z"}},
            {"rtcp-mux", desk + "a=rtcp-mux\r\n", {"a=rtcp-mux"}, {}},
            {"refused lines", desk + video, {"m=video 0 RTP/AVP 0"}, {}},
        };
        for (const auto &row : rows) {
            Pair pair(false, true);
            offered(pair.work, End::caller, row.in);
            std::string answer = page_answer;
            if (row.in.find("rtpmap:97") != std::string::npos)
                for (auto at = answer.find("101"); at != std::string::npos; at = answer.find("101", at))
                    answer.replace(at, 3, "97");
            check(row, answered(pair.work, End::callee, answer));
        }
    }
}
