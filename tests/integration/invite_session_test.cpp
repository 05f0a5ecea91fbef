#include <doctest/doctest.h>

#include "tests/support/sip_party.hpp"

using namespace offhook;
using namespace offhook::test;
using sip::DialogState;
using sip::TransportKind;

namespace {

struct Pair {
    explicit Pair(TransportKind kind = TransportKind::udp, const char *ip = "127.0.0.1")
        : alice(loop, "alice", kind, ip), bob(loop, "bob", kind, ip) {}
    bool until(const std::function<bool()> &done) { return run_until(loop, done); }
    bool talk(const std::string &offer = "v=0") {
        alice.call(bob, offer);
        return until([&] { return bob.saw("confirmed") && alice.saw("confirmed"); });
    }
    Loop loop;
    SipParty alice, bob;
};

} // namespace

TEST_SUITE("sip invite session") {
    TEST_CASE("a call is answered, confirmed and ended by the caller, over UDP, TCP and IPv6") {
        struct Row {
            TransportKind kind;
            const char *ip;
        };
        for (const Row &row : {Row{TransportKind::udp, "127.0.0.1"}, Row{TransportKind::tcp, "127.0.0.1"},
                               Row{TransportKind::udp, "::1"}}) {
            CAPTURE(row.ip);
            Pair p(row.kind, row.ip);
            CHECK(p.talk("v=0 alice"));
            CHECK(p.alice.saw("progress 180"));
            CHECK(p.alice.saw("answer v=0 answer"));
            CHECK(p.bob.session->offer() == "v=0 alice");
            CHECK(p.bob.session->state() == DialogState::confirmed);
            p.alice.session->hang_up("Q.850;cause=16");
            CHECK(p.until([&] { return p.alice.end && p.bob.end; }));
            CHECK(p.alice.saw("ended 200 local"));
            CHECK(p.bob.saw("ended 200 remote"));
            CHECK(p.bob.end->reason_header == "Q.850;cause=16");
        }
    }

    TEST_CASE("the callee ends the call too, on the connection the caller opened") {
        Pair p(TransportKind::tcp);
        CHECK(p.talk());
        p.bob.session->hang_up();
        CHECK(p.until([&] { return p.alice.end && p.bob.end; }));
        CHECK(p.alice.saw("ended 200 remote"));
        CHECK(p.bob.saw("ended 200 local"));
    }

    TEST_CASE("a late offer travels in the 200 and its answer in the ACK") {
        Pair p;
        CHECK(p.talk(""));
        CHECK(p.alice.saw("offer v=0 offer"));
        CHECK(p.bob.saw("answer v=0 answer"));
    }

    TEST_CASE("a refusal reports its status") {
        for (unsigned status : {404U, 486U, 603U}) {
            Pair p;
            p.bob.refuse_with = status;
            p.alice.call(p.bob, "v=0");
            CHECK(p.until([&] { return p.alice.end.has_value(); }));
            CHECK(p.alice.end->status == status);
            CHECK(p.alice.end->by == sip::SessionEnd::By::remote);
        }
    }

    TEST_CASE("hanging up a ringing call cancels it on both sides") {
        Pair p;
        p.bob.auto_accept = false;
        p.alice.call(p.bob, "v=0");
        CHECK(p.until([&] { return p.alice.saw("progress 180"); }));
        p.alice.session->hang_up("SIP;cause=200;text=\"Call completed elsewhere\"");
        CHECK(p.until([&] { return p.alice.end && p.bob.end; }));
        CHECK(p.alice.saw("ended 487 local"));
        CHECK(p.bob.saw("ended 487 remote"));
        CHECK(p.bob.end->reason_header == "SIP;cause=200;text=\"Call completed elsewhere\"");
    }

    TEST_CASE("hanging up before any response cancels as soon as one comes") {
        Pair p;
        p.bob.auto_accept = p.bob.auto_ring = false;
        p.alice.call(p.bob, "v=0").hang_up();
        CHECK(p.until([&] { return p.alice.end.has_value(); }));
        CHECK(p.alice.end->by == sip::SessionEnd::By::local);
    }

    TEST_CASE("re-INVITEs change the session from either side, a refused one leaves it as it was") {
        Pair p;
        CHECK(p.talk());
        p.alice.offer_sdp = "v=0 hold";
        p.alice.session->reinvite();
        CHECK(p.until([&] { return p.alice.saw("reinvited"); }));
        CHECK(p.bob.saw("offer v=0 hold"));
        p.bob.session->reinvite();
        CHECK(p.until([&] { return p.bob.saw("reinvited"); }));
        CHECK(p.alice.saw("offer v=0 offer"));
        p.bob.refuse_reinvite_with = 488;
        p.alice.session->reinvite();
        CHECK(p.until([&] { return p.alice.saw("reinvite failed 488"); }));
        CHECK(p.alice.session->state() == DialogState::confirmed);
    }

    TEST_CASE("glare ends with both changes made") {
        Pair p;
        CHECK(p.talk());
        p.alice.session->reinvite();
        p.bob.session->reinvite();
        CHECK(p.until([&] { return p.alice.saw("reinvited") && p.bob.saw("reinvited"); }));
        CHECK((p.alice.saw("reinvite failed 491") || p.bob.saw("reinvite failed 491")));
    }

    TEST_CASE("INFO inside the dialog arrives and is answered") {
        Pair p;
        CHECK(p.talk());
        unsigned status = 0;
        p.alice.session->send_info("application/dtmf-relay", "Signal=5\r\n",
                                   [&](const Result<unsigned> &got) { status = got.value_or(1); });
        CHECK(p.until([&] { return status != 0; }));
        CHECK(status == 200);
        CHECK(p.bob.saw("info Signal=5\r\n"));
    }

    TEST_CASE("a refused UDP port is told at once") {
        Loop loop;
        SipParty alice(loop, "alice");
        sip::NameAddr nobody;
        {
            const SipParty gone(loop, "gone");
            nobody = gone.address();
        }
        const TimePoint start = loop.now();
        alice.session = sip::InviteSession::outgoing(alice.ua, nobody, "v=0", alice.options, alice);
        CHECK(run_until(loop, [&] { return alice.end.has_value(); }));
        CHECK(alice.end->by == sip::SessionEnd::By::network);
        CHECK(loop.now() - start < std::chrono::milliseconds(1000));
    }

    TEST_CASE(
        "a reliable 183 settles the exchange: UPDATE both ways before the answer, which has no description") {
        Pair p;
        p.bob.auto_ring = p.bob.auto_accept = false;
        p.alice.call(p.bob, "v=0");
        REQUIRE(p.until([&] { return p.bob.saw("invite"); }));
        CHECK_FALSE(p.bob.session->modifiable());
        p.bob.session->ring(183, "v=0 early");
        p.bob.session->accept("v=0 never sent"); // waits for the PRACK
        REQUIRE(p.until([&] { return p.alice.saw("confirmed") && p.bob.saw("confirmed"); }));
        CHECK(p.alice.saw("answer v=0 early"));
        CHECK_FALSE(p.alice.saw("answer v=0 never sent"));
        p.alice.session->hang_up();
        CHECK(p.until([&] { return p.alice.end && p.bob.end; }));
    }

    TEST_CASE("in an early dialog either side changes the session by UPDATE") {
        for (const bool caller : {true, false}) {
            CAPTURE(caller);
            Pair p;
            p.bob.auto_ring = p.bob.auto_accept = false;
            p.alice.call(p.bob, "v=0");
            REQUIRE(p.until([&] { return p.bob.saw("invite"); }));
            p.bob.session->ring(183, "v=0 early");
            auto &asks = caller ? p.alice : p.bob;
            auto &other = caller ? p.bob : p.alice;
            REQUIRE(p.until([&] { return asks.session->modifiable(); }));
            asks.offer_sdp = "v=0 changed";
            asks.session->reinvite();
            REQUIRE(p.until([&] { return asks.saw("reinvited"); }));
            CHECK(other.saw("offer v=0 changed"));
            CHECK(p.alice.session->state() == DialogState::early);
            p.bob.session->accept({});
            REQUIRE(p.until([&] { return p.alice.saw("confirmed") && p.bob.saw("confirmed"); }));
            p.bob.session->hang_up(); // CSeq has counted on in the early dialog
            CHECK(p.until([&] { return p.alice.end && p.bob.end; }));
            CHECK(p.alice.saw("ended 200 remote"));
        }
    }

    TEST_CASE("a session that is refreshed in time lives on, whoever refreshes; intervals may differ") {
        Pair p;
        p.alice.options.session_timer = {.interval = 3, .minimum = 2};
        p.bob.options.session_timer = {.interval = 3, .minimum = 2};
        REQUIRE(p.talk());
        run_until(
            p.loop, [] { return false; }, Duration{4'000}); // over after 2 s without a refresh
        CHECK_FALSE(p.alice.end);
        CHECK_FALSE(p.bob.end);
        p.alice.session->hang_up();
        CHECK(p.until([&] { return p.alice.end && p.bob.end; }));
    }
}
