#include <string>

#include <doctest/doctest.h>

#include "media/sdp_bandwidth.hpp"

using offhook::media::SdpBandwidths;

TEST_SUITE("sdp bandwidth") {
    TEST_CASE("lines of the session and of each m=, taken and put where they belong") {
        const auto read =
            SdpBandwidths::read("v=0\r\nc=IN IP4 192.0.2.1\r\nb=AS:512\nt=0 0\r\nm=audio 1 RTP/AVP 0\r\n"
                                "a=x\r\nm=video 2 RTP/AVP 96\r\nb=TIAS:256000\r\nb=AS:300\r\na=y\r\n");
        CHECK(read.session == std::vector<std::string>{"AS:512"});
        REQUIRE(read.media.size() == 2);
        CHECK(read.media[0].empty());
        CHECK(read.media[1] == std::vector<std::string>{"TIAS:256000", "AS:300"});
        CHECK(
            read.put_into(
                "v=0\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 3 RTP/AVP 0\r\na=x\r\nm=video 4 RTP/AVP 96\r\n"
                "c=IN IP4 192.0.2.8\r\n") == "v=0\r\nc=IN IP4 192.0.2.9\r\nb=AS:512\r\nt=0 0\r\nm=audio 3 "
                                             "RTP/AVP 0\r\na=x\r\nm=video 4 RTP/AVP 96\r\n"
                                             "c=IN IP4 192.0.2.8\r\nb=TIAS:256000\r\nb=AS:300\r\n");
        CHECK(read.put_into("v=0\r\nt=0 0\r\nm=audio 3 RTP/AVP 0\r\n") ==
              "v=0\r\nb=AS:512\r\nt=0 0\r\nm=audio 3 RTP/AVP 0\r\n");
        CHECK(SdpBandwidths{}.put_into("v=0\r\nt=0 0\r\n") == "v=0\r\nt=0 0\r\n");
    }

    TEST_CASE("what is no bandwidth, is for RTCP, or is too much stays behind") {
        std::string many = "v=0\r\n";
        for (int i = 0; i < 100; ++i)
            many += "b=AS:" + std::to_string(i) + "\r\n";
        CHECK(SdpBandwidths::read(many).session.size() == 8);
        for (const char *line : {"b=RS:800", "b=RR:0", "b=", "b=AS", "b=:5", "b=AS:", "b=AS:5x", "b=A S:5",
                                 "b=AS:-1", "b=AS:00000000000000000000000000000000000000000001"})
            CHECK_MESSAGE(SdpBandwidths::read(line).session.empty(), line);
    }
}
