// ClientRequest against small servers: digest, fail-over, fall-back from TCP to UDP, cancel in every phase.
#include <memory>

#include "sip/request.hpp"
#include "tests/integration/transaction_fixture.hpp"
#include "tests/support/dns_server.hpp"
#include "tests/support/registrar.hpp"

using namespace offhook;
using namespace offhook::test;
using namespace offhook::test::layers;
using namespace offhook::sip;

namespace {

Uri uri_of(const Address &address, TransportKind kind = TransportKind::udp) {
    std::string text = "sip:" + address.to_string();
    if (kind != TransportKind::udp) text += ";transport=" + std::string(uri_token(kind));
    return Uri::parse(text).value();
}

struct Client {
    explicit Client(Loop &on, Resolver::Options resolving = {})
        : loop(on), party(on, fast_timers), resolver(on, std::move(resolving)),
          authenticator(
              std::make_shared<Authenticator>(Authenticator::Options{{"alice", "secret"}, "", true})) {
        party.listen();
    }

    ClientRequest::Options options(const Address &to, std::string_view method,
                                   TransportKind kind = TransportKind::udp) {
        ClientRequest::Options out;
        out.draft = request_to(to, method, kind);
        out.next_hop = uri_of(to, kind);
        out.authenticator = authenticator;
        return out;
    }
    void send(ClientRequest::Options options) {
        outcomes.clear();
        provisionals.clear();
        request = std::make_unique<ClientRequest>(
            party.layer, resolver, loop, std::move(options),
            [this](const Message &response, const Flow &) { provisionals.push_back(response.status()); },
            [this](const ClientRequest::Outcome &outcome) {
                outcomes.push_back(outcome);
                loop.stop();
            });
    }
    bool ended() {
        return run_until(loop, [this] { return !outcomes.empty(); });
    }
    [[nodiscard]] unsigned status() const {
        return outcomes.front().response ? outcomes.front().response->status() : 0;
    }

    Loop &loop;
    Party party;
    Resolver resolver;
    std::shared_ptr<Authenticator> authenticator;
    std::unique_ptr<ClientRequest> request;
    std::vector<ClientRequest::Outcome> outcomes;
    std::vector<unsigned> provisionals;
};

Address closed_port(Loop &loop, TransportKind kind) {
    Bare gone(loop);
    return gone.listen(kind);
}

} // namespace

