#include <algorithm>

#include "tests/support/text.hpp"
#include "tests/unit/offer_answer_fixture.hpp"

using namespace offhook;
using namespace offhook::media;
using namespace offhook::test::offers;
using offhook::test::repeated;

TEST_SUITE("offer_answer") {

    TEST_CASE("the first offer says all we can do") {
        OfferAnswer machine(local("opus,g722,pcma,l16"));
        CHECK(machine.state() == State::idle);
        const Sdp sdp = parsed(machine.make_offer());
        CHECK(machine.state() == State::local_offer);
        CHECK(sdp.connection.address == "192.0.2.1");
        CHECK(sdp.session_id != "0");
        CHECK(sdp.version > 0);
        REQUIRE(sdp.media.size() == 1);
        const SdpMedia &media = sdp.media[0];
        CHECK(media.type == "audio");
        CHECK(media.port == 4000);
        CHECK(media.protocol == "RTP/AVP");
        CHECK(media.formats == std::vector<std::string>{"96", "9", "8", "98", "13", "103", "101"});
        CHECK(values(media, "rtpmap") == std::vector<std::string>{"96 opus/48000/2", "9 G722/8000",
                                                                  "8 PCMA/8000", "98 L16/16000", "13 CN/8000",
                                                                  "103 telephone-event/48000",
                                                                  "101 telephone-event/8000"});
        CHECK(values(media, "fmtp") ==
              std::vector<std::string>{"96 useinbandfec=1;stereo=0", "103 0-15", "101 0-15"});
        CHECK(values(media, "ptime") == std::vector<std::string>{"20"});
        CHECK(direction(sdp) == "sendrecv");
    }

    TEST_CASE("telephone-event is offered at the clock rate of the codecs and always at 8000") {
        struct Row {
            const char *codecs;
            std::vector<std::string> formats;
        };
        for (const Row &row : {Row{"opus", {"96", "103", "101"}}, Row{"pcmu", {"0", "13", "101"}},
                               Row{"g722", {"9", "13", "101"}}}) {
            OfferAnswer machine(local(row.codecs));
            CHECK(parsed(machine.make_offer()).media[0].formats == row.formats);
        }
        LocalMedia without = local("pcmu");
        without.telephone_event = false;
        OfferAnswer machine(without);
        CHECK(parsed(machine.make_offer()).media[0].formats == std::vector<std::string>{"0", "13"});
    }

    TEST_CASE("the public address and IPv6 go into o= and c=") {
        LocalMedia media = local();
        media.public_ip = "203.0.113.7";
        CHECK(parsed(OfferAnswer(media).make_offer()).connection.address == "203.0.113.7");
        media.public_ip = "";
        media.rtp = Address::parse("2001:db8::1", 4000).value();
        const Sdp sdp = parsed(OfferAnswer(media).make_offer());
        CHECK(sdp.connection.ipv6);
        CHECK(sdp.origin.address == "2001:db8::1");
    }

    TEST_CASE("offers are answered with our first common codec and the offerer's payload types") {
        struct Row {
            const char *capabilities;
            std::string offer;
            std::vector<std::string> formats;
            const char *codec;
            int payload_type, event_type;
            unsigned event_rate;
        };
        const std::string all = "a=rtpmap:111 OPUS/48000/2\r\na=rtpmap:110 telephone-event/48000\r\n"
                                "a=rtpmap:126 telephone-event/8000\r\n";
        for (const Row &row : {
                 Row{"opus,pcma,pcmu",
                     audio("0 8 111 110 126", all),
                     {"111", "8", "0", "110", "126"},
                     "opus",
                     111,
                     110,
                     48000},
                 Row{"pcmu,opus", audio("0 8 111 110 126", all), {"0", "111", "126"}, "pcmu", 0, 126, 8000},
                 Row{"opus", audio("111 126", all), {"111", "126"}, "opus", 111, 126, 8000},
                 Row{"g722", audio("9 0 126", all), {"9", "126"}, "g722", 9, 126, 8000},
                 Row{"pcma,pcmu", audio("0 8"), {"8", "0"}, "pcma", 8, -1, 8000},
                 Row{"pcmu", audio("18 0 3"), {"0"}, "pcmu", 0, -1, 8000},
                 Row{"pcma", audio("100", "a=rtpmap:100 pcma/8000\r\n"), {"100"}, "pcma", 100, -1, 8000},
                 Row{"pcma,pcmu", audio("8 0 8 0"), {"8", "0"}, "pcma", 8, -1, 8000},
                 Row{"l16,pcmu",
                     audio("97 98 0", "a=rtpmap:97 L16/44100\r\na=rtpmap:98 L16/16000/2\r\n"),
                     {"0"},
                     "pcmu",
                     0,
                     -1,
                     8000},
                 Row{"l16", audio("97", "a=rtpmap:97 L16/16000/1\r\n"), {"97"}, "l16", 97, -1, 8000},
                 Row{"opus", audio("96", "a=rtpmap:96 opus/48000\r\n"), {"96"}, "opus", 96, -1, 8000},
                 Row{"pcmu", audio("300 -1 x 0"), {"0"}, "pcmu", 0, -1, 8000},
             }) {
            CAPTURE(row.offer);
            OfferAnswer machine(local(row.capabilities));
            const Sdp answer = answer_to(machine, row.offer);
            REQUIRE(answer.media.size() == 1);
            CHECK(answer.media[0].formats == row.formats);
            CHECK(machine.state() == State::stable);
            const auto &agreed = machine.negotiated();
            REQUIRE(agreed);
            CHECK(agreed->codec->key == row.codec);
            CHECK(agreed->send_payload_type == row.payload_type);
            CHECK(agreed->receive_payload_type == row.payload_type);
            CHECK(agreed->send_event_payload_type.value_or(255) == static_cast<std::uint8_t>(row.event_type));
            if (row.event_type >= 0) CHECK(agreed->event_clock_rate == row.event_rate);
            CHECK(agreed->receive_events.empty() == (row.event_type < 0));
            CHECK(agreed->rtp == Address::parse("192.0.2.9", 5000).value());
            CHECK(agreed->rtcp.port() == 5001);
        }
    }

    TEST_CASE("an answer may number as it likes; what it and we named may arrive") {
        OfferAnswer machine(local("opus,pcma"));
        agree_on(machine,
                 audio("111 8 126", "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 maxaveragebitrate=16000\r\n"
                                    "a=rtpmap:126 telephone-event/8000\r\na=rtcp:7001\r\na=ptime:30\r\n"));
        const auto &agreed = *machine.negotiated();
        CHECK(agreed.codec->key == "opus");
        CHECK(agreed.send_payload_type == 111);
        CHECK(agreed.fmtp == "maxaveragebitrate=16000");
        CHECK(agreed.rtcp.port() == 7001);
        CHECK(agreed.ptime_ms == 30);
        for (const int type : {111, 8, 96})
            CHECK(std::any_of(agreed.receivable.begin(), agreed.receivable.end(),
                              [&](const auto &entry) { return entry.first == type; }));
    }

    TEST_CASE("offers that cannot be met are refused with 488 and change nothing") {
        const std::string crypto =
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n";
        for (const std::string &offer : {
                 audio("18", "a=rtpmap:18 G729/8000\r\n"),
                 audio("0 8"),
                 audio(""),
                 audio("13 101"),
                 audio("101", "a=rtpmap:101 telephone-event/8000\r\n"),
                 remote("m=audio 5000 RTP/SAVP 111\r\na=rtpmap:111 opus/48000/2\r\n" + crypto),
                 remote("m=audio 5000 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n"),
                 remote("m=audio 5000 RTP/SAVP 111\r\na=rtpmap:111 opus/48000/2\r\n" + repeated(crypto, 100)),
                 remote("m=video 5000 RTP/AVP 111\r\na=rtpmap:111 opus/48000/2\r\n"),
                 remote("m=audio 0 RTP/AVP 111\r\na=rtpmap:111 opus/48000/2\r\n"),
                 remote("m=image 5000 udptl t38\r\n"),
                 remote(""),
             }) {
            CAPTURE(offer);
            OfferAnswer machine(local("opus"));
            const auto applied = machine.apply_offer(offer);
            REQUIRE_FALSE(applied);
            CHECK(applied.error().code == Errc::media);
            CHECK(applied.error().sip == 488);
            CHECK(machine.state() == State::idle);
            CHECK_FALSE(machine.negotiated());
            CHECK_FALSE(machine.make_answer());
        }
    }

    TEST_CASE("what is no session description is refused with 400") {
        const std::string line = "m=audio 5000 RTP/AVP 0\r\n";
        for (const std::string &offer :
             {std::string(), std::string("garbage"), std::string(100, '\xff'), remote(repeated(line, 1000)),
              remote("m=audio x RTP/AVP 0\r\n"), remote(line + repeated("a=crypto:1 x\r\n", 1000))}) {
            OfferAnswer machine(local());
            const auto applied = machine.apply_offer(offer);
            REQUIRE_FALSE(applied);
            CHECK(applied.error().code == Errc::parse);
            CHECK(applied.error().sip == 400);
            CHECK(machine.state() == State::idle);
            REQUIRE(machine.make_offer());
            const auto answered = machine.apply_answer(offer);
            REQUIRE_FALSE(answered);
            CHECK(answered.error().code == Errc::parse);
        }
    }

    TEST_CASE("ptime is a wish within reason") {
        for (const auto &[ptime, agreed] :
             std::initializer_list<std::pair<const char *, unsigned>>{{"10", 10},
                                                                      {"20", 20},
                                                                      {"60", 60},
                                                                      {"0", 20},
                                                                      {"2147483648", 20},
                                                                      {"99999999999", 20},
                                                                      {"-20", 20},
                                                                      {"70", 20},
                                                                      {"25", 20},
                                                                      {"x", 20},
                                                                      {"", 20}}) {
            CAPTURE(ptime);
            OfferAnswer machine(local());
            answer_to(machine, audio("0", "a=ptime:" + std::string(ptime) + "\r\n"));
            CHECK(machine.negotiated()->ptime_ms == agreed);
        }
    }

    TEST_CASE("other media are mirrored, refused with port 0") {
        OfferAnswer machine(local("pcmu"));
        const Sdp answer =
            answer_to(machine, remote("m=video 6000 RTP/AVP 31 32\r\na=rtpmap:31 H261/90000\r\n"
                                      "m=audio 5002 RTP/SAVP 0\r\nm=audio 5000 RTP/AVPF 0\r\n"
                                      "m=audio 5004 RTP/AVP 0\r\nm=message 7000 TCP/MSRP *\r\n"));
        REQUIRE(answer.media.size() == 5);
        CHECK(answer.media[2].port == 4000);
        CHECK(answer.media[2].protocol == "RTP/AVPF");
        for (const std::size_t refused : {0U, 1U, 3U, 4U})
            CHECK(answer.media[refused].port == 0);
        CHECK(answer.media[0].type == "video");
        CHECK(answer.media[0].formats == std::vector<std::string>{"31", "32"});
        CHECK(answer.media[4].protocol == "TCP/MSRP");
        SUBCASE("and stay in our next offer (RFC 3264 §8)") {
            const Sdp offer = parsed(machine.make_offer());
            REQUIRE(offer.media.size() == 5);
            CHECK(offer.media[2].port == 4000);
            CHECK(offer.media[0].port == 0);
        }
    }

    TEST_CASE("the peer's hold is understood in every form, and answered") {
        struct Row {
            const char *attribute, *connection;
            bool we_hold, remote_hold;
            const char *answer;
            Direction ours;
        };
        const char *usual = "IN IP4 192.0.2.9", *nowhere = "IN IP4 0.0.0.0";
        for (const Row &row : {
                 Row{"", usual, false, false, "sendrecv", Direction::sendrecv},
                 Row{"a=sendrecv\r\n", usual, false, false, "sendrecv", Direction::sendrecv},
                 Row{"a=sendonly\r\n", usual, false, true, "recvonly", Direction::recvonly},
                 Row{"a=recvonly\r\n", usual, false, false, "sendonly", Direction::sendonly},
                 Row{"a=inactive\r\n", usual, false, true, "inactive", Direction::inactive},
                 Row{"", nowhere, false, true, "recvonly", Direction::recvonly},
                 Row{"a=sendonly\r\n", nowhere, false, true, "recvonly", Direction::recvonly},
                 Row{"a=inactive\r\n", nowhere, false, true, "inactive", Direction::inactive},
                 Row{"", usual, true, false, "sendonly", Direction::sendonly},
                 Row{"a=sendonly\r\n", usual, true, true, "inactive", Direction::inactive},
                 Row{"a=recvonly\r\n", usual, true, false, "sendonly", Direction::sendonly},
                 Row{"a=inactive\r\n", usual, true, true, "inactive", Direction::inactive},
             }) {
            CAPTURE(row.attribute);
            CAPTURE(row.connection);
            CAPTURE(row.we_hold);
            const std::string media = "m=audio 5000 RTP/AVP 0\r\n" + std::string(row.attribute);
            OfferAnswer callee(local("pcmu"));
            callee.set_hold(row.we_hold);
            CHECK(direction(answer_to(callee, remote(media, row.connection))) == row.answer);
            CHECK(callee.negotiated()->remote_hold == row.remote_hold);
            CHECK(callee.negotiated()->local_direction == row.ours);
            CHECK(callee.held_locally() == row.we_hold);

            OfferAnswer by_session(local("pcmu")); // the same with the attribute of the session
            by_session.set_hold(row.we_hold);
            const std::string early = std::string(row.attribute) + "m=audio 5000 RTP/AVP 0\r\n";
            CHECK(direction(answer_to(by_session, remote(early, row.connection))) == row.answer);
        }
    }

} // TEST_SUITE
