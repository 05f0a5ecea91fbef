#include <chrono>
#include <memory>

#include "tests/integration/transaction_fixture.hpp"

using namespace offhook;
using namespace offhook::test;
using namespace offhook::test::layers;
using namespace offhook::sip;
using Statuses = std::vector<unsigned>;

TEST_SUITE("transaction layer") {

    TEST_CASE("every 2xx of a forked INVITE is passed up, and later ones as strays") {
        LayerAndBare ends;
        ends.caller.listen();
        const Address to = ends.peer.listen();
        Flow back;
        ends.peer.serve = [&](const Message &m, const Flow &flow) {
            back = flow;
            if (m.method() != Method::invite) return;
            ends.peer.answer(m, flow, 200, "first");
            ends.peer.answer(m, flow, 200, "second");
        };
        Asked asked(ends.caller, request_to(to, "INVITE", TransportKind::udp), open(ends.caller, to));
        REQUIRE(ends.until([&] { return asked.responses.size() >= 2; }));
        CHECK(asked.responses[0].to()->tag() == "first");
        CHECK(asked.responses[1].to()->tag() == "second");
        REQUIRE(ends.until([&] { return ends.caller.layer.size() == 0; })); // timer M
        ends.peer.answer(ends.peer.messages.front(), back, 200, "late");
        REQUIRE(ends.until([&] { return !ends.caller.strays.empty(); }));
        CHECK(ends.caller.strays.front().to()->tag() == "late");
    }

    TEST_CASE("responses that do not fit the request are ignored") {
        LayerAndBare ends;
        ends.caller.listen();
        const Address to = ends.peer.listen();
        ends.peer.serve = [&](const Message &m, const Flow &flow) {
            Draft wrong = Draft::response(m, 200, {}, "x");
            for (const auto &[header, value] : std::vector<std::pair<std::string, std::string>>{
                     {"CSeq", "8 OPTIONS"},
                     {"CSeq", "7 INFO"},
                     {"Call-ID", "another"},
                     {"Via", "SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKother"}}) {
                Draft one = wrong;
                REQUIRE(ends.peer.transports.send(flow, one.set(header, value).encode()).has_value());
            }
            ends.peer.answer(m, flow, 404);
        };
        Asked asked(ends.caller, request_to(to, "OPTIONS", TransportKind::udp), open(ends.caller, to));
        REQUIRE(ends.until([&] { return !asked.responses.empty(); }));
        CHECK(asked.statuses() == Statuses{404});
    }

    TEST_CASE("requests without the magic cookie are matched by RFC 2543 rules") {
        LayerAndBare ends;
        Party &callee = ends.caller;
        const Address to = callee.listen();
        ends.peer.listen();
        callee.serve = [](const Message &, const Flow &, const ServerTransaction &t) {
            if (t) t.respond(486, {}, "callee");
        };
        const Flow flow = ends.peer.transports.open({TransportKind::udp, to, ""}).value();
        Draft invite = request_to(to, "INVITE", TransportKind::udp);
        invite.prepend("Via",
                       "SIP/2.0/UDP " + ends.peer.transports.contact_address(flow).to_string() + ";branch=1");
        REQUIRE(ends.peer.transports.send(flow, invite.encode()).has_value());
        REQUIRE(ends.peer.transports.send(flow, invite.encode()).has_value());
        REQUIRE(ends.until([&] { return ends.peer.messages.size() >= 2; }));
        CHECK(callee.requests.size() == 1); // the second was a retransmission
        Draft ack = invite;
        ack.method = "ACK";
        ack.set("CSeq", "7 ACK").set("To", std::string(invite.get("To")) + ";tag=callee");
        REQUIRE(ends.peer.transports.send(flow, ack.encode()).has_value());
        REQUIRE(ends.until([&] { return callee.layer.size() == 0; }));
        CHECK(callee.failures.empty());
        CHECK(callee.requests.size() == 1);
    }

    TEST_CASE("a response finds its way when the connection of the request is lost") {
        Loop loop;
        Party callee(loop);
        const Address to = callee.listen(TransportKind::tcp);
        ServerTransaction waiting;
        callee.serve = [&](const Message &, const Flow &, const ServerTransaction &t) { waiting = t; };
        Bare listening(loop);
        const Address sent_by = listening.listen(TransportKind::tcp);
        auto first = std::make_unique<Bare>(loop);
        const Flow flow = first->transports.open({TransportKind::tcp, to, ""}).value();
        Draft invite = request_to(to, "INVITE", TransportKind::tcp);
        invite.prepend("Via", "SIP/2.0/TCP " + sent_by.to_string() + ";branch=z9hG4bKmoved");
        REQUIRE(first->transports.send(flow, invite.encode()).has_value());
        REQUIRE(run_until(loop, [&] { return static_cast<bool>(waiting); }));
        first.reset();
        REQUIRE(run_until(loop, [&] { return !callee.failed_flows.empty(); }));
        CHECK(callee.failures.empty());
        waiting.respond(200);
        REQUIRE(run_until(loop, [&] { return !listening.messages.empty(); }));
        CHECK(listening.messages.front().status() == 200);
    }

    TEST_CASE("a response nobody can be given is reported") {
        Loop loop;
        Party callee(loop);
        const Address to = callee.listen(TransportKind::tcp);
        ServerTransaction waiting;
        callee.serve = [&](const Message &, const Flow &, const ServerTransaction &t) { waiting = t; };
        auto first = std::make_unique<Bare>(loop);
        const Address gone = first->listen(TransportKind::tcp);
        const Flow flow = first->transports.open({TransportKind::tcp, to, ""}).value();
        Draft invite = request_to(to, "INVITE", TransportKind::tcp);
        invite.prepend("Via", "SIP/2.0/TCP " + gone.to_string() + ";branch=z9hG4bKlost");
        REQUIRE(first->transports.send(flow, invite.encode()).has_value());
        REQUIRE(run_until(loop, [&] { return static_cast<bool>(waiting); }));
        first.reset();
        REQUIRE(run_until(loop, [&] { return !callee.failed_flows.empty(); }));
        waiting.respond(486);
        REQUIRE(run_until(loop, [&] { return !callee.failures.empty(); }));
        CHECK(callee.failures.front().code == Errc::network);
        CHECK(!waiting);
        CHECK(callee.layer.size() == 0);
    }

    TEST_CASE("a dropped request is not answered") {
        LayerAndBare ends;
        const Address to = ends.caller.listen();
        ends.peer.listen();
        ends.caller.serve = [](const Message &m, const Flow &, const ServerTransaction &t) {
            if (m.method() == Method::invite)
                t.drop();
            else
                t.respond(200);
        };
        const Flow flow = ends.peer.transports.open({TransportKind::udp, to, ""}).value();
        for (const auto *method : {"INVITE", "OPTIONS"}) {
            Draft draft = request_to(to, method, TransportKind::udp);
            draft.prepend("Via", "SIP/2.0/UDP " + ends.peer.transports.contact_address(flow).to_string() +
                                     ";branch=z9hG4bK" + method);
            REQUIRE(ends.peer.transports.send(flow, draft.encode()).has_value());
        }
        REQUIRE(ends.until([&] { return !ends.peer.messages.empty(); }));
        CHECK(ends.peer.messages.front().value(HeaderId::cseq) == "7 OPTIONS");
    }

    TEST_CASE("callbacks may destroy the transaction, and a detached INVITE's answer is a stray") {
        LayerAndBare ends;
        ends.caller.listen();
        const Address to = ends.peer.listen();
        Flow back;
        ends.peer.serve = [&](const Message &m, const Flow &flow) {
            back = flow;
            if (m.method() == Method::invite) ends.peer.answer(m, flow, 180);
        };
        auto asked = std::make_unique<ClientTransaction>();
        bool told = false;
        *asked = ends.caller.layer.request(
            request_to(to, "INVITE", TransportKind::udp), open(ends.caller, to),
            [&](const Message &, const Flow &) {
                asked.reset();
                told = true;
            },
            [](const Error &) {});
        REQUIRE(ends.until([&] { return told; }));
        ends.peer.answer(ends.peer.messages.front(), back, 200);
        REQUIRE(ends.until([&] { return !ends.caller.strays.empty(); }));
    }

    TEST_CASE("a callback may destroy the layer") {
        Loop loop;
        auto caller = std::make_unique<Party>(loop);
        Bare peer(loop);
        caller->listen();
        const Address to = peer.listen();
        peer.serve = [&](const Message &m, const Flow &flow) { peer.answer(m, flow, 200); };
        bool told = false;
        auto transaction = caller->layer.request(
            request_to(to, "OPTIONS", TransportKind::udp), open(*caller, to),
            [&](const Message &, const Flow &) {
                caller.reset();
                told = true;
            },
            [](const Error &) {});
        REQUIRE(run_until(loop, [&] { return told; }));
        CHECK(!transaction.running());
        transaction.cancel();
    }

    TEST_CASE("a full table refuses new requests with 503") {
        LayerAndBare ends;
        Party &callee = ends.caller;
        const Address to = callee.listen(TransportKind::tcp);
        std::size_t open_requests = 0;
        callee.serve = [&](const Message &, const Flow &, const ServerTransaction &) { ++open_requests; };
        const Flow flow = ends.peer.transports.open({TransportKind::tcp, to, ""}).value();
        Draft invite = request_to(to, "INVITE", TransportKind::tcp);
        std::size_t sent = 0, refused = 0;
        ends.peer.serve = [&](const Message &m, const Flow &) {
            if (m.status() == 503) ++refused;
        };
        while (sent < 10'010) {
            for (const std::size_t batch = sent + 500; sent < batch && sent < 10'010; ++sent) {
                Draft one = invite;
                one.prepend("Via", "SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK" + std::to_string(sent));
                REQUIRE(ends.peer.transports.send(flow, one.encode()).has_value());
            }
            REQUIRE(ends.until([&] { return ends.peer.messages.size() == sent; }));
        }
        CHECK(open_requests == 10'000);
        CHECK(refused == 10);
    }

    TEST_CASE("what is not admitted costs no transaction: 503, then nothing") {
        LayerAndBare ends;
        Party &server = ends.caller;
        Bare &client = ends.peer;
        const Address to = server.listen();
        client.listen();
        int asked = 0;
        server.layer.set_admission([&](const sip::Message &, const sip::Flow &) {
            ++asked;
            return asked == 1 ? sip::FloodGuard::Verdict::refuse : sip::FloodGuard::Verdict::drop;
        });
        const auto flow = client.transports.open({TransportKind::udp, to, ""}).value();
        for (int i = 0; i < 2; ++i) {
            sip::Draft options = request_to(to, "OPTIONS", TransportKind::udp);
            options.prepend("Via", "SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK" + std::to_string(i));
            options.add("Max-Forwards", "70");
            CHECK(client.transports.send(flow, options.encode()).has_value());
        }
        CHECK(ends.until([&] { return asked == 2 && !client.messages.empty(); }));
        run_until(
            ends.loop, [] { return false; }, Duration(50));
        REQUIRE(client.messages.size() == 1);
        CHECK(client.messages[0].status() == 503);
        CHECK(client.messages[0].has(sip::HeaderId::retry_after));
        CHECK(server.requests.empty());
        CHECK(server.layer.size() == 0);
    }

} // TEST_SUITE
