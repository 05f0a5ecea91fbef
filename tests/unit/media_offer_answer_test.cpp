#include <algorithm>

#include <doctest/doctest.h>

#include "media/offer_answer.hpp"

using namespace offhook;
using namespace offhook::media;

namespace {

LocalMedia local(std::string_view codecs, const std::string &ip = "192.0.2.10", std::uint16_t port = 20000) {
    LocalMedia media;
    media.rtp = Address::parse(ip, port).value();
    media.codecs = parse_codec_list(codecs).value();
    return media;
}

std::string body(const std::string &media, const std::string &session = "c=IN IP4 192.0.2.20\r\n") {
    return "v=0\r\no=- 1 1 IN IP4 192.0.2.20\r\ns=-\r\n" + session + "t=0 0\r\n" + media;
}

const SdpMedia &audio(const Sdp &sdp) {
    return *std::ranges::find_if(sdp.media,
                                 [](const SdpMedia &m) { return m.type == "audio" && m.port != 0; });
}

std::string formats(const std::string &sdp) {
    const Sdp parsed = Sdp::parse(sdp).value();
    std::string text;
    for (const auto &format : audio(parsed).formats)
        text += (text.empty() ? "" : " ") + format;
    return text;
}

bool has(const std::string &sdp, const std::string &line) {
    return sdp.find("\r\n" + line + "\r\n") != std::string::npos;
}

std::string line_of(const std::string &sdp, const std::string &prefix) {
    const std::size_t at = sdp.find("\r\n" + prefix);
    return at == std::string::npos ? "" : sdp.substr(at + 2, sdp.find("\r\n", at + 2) - at - 2);
}

// Two machines back to back.
struct Pair {
    explicit Pair(std::string_view a = "pcmu", std::string_view b = "pcmu")
        : alice(local(a)), bob(local(b, "192.0.2.20", 30000)) {}
    OfferAnswer alice, bob;

    void exchange(OfferAnswer &from, OfferAnswer &to) {
        offer = from.make_offer().value();
        REQUIRE(to.apply_offer(offer));
        answer = to.make_answer().value();
        REQUIRE(from.apply_answer(answer));
    }
    std::string offer, answer;
};

} // namespace