TEST_SUITE("request") {

    TEST_CASE("a challenge is answered with MD5 and SHA-256, then the nonce is used again") {
        for (const auto *algorithm : {"MD5", "SHA-256"}) {
            CAPTURE(algorithm);
            Loop loop;
            Registrar server(loop, fast_timers);
            server.credentials = Credentials{"alice", "secret"};
            server.algorithms = {algorithm};
            const Address to = server.listen(TransportKind::udp);
            Client client(loop);
            client.send(client.options(to, "OPTIONS"));
            REQUIRE(client.ended());
            CHECK(client.status() == 200);
            CHECK(client.outcomes.front().authenticated);
            REQUIRE(server.requests.size() == 2);
            CHECK(server.requests[0].value(HeaderId::cseq) == "7 OPTIONS");
            CHECK(server.requests[1].value(HeaderId::cseq) == "8 OPTIONS");
            CHECK(server.requests[0].call_id() == server.requests[1].call_id());
            CHECK(server.requests[0].top_via()->branch() != server.requests[1].top_via()->branch());
            CHECK(client.request->draft().get("CSeq") == "8 OPTIONS");

            client.send(client.options(to, "OPTIONS"));
            REQUIRE(client.ended());
            CHECK(client.status() == 200);
            CHECK(server.requests.size() == 3);
            CHECK(server.challenges == 1);
        }
    }

    TEST_CASE("a server that always asks again is tried twice; with stale nonces three times") {
        for (const bool stale : {false, true}) {
            Loop loop;
            Registrar server(loop, fast_timers);
            server.credentials = Credentials{"alice", "secret"};
            server.refuse_all = true;
            server.stale = stale;
            const Address to = server.listen(TransportKind::udp);
            Client client(loop);
            client.send(client.options(to, "OPTIONS"));
            REQUIRE(client.ended());
            CHECK(client.status() == 401);
            CHECK(client.outcomes.front().authenticated);
            CHECK(server.requests.size() == (stale ? 3 : 2));
        }
    }

    TEST_CASE("a stranger's challenge gets no credentials, even when we know some") {
        Loop loop;
        Registrar own(loop, fast_timers), stranger(loop, fast_timers);
        own.credentials = stranger.credentials = Credentials{"alice", "secret"};
        const Address home = own.listen(TransportKind::udp), away = stranger.listen(TransportKind::udp);
        Client client(loop);
        client.send(client.options(home, "OPTIONS"));
        REQUIRE(client.ended());
        auto options = client.options(away, "OPTIONS");
        options.trusted = false;
        client.send(std::move(options));
        REQUIRE(client.ended());
        CHECK(client.status() == 401);
        CHECK(!client.outcomes.front().authenticated);
        REQUIRE(stranger.requests.size() == 1);
        CHECK(!stranger.requests[0].has(HeaderId::authorization));
    }

    TEST_CASE("the next hop is tried when one is refused, silent or busy with 503") {
        enum class First { closed, silent, unavailable };
        for (const auto first : {First::closed, First::silent, First::unavailable}) {
            CAPTURE(static_cast<int>(first));
            Loop loop;
            Registrar second(loop, fast_timers);
            const Address good = second.listen(TransportKind::udp);
            Bare bad(loop);
            const Address bad_address = first == First::closed ? closed_port(loop, TransportKind::udp)
                                                               : bad.listen(TransportKind::udp);
            if (first == First::unavailable)
                bad.serve = [&](const Message &m, const Flow &flow) { bad.answer(m, flow, 503); };
            DnsServer names(loop);
            names.add_srv("_sip._udp.two.example", 1, 0, bad_address.port(), "here.example");
            names.add_srv("_sip._udp.two.example", 2, 0, good.port(), "here.example");
            names.add_a("here.example", "127.0.0.1");
            Client client(loop, {{names.address()}});
            auto options = client.options(good, "OPTIONS");
            options.next_hop = Uri::parse("sip:two.example;transport=udp").value();
            client.send(std::move(options));
            REQUIRE(client.ended());
            CHECK(client.status() == 200);
            REQUIRE(second.requests.size() == 1);
            CHECK(second.requests[0].value(HeaderId::cseq) == "7 OPTIONS");
            if (!bad.messages.empty()) {
                CHECK(bad.messages[0].call_id() == second.requests[0].call_id());
                CHECK(bad.messages[0].top_via()->branch() != second.requests[0].top_via()->branch());
            }
        }
    }

    TEST_CASE("the last hop's 503, refusal and silence are the outcome") {
        Loop loop;
        Bare peer(loop);
        const Address to = peer.listen();
        Client client(loop);
        client.send(client.options(to, "OPTIONS"));
        REQUIRE(client.ended());
        CHECK(client.outcomes.front().response.error().code == Errc::timeout);
        peer.serve = [&](const Message &m, const Flow &flow) { peer.answer(m, flow, 503); };
        client.send(client.options(to, "OPTIONS"));
        REQUIRE(client.ended());
        CHECK(client.status() == 503);
        client.send(client.options(closed_port(loop, TransportKind::tcp), "OPTIONS", TransportKind::tcp));
        REQUIRE(client.ended());
        CHECK(client.outcomes.front().response.error().code == Errc::network);
    }

    TEST_CASE("a request too long for a datagram goes by TCP, or by UDP when TCP is refused") {
        for (const bool tcp : {true, false}) {
            Loop loop;
            Registrar server(loop, fast_timers);
            const Address to = server.listen(TransportKind::udp);
            if (tcp) server.listen(TransportKind::tcp, to.port());
            Client client(loop);
            for (const std::size_t size : {100U, 1300U}) {
                auto options = client.options(to, "OPTIONS");
                options.draft.set_body("text/plain", std::string(size, 'x'));
                std::vector<TransportKind> prepared;
                options.prepare = [&](Draft &draft, const Flow &flow) {
                    prepared.push_back(flow.kind);
                    draft.set("Contact", "<sip:x@" + flow.local.to_string() + ">");
                };
                server.requests.clear();
                client.send(std::move(options));
                REQUIRE(client.ended());
                CHECK(client.status() == 200);
                REQUIRE(server.requests.size() == 1);
                const auto *expected = size > 1000 && tcp ? "TCP" : "UDP";
                CHECK(server.requests[0].top_via()->transport == expected);
                CHECK(prepared.size() >= 1);
                CHECK(server.requests[0].count(HeaderId::contact) == 1);
            }
        }
    }

    TEST_CASE("a deadline ends a request whatever the transaction thinks") {
        Loop loop;
        Bare peer(loop);
        const Address to = peer.listen();
        peer.serve = [&](const Message &m, const Flow &flow) {
            if (m.method() == Method::invite) peer.answer(m, flow, 180);
        };
        Client client(loop);
        auto options = client.options(to, "INVITE");
        options.total = Duration(60);
        client.send(std::move(options));
        REQUIRE(client.ended());
        CHECK(client.outcomes.front().response.error().code == Errc::timeout);
        CHECK(client.provisionals == std::vector<unsigned>{180});
        CHECK(run_until(loop, [&] { return peer.count("CANCEL") > 0; }));
    }

    TEST_CASE("cancel while resolving, while waiting and while ringing") {
        Loop loop;
        Bare peer(loop);
        const Address to = peer.listen();
        Client client(loop);
        client.send(client.options(to, "INVITE")); // the resolver answers later
        client.request->cancel();
        CHECK(client.outcomes.empty());
        REQUIRE(client.ended());
        CHECK(client.outcomes.front().response.error().sip == 487);
        CHECK(peer.messages.empty());

        bool ring = false;
        Message invite;
        peer.serve = [&](const Message &m, const Flow &flow) {
            if (m.method() == Method::invite) invite = m;
            if (m.method() == Method::invite && ring) peer.answer(m, flow, 180);
            if (m.method() == Method::cancel) {
                peer.answer(m, flow, 200);
                peer.answer(invite, flow, 487);
            }
        };
        for (const bool before_provisional : {true, false}) {
            peer.messages.clear();
            ring = !before_provisional;
            client.send(client.options(to, "INVITE"));
            REQUIRE(run_until(loop, [&] {
                return before_provisional ? peer.count("INVITE") == 1 : client.provisionals.size() == 1;
            }));
            client.request->cancel("SIP;cause=200");
            ring = true;
            REQUIRE(client.ended());
            CHECK(client.status() == 487);
            CHECK(peer.count("CANCEL") == 1);
            CHECK(client.outcomes.size() == 1);
        }
    }

    TEST_CASE("every 2xx of a fork is told") {
        Loop loop;
        Bare peer(loop);
        const Address to = peer.listen();
        peer.serve = [&](const Message &m, const Flow &flow) {
            if (m.method() != Method::invite) return;
            peer.answer(m, flow, 200, "first");
            peer.answer(m, flow, 200, "second");
        };
        Client client(loop);
        client.send(client.options(to, "INVITE"));
        REQUIRE(run_until(loop, [&] { return client.outcomes.size() >= 2; }));
        CHECK(client.outcomes[0].response->to()->tag() == "first");
        CHECK(client.outcomes[1].response->to()->tag() == "second");
    }

    TEST_CASE("a request by a lost connection finds its peer again") {
        Loop loop;
        auto server = std::make_unique<Registrar>(loop, fast_timers);
        const Address to = server->listen(TransportKind::tcp);
        Client client(loop);
        client.send(client.options(to, "OPTIONS", TransportKind::tcp));
        REQUIRE(client.ended());
        const Flow flow = client.outcomes.front().flow;
        server.reset();
        REQUIRE(run_until(loop, [&] { return !client.party.failed_flows.empty(); }));
        Registrar again(loop, fast_timers);
        again.listen(TransportKind::tcp, to.port());
        auto options = client.options(to, "OPTIONS", TransportKind::tcp);
        options.flow = flow;
        client.send(std::move(options));
        REQUIRE(client.ended());
        CHECK(client.status() == 200);
        CHECK(!(client.outcomes.front().flow == flow));
    }

    TEST_CASE("the user may destroy the request from its callbacks") {
        Loop loop;
        Bare peer(loop);
        const Address to = peer.listen();
        peer.serve = [&](const Message &m, const Flow &flow) {
            peer.answer(m, flow, m.method() == Method::invite ? 180 : 200);
        };
        Client client(loop);
        bool told = false;
        std::unique_ptr<ClientRequest> request;
        request = std::make_unique<ClientRequest>(
            client.party.layer, client.resolver, loop, client.options(to, "INVITE"),
            [&](const Message &, const Flow &) {
                request.reset();
                told = true;
            },
            [](const ClientRequest::Outcome &) {});
        REQUIRE(run_until(loop, [&] { return told; }));
        told = false;
        request = std::make_unique<ClientRequest>(client.party.layer, client.resolver, loop,
                                                  client.options(to, "OPTIONS"), nullptr,
                                                  [&](const ClientRequest::Outcome &) {
                                                      request.reset();
                                                      told = true;
                                                  });
        REQUIRE(run_until(loop, [&] { return told; }));
    }

} // TEST_SUITE
