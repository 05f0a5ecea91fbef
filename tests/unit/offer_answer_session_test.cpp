#include <algorithm>

#include "tests/unit/offer_answer_fixture.hpp"

using namespace offhook;
using namespace offhook::media;
using namespace offhook::test::offers;

TEST_SUITE("offer_answer") {

    TEST_CASE("our hold is offered as sendonly, inactive when held as well, and taken back") {
        OfferAnswer machine(local("pcmu"));
        agree_on(machine, audio("0"));
        machine.set_hold(true);
        CHECK(direction(agree_on(machine, audio("0", "a=recvonly\r\n"))) == "sendonly");
        CHECK(machine.negotiated()->local_direction == Direction::sendonly);
        CHECK_FALSE(machine.negotiated()->remote_hold);
        CHECK(direction(answer_to(machine, audio("0", "a=sendonly\r\n"))) == "inactive");
        CHECK(direction(agree_on(machine, audio("0", "a=inactive\r\n"))) == "inactive");
        machine.set_hold(false);
        CHECK(direction(agree_on(machine, audio("0"))) == "sendrecv");
        CHECK(machine.negotiated()->local_direction == Direction::sendrecv);
    }

    TEST_CASE("the version in o= grows when something changes, and only then") {
        OfferAnswer machine(local("pcmu"));
        const Sdp first = agree_on(machine, audio("0 101", "a=rtpmap:101 telephone-event/8000\r\n"));
        const Sdp same = agree_on(machine, audio("0 101", "a=rtpmap:101 telephone-event/8000\r\n"));
        CHECK(same.session_id == first.session_id);
        CHECK(same.version == first.version);
        machine.set_hold(true);
        const Sdp held = agree_on(machine, audio("0 101", "a=rtpmap:101 telephone-event/8000\r\n"));
        CHECK(held.version == first.version + 1);
        const Sdp still = agree_on(machine, audio("0 101", "a=rtpmap:101 telephone-event/8000\r\n"));
        CHECK(still.version == held.version);
        machine.set_hold(false);
        CHECK(agree_on(machine, audio("0")).version == held.version + 1);
    }

    TEST_CASE("payload types once agreed are kept, and never name two formats") { // RFC 3264 §8.3.2
        OfferAnswer machine(local("opus,pcma"));
        answer_to(machine,
                  audio("101 8 96 100", "a=rtpmap:101 opus/48000/2\r\na=rtpmap:96 telephone-event/8000\r\n"
                                        "a=rtpmap:100 telephone-event/48000\r\n"));
        const SdpMedia media = parsed(machine.make_offer()).media[0];
        CHECK(media.formats[0] == "101");
        auto sorted = media.formats;
        std::sort(sorted.begin(), sorted.end());
        CHECK(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end());
        const auto maps = values(media, "rtpmap");
        CHECK(std::find(maps.begin(), maps.end(), "100 telephone-event/48000") != maps.end());
        CHECK(std::find(maps.begin(), maps.end(), "101 opus/48000/2") != maps.end());
    }

    TEST_CASE("a codec that the first exchange left out gets a free payload type") {
        OfferAnswer machine(local("opus,pcma,l16"));
        answer_to(machine, audio("8 96", "a=rtpmap:96 telephone-event/8000\r\n"));
        auto formats = parsed(machine.make_offer()).media[0].formats;
        std::sort(formats.begin(), formats.end());
        CHECK(std::adjacent_find(formats.begin(), formats.end()) == formats.end());
        CHECK(formats.size() == 6); // three codecs, comfort noise, two events
    }

    TEST_CASE("a late offer: the peer answers in the ACK what we offered in the 200") {
        OfferAnswer callee(local("pcma,pcmu")), caller(local("pcmu", 4002));
        const auto offer = callee.make_offer();
        REQUIRE(offer);
        const Sdp answer = answer_to(caller, *offer);
        REQUIRE(callee.apply_answer(answer.encode()));
        CHECK(callee.negotiated()->codec->key == "pcmu");
        CHECK(caller.negotiated()->codec->key == "pcmu");
        CHECK(callee.negotiated()->rtp.port() == 4002);
        CHECK(caller.negotiated()->rtp.port() == 4000);
        CHECK(callee.negotiated()->send_event_payload_type == 101);
    }

    TEST_CASE("an exchange under way admits no other") {
        OfferAnswer machine(local("pcmu"));
        CHECK_FALSE(machine.apply_answer(audio("0")));
        CHECK_FALSE(machine.make_answer());
        REQUIRE(machine.make_offer());
        for (const auto &outcome :
             {machine.make_offer().map([](const auto &) {}), machine.apply_offer(audio("0"))}) {
            REQUIRE_FALSE(outcome);
            CHECK(outcome.error().sip == 491);
        }
        CHECK(machine.state() == State::local_offer);
        REQUIRE(machine.apply_answer(audio("0")));
        CHECK_FALSE(machine.apply_answer(audio("0")));
        REQUIRE(machine.apply_offer(audio("0")));
        CHECK(machine.make_offer().error().sip == 491);
        CHECK(machine.apply_offer(audio("0")).error().sip == 491);
        CHECK(machine.make_answer());
    }

    TEST_CASE("answers that refuse or agree to nothing fail, and the old session lives on after roll_back") {
        for (const std::string &answer : {
                 audio("18", "a=rtpmap:18 G729/8000\r\n"),
                 remote("m=audio 0 RTP/AVP 0\r\n"),
                 remote(""),
                 remote("m=video 5000 RTP/AVP 0\r\n"),
                 audio(""),
                 audio("101", "a=rtpmap:101 telephone-event/8000\r\n"),
             }) {
            CAPTURE(answer);
            OfferAnswer machine(local("pcmu"));
            agree_on(machine, audio("0"));
            machine.set_hold(true);
            REQUIRE(machine.make_offer());
            const auto applied = machine.apply_answer(answer);
            REQUIRE_FALSE(applied);
            CHECK(applied.error().code == Errc::media);
            machine.roll_back();
            CHECK(machine.state() == State::stable);
            CHECK_FALSE(machine.held_locally());
            REQUIRE(machine.negotiated());
            CHECK(machine.negotiated()->local_direction == Direction::sendrecv);
            CHECK(direction(parsed(machine.make_offer())) == "sendrecv");
        }
    }

    TEST_CASE("roll_back goes back to what was agreed") {
        OfferAnswer machine(local("pcma,pcmu"));
        SUBCASE("nothing, after the first offer") {
            REQUIRE(machine.make_offer());
            machine.roll_back();
            CHECK(machine.state() == State::idle);
            CHECK_FALSE(machine.negotiated());
            CHECK(machine.apply_offer(audio("0")));
        }
        SUBCASE("the session, after glare (491): then the peer's offer is answered") {
            agree_on(machine, audio("8"));
            machine.set_hold(true);
            REQUIRE(machine.make_offer());
            machine.roll_back();
            CHECK(machine.negotiated()->codec->key == "pcma");
            CHECK(direction(answer_to(machine, audio("0"))) == "sendrecv");
            CHECK(machine.negotiated()->codec->key == "pcmu");
        }
        SUBCASE("the session, when the peer's offer is dropped unanswered") {
            agree_on(machine, audio("8"));
            REQUIRE(machine.apply_offer(audio("0", "a=inactive\r\n")));
            machine.roll_back();
            CHECK(machine.state() == State::stable);
            CHECK(machine.negotiated()->codec->key == "pcma");
            CHECK_FALSE(machine.negotiated()->remote_hold);
        }
        SUBCASE("nothing to undo when no exchange is open: what was agreed last stays") {
            agree_on(machine, audio("8"));
            answer_to(machine, audio("0"));
            machine.set_hold(true);
            machine.roll_back();
            CHECK(machine.state() == State::stable);
            CHECK(machine.negotiated()->codec->key == "pcmu");
            CHECK_FALSE(machine.held_locally());
        }
    }

    TEST_CASE("a re-offer that is refused leaves the session as it was") {
        OfferAnswer machine(local("pcmu"));
        agree_on(machine, audio("0"));
        CHECK(machine.apply_offer(audio("18")).error().sip == 488);
        CHECK(machine.apply_offer("garbage").error().sip == 400);
        CHECK(machine.state() == State::stable);
        CHECK(machine.negotiated()->codec->key == "pcmu");
        CHECK(machine.negotiated()->rtp.port() == 5000);
    }

} // TEST_SUITE
