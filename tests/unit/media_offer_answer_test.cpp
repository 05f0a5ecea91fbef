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

    TEST_CASE("a late offer: the callee offers, the caller answers") {
        Pair pair("opus,pcmu", "pcmu,opus");
        pair.exchange(pair.bob, pair.alice);
        CHECK(pair.alice.negotiated()->codec == find_codec("opus"));
        CHECK(pair.bob.negotiated()->codec == find_codec("opus")); // the first of the answer
        const auto &sent = pair.bob.negotiated();
        const auto &taken = pair.alice.negotiated()->receive_events;
        REQUIRE(sent->send_event_payload_type);
        CHECK(std::ranges::count(taken, std::pair(*sent->send_event_payload_type, sent->event_clock_rate)) ==
              1);
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
        using Events = std::vector<std::pair<std::uint8_t, unsigned>>;
        CHECK(agreed.receive_events == Events{{101, 8000}, {103, 48000}}); // we offered both
        const auto takes = [&](int type) {
            return std::ranges::any_of(agreed.receivable,
                                       [&](const auto &entry) { return entry.first == type; });
        };
        CHECK(takes(96));
        CHECK(takes(111)); // some send with their own
        CHECK_FALSE(takes(126));
    }

    TEST_CASE("comfort noise (RFC 3389) with the codecs of its clock") {
        Pair both("opus,pcmu", "pcmu");
        both.exchange(both.alice, both.bob);
        CHECK(has(both.offer, "a=rtpmap:13 CN/8000"));
        CHECK(line_of(both.offer, "m=audio") == "m=audio 20000 RTP/AVP 96 0 13 103 101");
        CHECK(has(both.answer, "a=rtpmap:13 CN/8000"));
        for (const auto *end : {&both.alice, &both.bob}) {
            CHECK(end->negotiated()->send_noise_payload_type == 13);
            CHECK(end->negotiated()->receive_noise_payload_type == 13);
        }
        Pair wide("opus", "opus"); // its clock is another: it has its own noise
        wide.exchange(wide.alice, wide.bob);
        CHECK(wide.offer.find("CN/8000") == std::string::npos);
        CHECK_FALSE(wide.bob.negotiated()->receive_noise_payload_type);

        OfferAnswer machine(local("opus,pcmu"));
        REQUIRE(machine.apply_offer(body("m=audio 4000 RTP/AVP 96 0 13\r\na=rtpmap:96 opus/48000/2\r\n")));
        CHECK(has(machine.make_answer().value(), "a=rtpmap:13 CN/8000")); // static: known without a map
        CHECK_FALSE(machine.negotiated()->send_noise_payload_type);       // we send Opus
        CHECK(machine.negotiated()->receive_noise_payload_type == 13);

        OfferAnswer dynamic(local("pcmu"));
        REQUIRE(dynamic.apply_offer(body("m=audio 4000 RTP/AVP 0 97 98\r\na=rtpmap:97 CN/16000\r\n"
                                         "a=rtpmap:98 cn/8000\r\n")));
        (void)dynamic.make_answer().value();
        CHECK(dynamic.negotiated()->send_noise_payload_type == 98);

        OfferAnswer none(local("pcmu"));
        REQUIRE(none.apply_offer(body("m=audio 4000 RTP/AVP 0\r\n")));
        CHECK(none.make_answer().value().find("CN/") == std::string::npos);
        CHECK_FALSE(none.negotiated()->send_noise_payload_type);
    }

    TEST_CASE("Opus is told of pauses that we like (RFC 7587 usedtx)") {
        auto likes = local("opus");
        likes.pauses = true;
        OfferAnswer machine(likes);
        CHECK(has(machine.make_offer().value(), "a=fmtp:96 useinbandfec=1;stereo=0;usedtx=1"));
        OfferAnswer other(local("opus"));
        CHECK(has(other.make_offer().value(), "a=fmtp:96 useinbandfec=1;stereo=0"));
    }

} // TEST_SUITE
