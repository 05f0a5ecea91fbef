// What the bridge does to the media itself: codecs that are made to meet, keys.
#include <string>

#include <doctest/doctest.h>

#include "tests/unit/interwork_fixture.hpp"

using namespace offhook;
using namespace offhook::bridge;
using namespace offhook::test::interwork;

TEST_SUITE("bridge interwork media") {
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

    TEST_CASE("formats that are nobody's are not remembered, however often they are offered") {
        Pair pair(false, true);
        for (int round = 0; round < 3; ++round) {
            std::string numbers = "0", lines;
            for (int number = 35; number < 127; ++number) {
                const std::string text = std::to_string(number);
                numbers += " " + text;
                lines += "a=rtpmap:" + text +
                         (number % 2 == 0 ? " PCMA/" + std::to_string(8001 + 100 * round + number)
                                          : " H264/90000") +
                         "\r\na=fmtp:" + text + " packetization-mode=" + std::to_string(10 + round) + text +
                         "\r\n";
            }
            offered(pair.work, End::caller, phone(numbers, lines));
            const auto &line = pair.work.lines()[0];
            CHECK(line.at(End::caller).used.size() == 1);
            CHECK(line.at(End::callee).used.size() == 1);
        }
    }
}
