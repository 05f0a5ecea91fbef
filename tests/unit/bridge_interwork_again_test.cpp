// The SDP tables once a call is up: hold, re-INVITE, offers that are refused, ICE anew.
#include <string>

#include <doctest/doctest.h>

#include "tests/unit/interwork_fixture.hpp"

using namespace offhook;
using namespace offhook::bridge;
using namespace offhook::test::interwork;

TEST_SUITE("bridge interwork again") {
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
}
