#include "tests/integration/phone_fixture.hpp"

using namespace offhook;
using namespace offhook::test;

namespace {

// A peer that agrees to PCMU and sends nothing.
std::string silent_sdp(const std::string &direction) {
    return "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
           "m=audio 9 RTP/AVP 0\r\na=" +
           direction + "\r\n";
}

} // namespace

TEST_SUITE("phone") {
    TEST_CASE("a call is placed, rings, is answered and ends from either side with exit 0") {
        for (const bool caller_ends : {true, false}) {
            CAPTURE(caller_ends);
            PhonePair p;
            REQUIRE(p.talk());
            CHECK(p.alice.saw<event::CallOutgoing>());
            CHECK(p.alice.saw<event::CallRinging>());
            CHECK(p.bob.saw<event::CallIncoming>());
            CHECK(p.alice.last<event::CallAnswered>()->setup_ms >= 0);
            CHECK(p.alice.last<event::CallAnswered>()->call.codec == "PCMU/8000");
            CHECK(p.until([&] { return p.alice.saw<event::CallMedia>() && p.bob.saw<event::CallMedia>(); }));
            auto &ending = caller_ends ? p.alice : p.bob;
            CHECK(ending.phone->hang_up(ending.call()).has_value());
            REQUIRE(p.ended());
            for (const auto *party : {&p.alice, &p.bob}) {
                const auto &end = *party->last<event::CallEnded>();
                CHECK(end.answered);
                CHECK(end.exit == 0);
                CHECK(end.code == 200);
                CHECK(end.stats.received.packets > 0);
                CHECK(party->phone->calls().empty());
            }
            CHECK(ending.last<event::CallEnded>()->by == EndedBy::local);
            CHECK((caller_ends ? p.bob : p.alice).last<event::CallEnded>()->by == EndedBy::remote);
        }
    }

    TEST_CASE("digits arrive both ways as events and by INFO, each once") {
        for (const auto mode : {DtmfMode::automatic, DtmfMode::info}) {
            PhonePair p;
            DialOptions options;
            options.dtmf_mode = mode;
            REQUIRE(p.talk(options));
            CHECK(p.alice.phone->send_dtmf(p.alice.call(), "15#").has_value());
            CHECK(p.bob.phone->send_dtmf(p.bob.call(), "*0", mode).has_value());
            CHECK(p.alice.phone->dtmf_busy(p.alice.call()));
            CHECK(p.until([&] { return p.bob.digits(false) == "15#" && p.alice.digits(false) == "*0"; }));
            CHECK(p.until([&] { return p.alice.digits(true) == "15#" && p.bob.digits(true) == "*0"; }));
            CHECK(p.bob.last<event::CallDtmf>()->method == (mode == DtmfMode::info ? "info" : "rfc4733"));
            CHECK(p.until([&] { return !p.alice.phone->dtmf_busy(p.alice.call()); }));
        }
    }

    TEST_CASE("digits nobody can press are refused") {
        PhonePair p;
        REQUIRE(p.talk());
        CHECK(p.alice.phone->send_dtmf(p.alice.call(), "12x").error().code == Errc::invalid_argument);
        CHECK_FALSE(p.alice.phone->dtmf_busy(p.alice.call()));
    }

    TEST_CASE("hold and resume from either side are told on both") {
        for (const bool caller_holds : {true, false}) {
            CAPTURE(caller_holds);
            PhonePair p;
            REQUIRE(p.talk());
            auto &holder = caller_holds ? p.alice : p.bob;
            auto &held = caller_holds ? p.bob : p.alice;
            CHECK(holder.phone->hold(holder.call(), true).has_value());
            CHECK(holder.phone->hold(holder.call(), true).error().code == Errc::invalid_argument);
            REQUIRE(
                p.until([&] { return holder.saw<event::CallHeld>() && held.saw<event::CallRemoteHold>(); }));
            CHECK(held.last<event::CallRemoteHold>()->on);
            CHECK(holder.phone->call(holder.call())->held_locally);
            CHECK(held.phone->call(held.call())->held_remotely);
            CHECK(holder.phone->hold(holder.call(), false).has_value());
            REQUIRE(p.until(
                [&] { return holder.saw<event::CallResumed>() && !held.last<event::CallRemoteHold>()->on; }));
            CHECK_FALSE(holder.phone->call(holder.call())->held_locally);
            CHECK_FALSE(held.phone->call(held.call())->held_remotely);
        }
    }

    TEST_CASE("a refusal is told with its code and exit") {
        struct Row {
            unsigned status;
            int exit;
        };
        for (const auto &row : {Row{486, 10}, Row{603, 12}, Row{404, 13}, Row{480, 11}}) {
            CAPTURE(row.status);
            PhonePair p;
            p.bob.auto_answer = false;
            p.dial();
            REQUIRE(p.until([&] { return p.bob.saw<event::CallIncoming>(); }));
            CHECK(p.bob.phone->reject(p.bob.call(), 200).error().code == Errc::invalid_argument);
            CHECK(p.bob.phone->reject(p.bob.call(), row.status).has_value());
            REQUIRE(p.ended());
            const auto &end = *p.alice.last<event::CallEnded>();
            CHECK(end.code == row.status);
            CHECK(end.exit == row.exit);
            CHECK(end.by == EndedBy::remote);
            CHECK_FALSE(end.answered);
            CHECK(p.bob.last<event::CallEnded>()->by == EndedBy::local);
            CHECK(p.bob.last<event::CallEnded>()->exit == 0);
        }
    }

    TEST_CASE("a call nobody answers is cancelled after the ring time-out with exit 11") {
        PhonePair p;
        p.bob.auto_answer = false;
        DialOptions options;
        options.ring_timeout = Duration{200};
        p.dial(options);
        REQUIRE(p.ended());
        const auto &end = *p.alice.last<event::CallEnded>();
        CHECK(end.code == 487);
        CHECK(end.by == EndedBy::timeout);
        CHECK(end.exit == 11);
        CHECK(p.bob.last<event::CallEnded>()->by == EndedBy::remote);
        CHECK(p.bob.last<event::CallEnded>()->reason_header.find("cause=408") != std::string::npos);
    }

    TEST_CASE("a ringing call is given up by either side") {
        for (const bool caller_ends : {true, false}) {
            PhonePair p;
            p.bob.auto_answer = false;
            p.dial();
            REQUIRE(p.until(
                [&] { return p.alice.saw<event::CallRinging>() && p.bob.saw<event::CallIncoming>(); }));
            auto &ending = caller_ends ? p.alice : p.bob;
            CHECK(ending.phone->hang_up(ending.call()).has_value());
            REQUIRE(p.ended());
            CHECK(p.alice.last<event::CallEnded>()->code == (caller_ends ? 487 : 603));
        }
    }

    TEST_CASE("a port where nobody listens ends the call at once with exit 20") {
        PhonePair p;
        const auto call = p.alice.phone->dial("sip:nobody@127.0.0.1:1");
        REQUIRE(call.has_value());
        CHECK(p.until([&] { return p.alice.saw<event::CallEnded>(); }, Duration{2'000}));
        CHECK(p.alice.last<event::CallEnded>()->exit == 20);
        CHECK(p.alice.last<event::CallEnded>()->by == EndedBy::network);
        CHECK(p.alice.count<event::CallOutgoing>() == 1);
    }

    TEST_CASE("without a common codec the call is refused with 488 and exit 30") {
        auto other = loopback_settings();
        other.codecs = {"l16"};
        PhonePair p(loopback_settings(), other);
        p.bob.auto_answer = false;
        p.dial();
        REQUIRE(p.until([&] { return p.alice.saw<event::CallEnded>(); }));
        CHECK(p.alice.last<event::CallEnded>()->code == 488);
        CHECK(p.alice.last<event::CallEnded>()->exit == 30);
        REQUIRE(p.until([&] { return p.bob.saw<event::CallEnded>(); }));
        CHECK(p.bob.saw<event::CallIncoming>());
        CHECK(p.bob.last<event::CallEnded>()->code == 488);
        CHECK(p.bob.last<event::CallEnded>()->exit == 30);
        CHECK(p.bob.last<event::Log>() != nullptr);
    }

    TEST_CASE("one call more than a phone takes finds it busy") {
        constexpr int most = 128;
        PhonePair p;
        p.bob.auto_answer = false;
        for (int i = 0; i < most; ++i)
            p.dial();
        REQUIRE(p.until([&] { return p.bob.count<event::CallIncoming>() == most; }));
        CHECK(p.alice.phone->dial(p.bob.uri()).error().code == Errc::invalid_argument);
        PhoneParty carol(p.loop, loopback_settings());
        CHECK(carol.phone->dial(p.bob.uri()).has_value());
        REQUIRE(p.until([&] { return carol.saw<event::CallEnded>(); }));
        CHECK(carol.last<event::CallEnded>()->code == 486);
        bool down = false;
        p.alice.phone->shut_down([&] { down = true; });
        CHECK(p.until([&] { return down; }));
        CHECK(p.until([&] { return p.bob.count<event::CallEnded>() == most; }));
    }

    TEST_CASE("a call whose RTP never comes is ended with BYE and exit 30; one on hold is not") {
        struct Row {
            const char *direction;
            bool ends;
        };
        for (const auto &row : {Row{"sendrecv", true}, Row{"sendonly", false}}) {
            CAPTURE(row.direction);
            Loop loop;
            auto impatient = loopback_settings();
            impatient.rtp_timeout = Duration{300};
            PhoneParty alice(loop, impatient);
            SipParty bob(loop, "bob");
            bob.answer_sdp = silent_sdp(row.direction);
            REQUIRE(alice.phone->dial(bob.address().uri.encode()).has_value());
            const bool ended = run_until(
                loop, [&] { return alice.saw<event::CallEnded>(); }, Duration{900});
            CHECK(alice.saw<event::CallAnswered>());
            CHECK(ended == row.ends);
            if (!ended) continue;
            CHECK(alice.last<event::CallEnded>()->exit == 30);
            CHECK(alice.last<event::CallEnded>()->by == EndedBy::timeout);
            CHECK(bob.end->reason_header.find("No RTP") != std::string::npos);
        }
    }

    TEST_CASE("early media is told as such, and the call is answered after it") {
        for (const auto early : {EarlyMedia::play, EarlyMedia::ignore}) {
            Loop loop;
            PhoneParty alice(loop, loopback_settings());
            SipParty bob(loop, "bob");
            bob.auto_ring = bob.auto_accept = false;
            DialOptions options;
            options.early_media = early;
            const auto call = alice.phone->dial(bob.address().uri.encode(), options);
            REQUIRE(call.has_value());
            REQUIRE(run_until(loop, [&] { return bob.saw("invite"); }));
            bob.session->ring(183, silent_sdp("sendrecv"));
            REQUIRE(run_until(loop, [&] { return alice.saw<event::CallEarly>(); }));
            CHECK(alice.last<event::CallEarly>()->code == 183);
            CHECK(alice.phone->call(*call)->early_media == (early == EarlyMedia::play));
            CHECK((alice.phone->audio(*call) != nullptr) == (early == EarlyMedia::play));
            bob.session->accept(silent_sdp("sendrecv"));
            REQUIRE(run_until(loop, [&] { return alice.saw<event::CallAnswered>(); }));
            CHECK_FALSE(alice.phone->call(*call)->held_remotely);
            CHECK(alice.last<event::CallAnswered>()->pdd_ms >= 0);
            CHECK(alice.phone->audio(*call) != nullptr);
        }
    }

    TEST_CASE("a late offer is answered in the ACK") {
        Loop loop;
        PhoneParty bob(loop, loopback_settings());
        SipParty alice(loop, "alice");
        alice.answer_sdp = silent_sdp("sendrecv");
        sip::NameAddr target;
        target.uri = *sip::Uri::parse(bob.uri());
        alice.session = sip::InviteSession::outgoing(alice.ua, target, {}, alice.options, alice);
        REQUIRE(run_until(loop, [&] { return bob.saw<event::CallAnswered>(); }));
        CHECK(bob.last<event::CallAnswered>()->call.codec == "PCMU/8000");
        CHECK(alice.events.size() >= 2);
        CHECK(bob.phone->hang_up(bob.call()).has_value());
        CHECK(run_until(loop, [&] { return alice.end && bob.saw<event::CallEnded>(); }));
    }

    TEST_CASE("an answer without a common codec ends the call with exit 30") {
        Loop loop;
        PhoneParty alice(loop, loopback_settings());
        SipParty bob(loop, "bob");
        bob.answer_sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
                         "m=audio 0 RTP/AVP 0\r\n";
        REQUIRE(alice.phone->dial(bob.address().uri.encode()).has_value());
        REQUIRE(run_until(loop, [&] { return alice.saw<event::CallEnded>(); }));
        CHECK(alice.last<event::CallEnded>()->exit == 30);
        CHECK_FALSE(alice.saw<event::CallAnswered>());
        CHECK(run_until(loop, [&] { return bob.end.has_value(); }));
    }

    TEST_CASE("a redirection is reported, and followed only when asked") {
        for (const bool follow : {false, true}) {
            CAPTURE(follow);
            PhonePair p;
            SipParty carol(p.loop, "carol");
            carol.redirect_to = p.bob.uri();
            DialOptions options;
            options.follow = follow;
            const auto call = p.alice.phone->dial(carol.address().uri.encode(), options);
            REQUIRE(call.has_value());
            p.alice.current = *call;
            if (follow) {
                REQUIRE(p.until(
                    [&] { return p.alice.saw<event::CallAnswered>() && p.bob.saw<event::CallAnswered>(); }));
                CHECK(p.alice.last<event::CallAnswered>()->call.id == *call);
                CHECK(p.alice.count<event::CallOutgoing>() == 1);
                CHECK(p.alice.phone->hang_up(*call).has_value());
                CHECK(p.ended());
            } else {
                REQUIRE(p.until([&] { return p.alice.saw<event::CallEnded>(); }));
                CHECK(p.alice.last<event::CallEnded>()->exit == 18);
                CHECK(p.alice.last<event::CallEnded>()->redirect == p.bob.uri());
            }
        }
    }

    TEST_CASE("shutting down ends calls within two seconds") {
        PhonePair p;
        REQUIRE(p.talk());
        bool down = false;
        p.alice.phone->shut_down([&] { down = true; });
        CHECK_FALSE(down);
        CHECK(p.until([&] { return down; }, Duration{2'100}));
        CHECK(p.until([&] { return p.bob.saw<event::CallEnded>(); }));
        CHECK(p.bob.last<event::CallEnded>()->by == EndedBy::remote);
        CHECK(p.alice.phone->dial(p.bob.uri()).error().code == Errc::invalid_argument);
    }

    TEST_CASE("a request for somebody else is answered 404") {
        PhonePair p;
        auto strict = loopback_settings();
        AccountSettings account;
        account.name = "home";
        account.aor = "sip:dora@example.com";
        strict.accounts.push_back(account);
        PhoneParty dora(p.loop, strict);
        const auto wrong = p.alice.phone->dial(dora.uri("erik"));
        REQUIRE(wrong.has_value());
        REQUIRE(p.until([&] {
            const auto *end = p.alice.last<event::CallEnded>();
            return end != nullptr && end->call.id == *wrong;
        }));
        CHECK(p.alice.last<event::CallEnded>()->code == 404);
        CHECK(p.alice.phone->dial(dora.uri("dora")).has_value());
        CHECK(p.until([&] { return dora.saw<event::CallIncoming>(); }));
        CHECK(dora.last<event::CallIncoming>()->call.account == "home");
    }

    TEST_CASE("events come from the loop, never from inside a member function") {
        PhonePair p;
        p.dial();
        CHECK(p.alice.seen.empty());
        REQUIRE(p.until([&] { return p.alice.saw<event::CallAnswered>(); }));
        const auto before = p.alice.seen.size();
        CHECK(p.alice.phone->hang_up(p.alice.call()).has_value());
        CHECK(p.alice.seen.size() == before);
    }
}
