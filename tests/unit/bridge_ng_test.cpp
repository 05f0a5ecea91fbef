#include <doctest/doctest.h>

#include "bridge/bencode.hpp"
#include "bridge/ng.hpp"

using namespace offhook::bridge;

TEST_SUITE("bridge ng") {
    TEST_CASE("bencoding there and back") {
        const Bencode value(Bencode::Dict{
            {"sdp", "v=0\r\n"}, {"list", Bencode::List{"a", Bencode(std::int64_t{-7})}}, {"e", ""}});
        CHECK(value.encode() == "d1:e0:4:listl1:ai-7ee3:sdp5:v=0\r\ne");
        const auto back = Bencode::parse(value.encode());
        REQUIRE(back);
        CHECK(back->encode() == value.encode());
        CHECK(back->text("sdp") == "v=0\r\n");
        CHECK(back->text("list").empty());
        CHECK(back->text("absent").empty());
    }

    TEST_CASE("nonsense is no value") {
        for (const char *bad : {"", "i", "ie", "i7", "5:abc", "-1:", "99999999999999999999:", "l", "d",
                                "d1:ae", "di1e1:ae", "x", "1:ab", "i1ei2e"})
            CHECK_FALSE_MESSAGE(Bencode::parse(bad), bad);
        CHECK_FALSE(Bencode::parse(std::string(100, 'l') + std::string(100, 'e')));
    }

    TEST_CASE("browsers are asked for as browsers, phones as phones") {
        const auto page = ng_offer(false, true), phone = ng_offer(true, false);
        CHECK(Bencode(page).text("transport-protocol") == "UDP/TLS/RTP/SAVPF");
        CHECK(Bencode(page).text("DTLS") == "passive");
        CHECK(Bencode(phone).text("transport-protocol") == "RTP/AVP");
        CHECK(Bencode(phone).text("ICE") == "remove");
        CHECK(Bencode(ng_answer(false, true)).text("ICE") == "force");
        CHECK(Bencode(ng_answer(true, false)).text("ICE") == "remove");
    }

    TEST_CASE("the packets of one tag, over all its media") {
        const auto answer = Bencode::parse(
            "d4:tagsd6:calleed6:mediasld7:streamsld5:statsd7:packetsi9eeeeeee6:callerd6:mediasld7:streams"
            "ld5:statsd7:packetsi5eeed5:statsd7:packetsi2eeeeed7:streamsld5:statsd7:packetsi1eeeeeeeee");
        REQUIRE(answer);
        CHECK(ng_packets(*answer, "caller") == 8);
        CHECK(ng_packets(*answer, "nobody") == 0);
        CHECK(ng_packets(*Bencode::parse("d4:tagsd6:callerd6:mediasli1eeeee"), "caller") == 0);
    }
}
