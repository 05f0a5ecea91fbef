#include <random>

#include <doctest/doctest.h>

#include "media/sdp.hpp"
#include "tests/support/text.hpp"

using namespace offhook;
using namespace offhook::media;
using offhook::test::repeated;

namespace {

const std::string usual = "v=0\r\no=alice 2890844526 2890844527 IN IP4 192.0.2.1\r\ns=call\r\n"
                          "c=IN IP4 192.0.2.1\r\nt=0 0\r\na=sendrecv\r\n"
                          "m=audio 49170 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n"
                          "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
                          "m=video 49172/2 RTP/SAVP 31\r\nc=IN IP6 2001:db8::1\r\na=inactive\r\n";

} // namespace

TEST_SUITE("sdp") {

    TEST_CASE("a session description is read field by field") {
        const auto sdp = Sdp::parse(usual);
        REQUIRE(sdp);
        CHECK(sdp->user == "alice");
        CHECK(sdp->session_id == "2890844526");
        CHECK(sdp->version == 2890844527U);
        CHECK(sdp->session_name == "call");
        CHECK(sdp->connection.address == "192.0.2.1");
        REQUIRE(sdp->attributes.size() == 1);
        CHECK(sdp->attributes[0].name == "sendrecv");
        REQUIRE(sdp->media.size() == 2);
        const SdpMedia &audio = sdp->media[0], &video = sdp->media[1];
        CHECK(audio.type == "audio");
        CHECK(audio.port == 49170);
        CHECK(audio.formats == std::vector<std::string>{"0", "101"});
        CHECK(audio.connection.address == "192.0.2.1"); // the session's
        REQUIRE(audio.attribute("rtpmap"));
        CHECK(*audio.attribute("rtpmap") == "0 PCMU/8000");
        CHECK(audio.attribute("ptime") == nullptr);
        CHECK(video.port_count == 2);
        CHECK(video.protocol == "RTP/SAVP");
        CHECK(video.connection.address == "2001:db8::1");
        CHECK(video.connection.ipv6);
    }

    TEST_CASE("what is encoded is read back the same") {
        const auto sdp = Sdp::parse(usual);
        REQUIRE(sdp);
        const std::string text = sdp->encode();
        const auto again = Sdp::parse(text);
        REQUIRE(again);
        CHECK(again->encode() == text);
        CHECK(text == usual);
    }

    TEST_CASE("what phones get wrong is read all the same") {
        for (const std::string &text : {
                 std::string("v=0\nm=audio 4000 RTP/AVP 0\n"),            // bare LF
                 std::string("v=0\r\nm=audio 4000 RTP/AVP 0"),            // no line end
                 std::string("v=0\r\n\r\nm=audio  4000 RTP/AVP  0 \r\n"), // empty line, doubled spaces
                 std::string("m=audio 4000 RTP/AVP 0\r\n"),               // no v=
                 std::string("v=0\r\no=\r\ns=\r\nm=audio 4000 RTP/AVP 0\r\n"),
                 std::string("v=0\r\no=a b c d\r\nm=audio 4000 RTP/AVP 0\r\n"),
                 std::string("v=0\r\nwhat is this\r\nz\r\nx=y\r\nm=audio 4000 RTP/AVP 0\r\n"),
                 std::string("v=0\r\nc=IN IP4 192.0.2.1/127\r\nm=audio 4000 RTP/AVP 0\r\n"),
             }) {
            CAPTURE(text);
            const auto sdp = Sdp::parse(text);
            REQUIRE(sdp);
            REQUIRE(sdp->media.size() == 1);
            CHECK(sdp->media[0].port == 4000);
            CHECK(sdp->media[0].formats == std::vector<std::string>{"0"});
        }
        const auto ttl = Sdp::parse("v=0\r\nc=IN IP4 224.2.1.1/127/3\r\n");
        REQUIRE(ttl);
        CHECK(ttl->connection.address == "224.2.1.1");
    }

    TEST_CASE("what cannot be a session description is refused with 400") {
        for (const std::string &text : {
                 std::string(),
                 std::string("hello"),
                 std::string("\r\n\r\n"),
                 std::string(1000, '\0'),
                 std::string("v=0\r\nm=audio 5000 \0 0\r\n", 23),
                 std::string("v=1\r\nm=audio 4000 RTP/AVP 0\r\n"),
                 std::string("v=0\r\nm=audio\r\n"),
                 std::string("v=0\r\nm=audio x RTP/AVP 0\r\n"),
                 std::string("v=0\r\nm=audio 65536 RTP/AVP 0\r\n"),
                 std::string("v=0\r\nm=audio -1 RTP/AVP 0\r\n"),
                 std::string("v=0\r\nm=audio 4000/0 RTP/AVP 0\r\n"),
                 std::string("v=0\r\nm=audio 4000/x RTP/AVP 0\r\n"),
                 std::string("v=0\r\nm=audio 4000\r\n"),
                 std::string("v=0\r\nc=IN IP4\r\n"),
                 std::string("v=0\r\nc=IN IP9 1\r\n"),
                 std::string("v=0\r\nc=\r\n"),
             }) {
            CAPTURE(text);
            const auto sdp = Sdp::parse(text);
            REQUIRE_FALSE(sdp);
            CHECK(sdp.error().code == Errc::parse);
            CHECK(sdp.error().sip == 400);
        }
    }

    TEST_CASE("there are limits on everything") {
        const std::string head = "v=0\r\n", audio = "m=audio 4000 RTP/AVP 0\r\n";
        CHECK(Sdp::parse(head + repeated(audio, 64)));
        CHECK_FALSE(Sdp::parse(head + repeated(audio, 65)));
        CHECK_FALSE(Sdp::parse(head + repeated(audio, 1000)));
        CHECK(Sdp::parse(head + repeated("a=x\r\n", 256) + audio + repeated("a=x\r\n", 256)));
        CHECK_FALSE(Sdp::parse(head + repeated("a=x\r\n", 257)));
        CHECK_FALSE(Sdp::parse(head + audio + repeated("a=x\r\n", 257)));
        CHECK(Sdp::parse(head + "m=audio 4000 RTP/AVP" + repeated(" 0", 128)));
        CHECK_FALSE(Sdp::parse(head + "m=audio 4000 RTP/AVP" + repeated(" 0", 129)));
        CHECK(Sdp::parse(head + "s=" + std::string(65536 - 7, 'x')));
        CHECK_FALSE(Sdp::parse(head + "s=" + std::string(65536 - 6, 'x')));
    }

    TEST_CASE("an encoded value cannot start a line of its own") {
        Sdp sdp;
        sdp.session_name = "x\r\na=evil";
        sdp.connection.address = "192.0.2.1";
        sdp.attributes.push_back({"note", "1\nm=audio 1 RTP/AVP 0"});
        sdp.media.emplace_back();
        const auto again = Sdp::parse(sdp.encode());
        REQUIRE(again);
        CHECK(again->media.size() == 1);
        CHECK(again->attributes.size() == 1);
    }

    TEST_CASE("cut and damaged descriptions never break the reader") {
        for (std::size_t length = 0; length < usual.size(); ++length)
            if (const auto sdp = Sdp::parse(std::string_view(usual).substr(0, length)))
                CHECK(Sdp::parse(sdp->encode()));
        std::mt19937 random(8866);
        for (int round = 0; round < 3000; ++round) {
            std::string text = usual;
            for (unsigned changes = 1 + random() % 8; changes > 0; --changes)
                text[random() % text.size()] = static_cast<char>(random());
            if (const auto sdp = Sdp::parse(text)) {
                const auto again = Sdp::parse(sdp->encode());
                CHECK_MESSAGE(again, text);
            }
        }
    }

    TEST_CASE("directions as the other side sees them") {
        CHECK(reversed(Direction::sendonly) == Direction::recvonly);
        CHECK(reversed(Direction::recvonly) == Direction::sendonly);
        CHECK(reversed(Direction::sendrecv) == Direction::sendrecv);
        CHECK(reversed(Direction::inactive) == Direction::inactive);
        CHECK(name(Direction::inactive) == "inactive");
    }

} // TEST_SUITE
