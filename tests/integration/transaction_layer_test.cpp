#include <chrono>
#include <memory>

#include "tests/integration/transaction_fixture.hpp"

using namespace offhook;
using namespace offhook::test;
using namespace offhook::test::layers;
using namespace offhook::sip;
using Statuses = std::vector<unsigned>;

namespace {

const std::vector<TransportKind> kinds{TransportKind::udp, TransportKind::tcp};

} // namespace

TEST_SUITE("transaction layer") {

    TEST_CASE("a request is answered, over UDP and TCP, and both tables empty again") {
        for (const auto kind : kinds) {
            CAPTURE(uri_token(kind));
            Layers ends;
            ends.caller.listen(kind);
            const Address to = ends.callee.listen(kind);
            ends.callee.serve = [](const Message &, const Flow &, const ServerTransaction &t) {
                t.respond(200);
            };
            Asked asked(ends.caller, request_to(to, "OPTIONS", kind), open(ends.caller, to, kind));
            REQUIRE(ends.until([&] { return !asked.responses.empty(); }));
            REQUIRE(asked.statuses() == Statuses{200});
            CHECK(!asked.responses.front().to()->tag().empty());
            CHECK(!asked.transaction.running());
            CHECK(ends.callee.requests.front().value(HeaderId::max_forwards) == "70");
            CHECK(ends.until([&] { return ends.caller.layer.size() + ends.callee.layer.size() == 0; }));
        }
    }

    TEST_CASE("a request whose datagrams are lost is repeated until it is answered") {
        for (const auto *method : {"INVITE", "OPTIONS"}) {
            LayerAndBare ends;
            ends.caller.listen();
            const Address to = ends.peer.listen();
            ends.peer.serve = [&](const Message &m, const Flow &flow) {
                if (ends.peer.count(method) == 4 && m.method() != Method::ack) ends.peer.answer(m, flow, 486);
            };
            Asked asked(ends.caller, request_to(to, method, TransportKind::udp), open(ends.caller, to));
            REQUIRE(ends.until([&] { return !asked.responses.empty(); }));
            CHECK(ends.peer.count(method) == 4);
            CHECK(ends.peer.messages[0].bytes() == ends.peer.messages[3].bytes());
        }
    }

    TEST_CASE("silence ends in a timeout after 64*T1") {
        LayerAndBare ends;
        ends.caller.listen();
        const Address to = ends.peer.listen();
        for (const auto *method : {"INVITE", "OPTIONS"}) {
            const auto begun = ends.loop.now();
            Asked asked(ends.caller, request_to(to, method, TransportKind::udp), open(ends.caller, to));
            REQUIRE(ends.until([&] { return !asked.errors.empty(); }));
            CHECK(ends.loop.now() - begun >= Duration(320));
            CHECK(asked.errors.front().code == Errc::timeout);
            CHECK(asked.responses.empty());
        }
        CHECK(ends.caller.layer.size() == 0);
    }

    TEST_CASE("a closed port fails a request at once") {
        for (const auto kind : kinds) {
            CAPTURE(uri_token(kind));
            Layers ends;
            ends.caller.listen(kind);
            Address closed;
            {
                Bare gone(ends.loop);
                closed = gone.listen(kind);
            }
            const auto begun = ends.loop.now();
            Asked asked(ends.caller, request_to(closed, "INVITE", kind), open(ends.caller, closed, kind));
            REQUIRE(ends.until([&] { return !asked.errors.empty(); }));
            CHECK(asked.errors.front().code == Errc::network);
            CHECK(ends.loop.now() - begun < Duration(200));
            CHECK(ends.caller.layer.size() == 0);
        }
    }

    TEST_CASE("an INVITE gets 100 at once, its refusal is acknowledged, and repeated until then") {
        for (const auto kind : kinds) {
            CAPTURE(uri_token(kind));
            Layers ends;
            ends.caller.listen(kind);
            const Address to = ends.callee.listen(kind);
            ServerTransaction ringing;
            ends.callee.serve = [&](const Message &, const Flow &, const ServerTransaction &t) {
                ringing = t;
            };
            Asked asked(ends.caller, request_to(to, "INVITE", kind), open(ends.caller, to, kind));
            REQUIRE(ends.until([&] { return asked.responses.size() == 1; }));
            CHECK(asked.statuses() == Statuses{100});
            ringing.respond(180);
            ringing.respond(486);
            CHECK(ringing.answered());
            REQUIRE(ends.until([&] { return asked.responses.size() == 3; }));
            CHECK(asked.statuses() == Statuses{100, 180, 486});
            CHECK(ends.until([&] { return ends.caller.layer.size() + ends.callee.layer.size() == 0; }));
            CHECK(ends.callee.failures.empty());     // the ACK came
            CHECK(ends.callee.requests.size() == 1); // and nobody above heard of it
        }
    }

    TEST_CASE("the ACK of a refusal has the Via and Route of the INVITE and the To of the response") {
        LayerAndBare ends;
        ends.caller.listen();
        const Address to = ends.peer.listen();
        ends.peer.serve = [&](const Message &m, const Flow &flow) {
            if (m.method() == Method::invite) ends.peer.answer(m, flow, 603, "decline");
        };
        Draft invite = request_to(to, "INVITE", TransportKind::udp);
        invite.add("Route", "<sip:one.example.com;lr>").add("Route", "<sip:two.example.com;lr>");
        Asked asked(ends.caller, invite, open(ends.caller, to));
        REQUIRE(ends.until([&] { return ends.peer.count("ACK") > 0; }));
        const Message &sent = ends.peer.messages.front();
        const Message &ack = ends.peer.messages.back();
        CHECK(ack.request_uri() == sent.request_uri());
        CHECK(ack.value(HeaderId::via) == sent.value(HeaderId::via));
        CHECK(ack.count(HeaderId::via) == 1);
        CHECK(ack.list(HeaderId::route) == sent.list(HeaderId::route));
        CHECK(ack.to()->tag() == "decline");
        CHECK(ack.value(HeaderId::from) == sent.value(HeaderId::from));
        CHECK(ack.value(HeaderId::cseq) == "7 ACK");
    }

    TEST_CASE("a refusal without ACK is repeated, then reported") {
        LayerAndBare ends;
        Party &callee = ends.caller;
        const Address to = callee.listen();
        ends.peer.listen();
        callee.serve = [](const Message &, const Flow &, const ServerTransaction &t) { t.respond(404); };
        const Flow flow = ends.peer.transports.open({TransportKind::udp, to, ""}).value();
        Draft invite = request_to(to, "INVITE", TransportKind::udp);
        const Address from = ends.peer.transports.contact_address(flow);
        invite.prepend("Via", "SIP/2.0/UDP " + from.to_string() + ";branch=z9hG4bKnoack");
        REQUIRE(ends.peer.transports.send(flow, invite.encode()).has_value());
        REQUIRE(ends.until([&] { return !callee.failures.empty(); }));
        CHECK(callee.failures.front().code == Errc::timeout);
        CHECK(ends.peer.messages.size() >= 5);
        CHECK(callee.layer.size() == 0);
    }

    TEST_CASE("CANCEL waits for a provisional response") {
        LayerAndBare ends;
        ends.caller.listen();
        const Address to = ends.peer.listen();
        Flow back;
        ends.peer.serve = [&](const Message &, const Flow &flow) { back = flow; };
        Asked asked(ends.caller, request_to(to, "INVITE", TransportKind::udp), open(ends.caller, to));
        asked.transaction.cancel("SIP;cause=200");
        REQUIRE(ends.until([&] { return ends.peer.count("INVITE") >= 3; }));
        CHECK(ends.peer.count("CANCEL") == 0);
        const Message invite = ends.peer.messages.front();
        ends.peer.answer(invite, back, 180);
        REQUIRE(ends.until([&] { return ends.peer.count("CANCEL") > 0; }));
        const Message &cancel = ends.peer.messages.back();
        CHECK(cancel.value(HeaderId::via) == invite.value(HeaderId::via));
        CHECK(cancel.value(HeaderId::cseq) == "7 CANCEL");
        CHECK(cancel.value(HeaderId::reason) == "SIP;cause=200");
        CHECK(cancel.value(HeaderId::to) == invite.value(HeaderId::to));
        // Nobody answers: 64*T1 after the CANCEL it is over.
        REQUIRE(ends.until([&] { return !asked.errors.empty(); }));
        CHECK(asked.errors.front().code == Errc::timeout);
    }

    TEST_CASE("a cancelled INVITE ends with 487 on both sides") {
        for (const auto kind : kinds) {
            CAPTURE(uri_token(kind));
            Layers ends;
            ends.caller.listen(kind);
            const Address to = ends.callee.listen(kind);
            ends.callee.serve = [](const Message &, const Flow &, const ServerTransaction &t) {
                t.respond(180);
            };
            Asked asked(ends.caller, request_to(to, "INVITE", kind), open(ends.caller, to, kind));
            REQUIRE(ends.until([&] { return asked.responses.size() == 1; }));
            asked.transaction.cancel();
            asked.transaction.cancel();
            REQUIRE(ends.until([&] { return asked.responses.size() == 2; }));
            CHECK(asked.statuses() == Statuses{180, 487});
            CHECK(ends.callee.cancels.size() == 1);
            CHECK(ends.until([&] { return ends.caller.layer.size() + ends.callee.layer.size() == 0; }));
            CHECK(asked.errors.empty());
        }
    }

    TEST_CASE("a CANCEL that matches nothing gets 481") {
        LayerAndBare ends;
        const Address to = ends.caller.listen();
        ends.peer.listen();
        const Flow flow = ends.peer.transports.open({TransportKind::udp, to, ""}).value();
        Draft cancel = request_to(to, "CANCEL", TransportKind::udp);
        cancel.prepend("Via", "SIP/2.0/UDP " + ends.peer.transports.contact_address(flow).to_string() +
                                  ";branch=z9hG4bKnothing");
        REQUIRE(ends.peer.transports.send(flow, cancel.encode()).has_value());
        REQUIRE(ends.until([&] { return !ends.peer.messages.empty(); }));
        CHECK(ends.peer.messages.front().status() == 481);
        CHECK(ends.caller.requests.empty());
        CHECK(ends.caller.cancels.empty());
    }

    TEST_CASE("a response with another number of Vias than the request is nobody's") {
        LayerAndBare ends;
        ends.caller.listen();
        const Address to = ends.peer.listen();
        ends.peer.serve = [&](const Message &m, const Flow &flow) {
            auto more = Draft::response(m, 200, {}, "more");
            more.add("Via", "SIP/2.0/UDP elsewhere;branch=z9hG4bKx");
            static_cast<void>(ends.peer.transports.send(flow, more.encode()));
            auto right = Draft::response(m, 486, {}, "right");
            static_cast<void>(ends.peer.transports.send(flow, right.encode()));
        };
        for (const bool proxied : {false, true}) {
            auto request = request_to(to, "OPTIONS", TransportKind::udp);
            if (proxied) request.add("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKclient");
            Asked asked(ends.caller, request, open(ends.caller, to));
            REQUIRE(ends.until([&] { return !asked.responses.empty(); }));
            CHECK(asked.statuses() == Statuses{486});
            CHECK(asked.responses.front().list(HeaderId::via).size() == (proxied ? 2 : 1));
        }
    }

} // TEST_SUITE
