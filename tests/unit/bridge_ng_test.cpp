#include <doctest/doctest.h>

#include "bridge/bencode.hpp"
#include "bridge/ng.hpp"
#include "bridge/ng_descriptions.hpp"

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
        const auto flags = [](PlainSrtp srtp, bool offer, End to) {
            NgSide caller(true, {}, srtp);
            const NgDescriptions calls(caller, false, {}, {{"pcmu"}, srtp});
            return Bencode(offer ? calls.offer_flags(to) : calls.answer_flags(to));
        };
        const auto page = flags(PlainSrtp::off, true, End::caller),
                   phone = flags(PlainSrtp::off, true, End::callee);
        CHECK(page.text("transport-protocol") == "UDP/TLS/RTP/SAVPF");
        CHECK(page.text("DTLS") == "passive");
        CHECK(phone.text("transport-protocol") == "RTP/AVP");
        CHECK(phone.text("ICE") == "remove");
        CHECK(phone.find("SDES")->encode() == "l3:offe");
        CHECK(phone.text("ICE-lite") == "backward");
        CHECK(page.text("ICE-lite") == "forward");
        CHECK(flags(PlainSrtp::off, false, End::caller).text("ICE") == "force");
        CHECK(flags(PlainSrtp::off, false, End::callee).text("ICE") == "remove");
        // An answer has the protocol of the offer.
        CHECK(flags(PlainSrtp::off, false, End::callee).text("transport-protocol").empty());
    }

    TEST_CASE("SDES towards phones is rtpengine's") {
        const auto flags = [](PlainSrtp srtp) {
            NgSide caller(true, {}, srtp);
            return Bencode(NgDescriptions(caller, false, {}, {{"pcmu"}, srtp}).offer_flags(End::callee));
        };
        CHECK(flags(PlainSrtp::require).text("transport-protocol") == "RTP/SAVP");
        CHECK(flags(PlainSrtp::require).find("SDES") == nullptr);
        CHECK(flags(PlainSrtp::offer).text("transport-protocol") == "RTP/AVP");
        CHECK(flags(PlainSrtp::offer).find("flags")->encode() == "l17:no-rtcp-attribute11:OSRTP-offere");
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
