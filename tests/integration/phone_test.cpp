#include "tests/integration/phone_fixture.hpp"

using namespace offhook;
using namespace offhook::test;

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
            REQUIRE(p.until([&] { return holder.saw<event::CallHeld>() && held.saw<event::CallRemoteHold>(); }));
            CHECK(held.last<event::CallRemoteHold>()->on);
            CHECK(holder.phone->call(holder.call())->held_locally);
            CHECK(held.phone->call(held.call())->held_remotely);
            CHECK(holder.phone->hold(holder.call(), false).has_value());
            REQUIRE(p.until([&] {
                return holder.saw<event::CallResumed>() && !held.last<event::CallRemoteHold>()->on;
            }));
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
            REQUIRE(p.until([&] { return p.alice.saw<event::CallRinging>() && p.bob.saw<event::CallIncoming>(); }));
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
        p.dial();
        REQUIRE(p.until([&] { return p.alice.saw<event::CallEnded>(); }));
        CHECK(p.alice.last<event::CallEnded>()->code == 488);
        CHECK(p.alice.last<event::CallEnded>()->exit == 30);
        CHECK_FALSE(p.bob.saw<event::CallIncoming>());
        CHECK(p.bob.last<event::Log>() != nullptr);
    }

    TEST_CASE("the sixty-fifth call finds a busy phone") {
        PhonePair p;
        p.bob.auto_answer = false;
        for (int i = 0; i < 64; ++i) p.dial();
        REQUIRE(p.until([&] { return p.bob.count<event::CallIncoming>() == 64; }));
        CHECK(p.alice.phone->dial(p.bob.uri()).error().code == Errc::invalid_argument);
        PhoneParty carol(p.loop, loopback_settings());
        CHECK(carol.phone->dial(p.bob.uri()).has_value());
        REQUIRE(p.until([&] { return carol.saw<event::CallEnded>(); }));
        CHECK(carol.last<event::CallEnded>()->code == 486);
        bool down = false;
        p.alice.phone->shut_down([&] { down = true; });
        CHECK(p.until([&] { return down; }));
        CHECK(p.until([&] { return p.bob.count<event::CallEnded>() == 64; }));
    }

    TEST_CASE("a call without RTP is ended with BYE and exit 30") {
        auto impatient = loopback_settings();
        impatient.rtp_timeout = Duration{400};
        PhonePair p(impatient);
        REQUIRE(p.talk());
        REQUIRE(p.until([&] { return p.alice.saw<event::CallMedia>(); }));
        // The peer is on hold by both and sends nothing, but we are told to expect media again: see below.
        CHECK(p.bob.phone->hold(p.bob.call(), true).has_value());
        REQUIRE(p.until([&] { return p.alice.saw<event::CallRemoteHold>(); }));
        bool still_there = true;
        Timer watchdog(p.loop);
        watchdog.start(Duration{900}, [&] { still_there = !p.alice.phone->calls().empty() && !p.alice.saw<event::CallEnded>(); p.loop.post([&] { p.alice.seen.emplace_back(event::Log{"test", "waited"}); }); });
        REQUIRE(p.until([&] { return p.alice.saw<event::Log>(); }));
        CHECK(still_there); // silence on hold is no failure
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
        CHECK(p.alice.phone->dial("sip:bob@192.0.2.77;maddr=127.0.0.1").has_value());
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