TEST_SUITE("offer/answer") {

    TEST_CASE("an initial offer says all that we can do") {
        OfferAnswer machine(local("opus,pcma,pcmu"));
        const std::string offer = machine.make_offer().value();
        CHECK(has(offer, "c=IN IP4 192.0.2.10"));
        CHECK(has(offer, "m=audio 20000 RTP/AVP 96 8 0 103 101"));
        CHECK(has(offer, "a=rtpmap:96 opus/48000/2"));
        CHECK(line_of(offer, "a=fmtp:96 ").find("useinbandfec=1") != std::string::npos);
        CHECK(has(offer, "a=rtpmap:8 PCMA/8000"));
        CHECK(has(offer, "a=rtpmap:103 telephone-event/48000"));
        CHECK(has(offer, "a=rtpmap:101 telephone-event/8000"));
        CHECK(has(offer, "a=fmtp:101 0-15"));
        CHECK(has(offer, "a=ptime:20"));
        CHECK(has(offer, "a=sendrecv"));
        CHECK_FALSE(machine.make_offer()); // one at a time
        CHECK_FALSE(machine.apply_offer(offer));
    }

    TEST_CASE("offers against what we can do") {
        struct Row {
            const char *name, *codecs, *media;
            const char *codec; // "" = 488
            int type;
            int event; // -1: none
            unsigned event_rate;
            const char *answered; // formats
        };
        const Row rows[] = {
            {"static types need no rtpmap", "pcmu,pcma", "m=audio 4000 RTP/AVP 8\r\n", "pcma", 8, -1, 8000,
             "8"},
            {"our preference decides", "pcmu,pcma", "m=audio 4000 RTP/AVP 8 0\r\n", "pcmu", 0, -1, 8000,
             "0 8"},
            {"the offerer's numbers are kept", "opus,pcmu",
             "m=audio 4000 RTP/AVP 111 0 126\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:126 "
             "telephone-event/8000\r\n",
             "opus", 111, 126, 8000, "111 0 126"},
            {"telephone-event of the codec's clock is preferred", "opus",
             "m=audio 4000 RTP/AVP 111 126 127\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:126 "
             "telephone-event/8000\r\n"
             "a=rtpmap:127 telephone-event/48000\r\n",
             "opus", 111, 127, 48000, "111 127"},
            {"names are compared without case", "pcmu",
             "m=audio 4000 RTP/AVP 97\r\na=rtpmap:97 pcmu/8000\r\n", "pcmu", 97, -1, 8000, "97"},
            {"a static number may be given another meaning", "pcmu,pcma",
             "m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMA/8000\r\n", "pcma", 0, -1, 8000, "0"},
            {"stereo L16 is not mono L16", "l16,pcmu",
             "m=audio 4000 RTP/AVP 97 0\r\na=rtpmap:97 L16/16000/2\r\n", "pcmu", 0, -1, 8000, "0"},
            {"nothing in common", "pcmu", "m=audio 4000 RTP/AVP 18\r\na=rtpmap:18 G729/8000\r\n", "", 0, 0, 0,
             ""},
            {"SRTP alone", "pcmu", "m=audio 4000 RTP/SAVP 0\r\n", "", 0, 0, 0, ""},
            {"DTLS-SRTP alone", "pcmu", "m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\n", "", 0, 0, 0, ""},
            {"AVPF is borne", "pcmu", "m=audio 4000 RTP/AVPF 0\r\n", "pcmu", 0, -1, 8000, "0"},
            {"a numbers line out of range", "pcmu", "m=audio 4000 RTP/AVP 128 300 99999 0\r\n", "pcmu", 0, -1,
             8000, "0"},
            {"an audio line switched off", "pcmu", "m=audio 0 RTP/AVP 0\r\n", "", 0, 0, 0, ""},
            {"no media at all", "pcmu", "", "", 0, 0, 0, ""},
            {"video alone", "pcmu", "m=video 4000 RTP/AVP 31\r\n", "", 0, 0, 0, ""},
        };
        for (const Row &row : rows) {
            CAPTURE(row.name);
            OfferAnswer machine(local(row.codecs));
            const auto applied = machine.apply_offer(body(row.media));
            if (*row.codec == '\0') {
                REQUIRE_FALSE(applied);
                CHECK(applied.error().sip == 488);
                CHECK(applied.error().code == Errc::media);
                CHECK(machine.state() == OfferAnswer::State::idle);
                continue;
            }
            REQUIRE(applied);
            const std::string answer = machine.make_answer().value();
            const Negotiated &agreed = machine.negotiated().value();
            CHECK(agreed.codec == find_codec(row.codec));
            CHECK(agreed.send_payload_type == row.type);
            CHECK(agreed.receive_payload_type == row.type);
            CHECK(int{agreed.send_event_payload_type.value_or(255)} == (row.event < 0 ? 255 : row.event));
            CHECK(agreed.event_clock_rate == row.event_rate);
            CHECK(formats(answer) == row.answered);
            CHECK(agreed.rtp == Address::parse("192.0.2.20", 4000).value());
        }
    }

    TEST_CASE("an offer that is no SDP is refused with 400") {
        OfferAnswer machine(local("pcmu"));
        for (const char *text :
             {"", "hello", "v=0\r\nm=audio x RTP/AVP 0\r\n", "v=0\r\nm=audio 70000 RTP/AVP 0\r\n"}) {
            const auto applied = machine.apply_offer(text);
            REQUIRE_FALSE(applied);
            CHECK(applied.error().sip == 400);
            CHECK(applied.error().code == Errc::parse);
        }
    }

    TEST_CASE("all lines but the first usable audio are refused in their order with their formats") {
        OfferAnswer machine(local("pcmu"));
        REQUIRE(machine.apply_offer(body("m=video 5000 RTP/AVP 31 34\r\na=rtpmap:34 H263/90000\r\n"
                                         "m=audio 4000 RTP/SAVP 0\r\n"
                                         "m=audio 4002 RTP/AVP 0\r\n"
                                         "m=audio 4004 RTP/AVP 0\r\n"
                                         "m=image 6000 udptl t38\r\n")));
        const std::string answer = machine.make_answer().value();
        const Sdp sdp = Sdp::parse(answer).value();
        REQUIRE(sdp.media.size() == 5);
        CHECK(has(answer, "m=video 0 RTP/AVP 31 34"));
        CHECK(has(answer, "m=audio 0 RTP/SAVP 0"));
        CHECK(has(answer, "m=image 0 udptl t38"));
        CHECK(sdp.media[2].port == 20000);
        CHECK(sdp.media[3].port == 0);
        CHECK(machine.negotiated()->rtp.port() == 4002);

        // A later offer of ours keeps the number and order of lines (RFC 3264 §8).
        const Sdp again = Sdp::parse(machine.make_offer().value()).value();
        REQUIRE(again.media.size() == 5);
        CHECK(again.media[0].type == "video");
        CHECK(again.media[2].port == 20000);
        CHECK(again.media[4].port == 0);
    }

    TEST_CASE("addresses come from the media level first, RTCP from a=rtcp") {
        OfferAnswer machine(local("pcmu"));
        REQUIRE(machine.apply_offer(
            body("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 192.0.2.77\r\na=rtcp:5555 IN IP4 192.0.2.77\r\n")));
        (void)machine.make_answer().value();
        CHECK(machine.negotiated()->rtp == Address::parse("192.0.2.77", 4000).value());
        CHECK(machine.negotiated()->rtcp == Address::parse("192.0.2.77", 5555).value());

        OfferAnswer plain(local("pcmu"));
        REQUIRE(plain.apply_offer(body("m=audio 4000 RTP/AVP 0\r\na=rtcp:99999\r\n")));
        (void)plain.make_answer().value();
        CHECK(plain.negotiated()->rtcp.port() == 4001);
    }

    TEST_CASE("an address that we must not or cannot send to is not agreed to") {
        for (const char *c : {"IN IP4 224.2.0.1", "IN IP4 255.255.255.255", "IN IP6 ff02::1",
                              "IN IP6 2001:db8::1", "IN IP4 pbx.example.com"}) {
            CAPTURE(c);
            OfferAnswer machine(local("pcmu"));
            const auto applied =
                machine.apply_offer(body("m=audio 4000 RTP/AVP 0\r\n", "c=" + std::string(c) + "\r\n"));
            REQUIRE_FALSE(applied);
            CHECK(applied.error().sip == 488);
        }
        OfferAnswer six(local("pcmu", "2001:db8::9"));
        CHECK(six.apply_offer(body("m=audio 4000 RTP/AVP 0\r\n", "c=IN IP6 2001:db8::1\r\n")));
        CHECK(has(six.make_answer().value(), "c=IN IP6 2001:db8::9"));
    }

    TEST_CASE("a public address replaces our own in c=") {
        LocalMedia media = local("pcmu");
        media.public_ip = "198.51.100.1";
        OfferAnswer machine(media);
        const std::string offer = machine.make_offer().value();
        CHECK(has(offer, "c=IN IP4 198.51.100.1"));
        CHECK(offer.find("192.0.2.10") == std::string::npos);
    }

    TEST_CASE("directions mirror the offer, at either level") {
        struct Row {
            const char *session, *media;
            bool hold;
            Direction answer;
            bool remote_hold;
        };
        const Row rows[] = {
            {"", "", false, Direction::sendrecv, false},
            {"", "a=sendonly\r\n", false, Direction::recvonly, true},
            {"", "a=recvonly\r\n", false, Direction::sendonly, false},
            {"", "a=inactive\r\n", false, Direction::inactive, true},
            {"a=sendonly\r\n", "", false, Direction::recvonly, true},
            {"a=sendonly\r\n", "a=sendrecv\r\n", false, Direction::sendrecv, false},
            {"", "", true, Direction::sendonly, false},
            {"", "a=sendonly\r\n", true, Direction::inactive, true},
            {"", "a=recvonly\r\n", true, Direction::sendonly, false},
            {"", "c=IN IP4 0.0.0.0\r\n", false, Direction::recvonly, true}, // RFC 2543
            {"", "c=IN IP4 0.0.0.0\r\na=sendonly\r\n", false, Direction::recvonly, true},
            {"", "c=IN IP4 0.0.0.0\r\na=inactive\r\n", false, Direction::inactive, true},
        };
        for (const Row &row : rows) {
            CAPTURE(row.media);
            CAPTURE(row.session);
            CAPTURE(row.hold);
            OfferAnswer machine(local("pcmu"));
            machine.set_hold(row.hold);
            REQUIRE(machine.apply_offer(body("m=audio 4000 RTP/AVP 0\r\n" + std::string(row.media),
                                             "c=IN IP4 192.0.2.20\r\n" + std::string(row.session))));
            const std::string answer = machine.make_answer().value();
            CHECK(has(answer, "a=" + std::string(name(row.answer))));
            CHECK(machine.negotiated()->local_direction == row.answer);
            CHECK(machine.negotiated()->remote_hold == row.remote_hold);
        }
    }

    TEST_CASE("hold and resume from both sides, and o= grows only with a change") {
        Pair pair;
        pair.exchange(pair.alice, pair.bob);
        const std::string origin = line_of(pair.offer, "o=");
        pair.exchange(pair.alice, pair.bob);
        CHECK(line_of(pair.offer, "o=") == origin);

        pair.alice.set_hold(true);
        pair.exchange(pair.alice, pair.bob);
        CHECK(line_of(pair.offer, "o=") != origin);
        CHECK(has(pair.offer, "a=sendonly"));
        CHECK(has(pair.answer, "a=recvonly"));
        CHECK(pair.bob.negotiated()->remote_hold);
        CHECK_FALSE(pair.alice.negotiated()->remote_hold);

        pair.bob.set_hold(true); // both hold
        pair.exchange(pair.bob, pair.alice);
        CHECK(has(pair.offer, "a=inactive"));
        CHECK(has(pair.answer, "a=inactive"));
        CHECK(pair.alice.negotiated()->remote_hold);

        pair.alice.set_hold(false);
        pair.exchange(pair.alice, pair.bob);
        CHECK(has(pair.answer, "a=sendonly"));
        CHECK_FALSE(pair.bob.negotiated()->remote_hold);
        CHECK(pair.alice.negotiated()->remote_hold);

        pair.bob.set_hold(false);
        pair.exchange(pair.bob, pair.alice);
        CHECK(has(pair.answer, "a=sendrecv"));
        CHECK_FALSE(pair.alice.negotiated()->remote_hold);
        CHECK(pair.alice.negotiated()->local_direction == Direction::sendrecv);
    }

    TEST_CASE("a late offer: the callee offers, the caller answers") {
        Pair pair("opus,pcmu", "pcmu,opus");
        pair.exchange(pair.bob, pair.alice);
        CHECK(pair.alice.negotiated()->codec == find_codec("opus"));
        CHECK(pair.bob.negotiated()->codec == find_codec("opus")); // the first of the answer
        CHECK(pair.bob.negotiated()->send_event_payload_type ==
              pair.alice.negotiated()->receive_event_payload_type);
    }

    TEST_CASE("numbers once given stay, in whoever's offer comes next") {
        OfferAnswer machine(local("opus,pcmu"));
        REQUIRE(machine.apply_offer(body("m=audio 4000 RTP/AVP 101 0 96 103\r\na=rtpmap:101 opus/48000/2\r\n"
                                         "a=rtpmap:96 telephone-event/8000\r\na=rtpmap:103 speex/8000\r\n")));
        (void)machine.make_answer().value();
        const std::string offer = machine.make_offer().value();
        CHECK(has(offer, "a=rtpmap:101 opus/48000/2"));
        CHECK(has(offer, "a=rtpmap:96 telephone-event/8000"));
        const std::string wide =
            line_of(offer, "a=rtpmap:97 telephone-event/48000"); // not 103: that is speex
        CHECK_FALSE(wide.empty());
        Sdp sdp = Sdp::parse(offer).value();
        auto &list = sdp.media[0].formats;
        std::ranges::sort(list);
        CHECK(std::ranges::adjacent_find(list) == list.end());
    }

    TEST_CASE("an answer with other numbers: we send with those and receive with ours") {
        OfferAnswer machine(local("opus"));
        (void)machine.make_offer().value();
        REQUIRE(machine.apply_answer(body("m=audio 4000 RTP/AVP 111 126\r\na=rtpmap:111 opus/48000/2\r\n"
                                          "a=rtpmap:126 telephone-event/8000\r\n")));
        const Negotiated &agreed = machine.negotiated().value();
        CHECK(agreed.send_payload_type == 111);
        CHECK(agreed.receive_payload_type == 96);
        CHECK(agreed.send_event_payload_type == std::uint8_t{126});
        CHECK(agreed.receive_event_payload_type == std::uint8_t{101});
        const auto takes = [&](int type) {
            return std::ranges::any_of(agreed.receivable,
                                       [&](const auto &entry) { return entry.first == type; });
        };
        CHECK(takes(96));
        CHECK(takes(111)); // some send with their own
        CHECK_FALSE(takes(126));
    }

    TEST_CASE("answers that end the call") {
        struct Row {
            const char *media;
            Errc code;
        };
        for (const Row &row :
             {Row{"m=audio 0 RTP/AVP 0\r\n", Errc::media}, Row{"", Errc::media},
              Row{"m=audio 4000 RTP/AVP 18\r\n", Errc::media}, Row{"m=audio x\r\n", Errc::parse}}) {
            OfferAnswer machine(local("pcmu"));
            (void)machine.make_offer().value();
            const auto applied = machine.apply_answer(body(row.media));
            REQUIRE_FALSE(applied);
            CHECK(applied.error().code == row.code);
            CHECK_FALSE(machine.negotiated());
        }
        OfferAnswer machine(local("pcmu"));
        CHECK_FALSE(machine.apply_answer(body("m=audio 4000 RTP/AVP 0\r\n"))); // none was asked for
    }

    TEST_CASE("a failed re-INVITE leaves everything as it was") {
        Pair pair;
        pair.exchange(pair.alice, pair.bob);
        pair.alice.set_hold(true);
        const std::string offer = pair.alice.make_offer().value();
        pair.alice.roll_back();
        CHECK(pair.alice.state() == OfferAnswer::State::stable);
        CHECK_FALSE(pair.alice.held_locally());
        CHECK(pair.alice.negotiated()->local_direction == Direction::sendrecv);
        pair.exchange(pair.alice, pair.bob); // versions go on growing
        CHECK(line_of(pair.offer, "o=") != line_of(offer, "o="));

        pair.alice.roll_back(); // nothing under way: nothing changes
        CHECK(pair.alice.state() == OfferAnswer::State::stable);
        CHECK(pair.alice.negotiated());
    }

    TEST_CASE("a refused offer in a call changes nothing") {
        Pair pair;
        pair.exchange(pair.alice, pair.bob);
        const auto refused = pair.bob.apply_offer(body("m=audio 4000 RTP/AVP 18\r\n"));
        REQUIRE_FALSE(refused);
        CHECK(refused.error().sip == 488);
        CHECK(pair.bob.state() == OfferAnswer::State::stable);
        CHECK(pair.bob.negotiated()->rtp.port() == 20000);
    }

    TEST_CASE("ptime is taken within reason only") {
        for (const auto &[text, expected] :
             {std::pair{"30", 30U}, std::pair{"0", 20U}, std::pair{"2147483648", 20U}, std::pair{"-1", 20U},
              std::pair{"99999999999999999999", 20U}}) {
            OfferAnswer machine(local("pcmu"));
            REQUIRE(
                machine.apply_offer(body("m=audio 4000 RTP/AVP 0\r\na=ptime:" + std::string(text) + "\r\n")));
            (void)machine.make_answer().value();
            CHECK(machine.negotiated()->ptime_ms == expected);
        }
    }

} // TEST_SUITE
