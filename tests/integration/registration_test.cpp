#include <memory>

#include "sip/registration.hpp"
#include "tests/integration/transaction_fixture.hpp"
#include "tests/support/registrar.hpp"

using namespace offhook;
using namespace offhook::test;
using namespace offhook::test::layers;
using namespace offhook::sip;

namespace {

struct Phone final : Registration::Listener {
    explicit Phone(Loop &on) : loop(on), party(on), resolver(on) { party.listen(); }

    void on_registering() override { events.emplace_back("registering"); }
    void on_registered(const Registration::Outcome &outcome) override {
        events.push_back("registered " + std::to_string(outcome.granted.count()));
        last = outcome;
        loop.stop();
    }
    void on_failed(const Error &error, std::optional<Duration> retry_in) override {
        events.push_back("failed " + std::to_string(error.sip) + (retry_in ? "" : " for good"));
        errors.push_back(error);
        waits.push_back(retry_in.value_or(Duration(-1)));
        loop.stop();
    }
    void on_unregistered() override { events.emplace_back("unregistered"); }

    Registration &at(const Address &registrar, TransportKind kind = TransportKind::udp) {
        Registration::Options options = base;
        std::string uri = "sip:" + registrar.to_string();
        if (kind != TransportKind::udp) uri += ";transport=" + std::string(uri_token(kind));
        options.aor = Uri::parse("sip:alice@" + registrar.to_string()).value();
        options.registrar = Uri::parse(uri).value();
        options.contact_user = "a1";
        options.authenticator =
            std::make_shared<Authenticator>(Authenticator::Options{{"alice", password}, "", true});
        registration = std::make_unique<Registration>(loop, party.layer, resolver, options, *this);
        return *registration;
    }
    bool until(std::size_t count) {
        return run_until(loop, [&] { return events.size() >= count; });
    }

    Loop &loop;
    Party party;
    Resolver resolver;
    Registration::Options base;
    std::string password = "secret";
    std::unique_ptr<Registration> registration;
    std::vector<std::string> events;
    std::vector<Error> errors;
    std::vector<Duration> waits;
    Registration::Outcome last;
};

using Events = std::vector<std::string>;

} // namespace

TEST_SUITE("registration") {

    TEST_CASE("a phone registers with digest, is found, asked for and removed, over UDP and TCP") {
        for (const auto kind : {TransportKind::udp, TransportKind::tcp}) {
            CAPTURE(uri_token(kind));
            Loop loop;
            Registrar registrar(loop, fast_timers);
            registrar.credentials = Credentials{"alice", "secret"};
            registrar.max_expires = 60;
            const Address to = registrar.listen(kind);
            Phone phone(loop);
            auto &registration = phone.at(to, kind);
            registration.start();
            REQUIRE(phone.until(2));
            CHECK(phone.events == Events{"registering", "registered 60"});
            CHECK(registration.registered());
            REQUIRE(registrar.bindings().size() == 1);
            CHECK(registrar.bindings().begin()->first == registration.contact_uri(*registration.flow()));
            CHECK(!registration.public_address());
            CHECK(phone.last.bindings.size() == 1);

            std::vector<NameAddr> bindings;
            registration.query([&](Result<std::vector<NameAddr>> result) {
                REQUIRE(result.has_value());
                bindings = *result;
                loop.stop();
            });
            REQUIRE(run_until(loop, [&] { return !bindings.empty(); }));
            CHECK(bindings[0].uri.user == "a1");

            bool removed = false;
            registration.unregister([&](Result<> result) {
                CHECK(result.has_value());
                removed = true;
                loop.stop();
            });
            REQUIRE(run_until(loop, [&] { return removed; }));
            CHECK(phone.events.back() == "unregistered");
            CHECK(registrar.bindings().empty());
            CHECK(!registration.registered());
        }
    }

    TEST_CASE("one Call-ID, growing CSeq, and a refresh at once after a link change") {
        Loop loop;
        Registrar registrar(loop, fast_timers);
        registrar.credentials = Credentials{"alice", "secret"};
        const Address to = registrar.listen(TransportKind::udp);
        Phone phone(loop);
        auto &registration = phone.at(to);
        registration.start();
        REQUIRE(phone.until(2));
        registration.refresh_now();
        REQUIRE(phone.until(3));
        REQUIRE(registrar.requests.size() == 3); // challenge, answer, refresh with the known nonce
        std::uint32_t before = 0;
        for (const auto &request : registrar.requests) {
            CHECK(request.call_id() == registrar.requests.front().call_id());
            CHECK(request.cseq()->number == before + 1);
            before = request.cseq()->number;
        }
    }

    TEST_CASE("a link change opens a new connection") {
        Loop loop;
        Registrar registrar(loop, fast_timers);
        const Address to = registrar.listen(TransportKind::tcp);
        Phone phone(loop);
        auto &registration = phone.at(to, TransportKind::tcp);
        registration.start();
        REQUIRE(phone.until(2));
        const Flow before = *registration.flow();
        registration.refresh_now();
        REQUIRE(run_until(loop, [&] { return registrar.requests.size() == 2 && registration.registered(); }));
        CHECK(registration.flow()->connection != before.connection);
    }

    TEST_CASE("wrong credentials are tried once and reported as such") {
        Loop loop;
        Registrar registrar(loop, fast_timers);
        registrar.credentials = Credentials{"alice", "secret"};
        const Address to = registrar.listen(TransportKind::udp);
        Phone phone(loop);
        phone.password = "wrong";
        phone.at(to).start();
        REQUIRE(phone.until(2));
        CHECK(phone.events == Events{"registering", "failed 401"});
        CHECK(phone.errors.front().code == Errc::authentication);
        CHECK(phone.waits.front() == std::chrono::minutes(5));
        CHECK(registrar.requests.size() == 2);
    }

    TEST_CASE("an interval that is too brief is raised without a failure") {
        Loop loop;
        Registrar registrar(loop, fast_timers);
        registrar.min_expires = 1200;
        const Address to = registrar.listen(TransportKind::udp);
        Phone phone(loop);
        phone.at(to).start();
        REQUIRE(run_until(loop, [&] { return phone.last.granted.count() > 0; }));
        CHECK(phone.last.granted.count() == 1200);
        CHECK(phone.errors.empty());
    }

    TEST_CASE("Retry-After of a busy registrar is passed on") {
        Loop loop;
        Registrar registrar(loop, fast_timers);
        registrar.intercept = [](const Message &m, const Flow &, const ServerTransaction &t) {
            t.respond(Draft::response(m, 503, {}, "r").add("Retry-After", "20 (upgrade);duration=60"));
            return true;
        };
        const Address to = registrar.listen(TransportKind::udp);
        Phone phone(loop);
        phone.at(to).start();
        REQUIRE(phone.until(2));
        CHECK(phone.events == Events{"registering", "failed 503"});
        CHECK(phone.waits.front() >= std::chrono::seconds(20));
        CHECK(phone.waits.front() <= std::chrono::seconds(22));
    }

    TEST_CASE("once: a refusal or a dead registrar is final") {
        Loop loop;
        Phone phone(loop);
        phone.base.once = true;
        Address closed;
        {
            Bare gone(loop);
            closed = gone.listen();
        }
        phone.at(closed).start();
        REQUIRE(phone.until(2));
        CHECK(phone.events == Events{"registering", "failed 0 for good"});
        CHECK(phone.errors.front().code == Errc::network);
    }

    TEST_CASE("a registrar that comes back is found again") {
        Loop loop;
        auto registrar = std::make_unique<Registrar>(loop, fast_timers);
        const Address to = registrar->listen(TransportKind::tcp);
        Phone phone(loop);
        auto &registration = phone.at(to, TransportKind::tcp);
        registration.start();
        REQUIRE(phone.until(2));
        registrar.reset();
        REQUIRE(run_until(loop, [&] { return !phone.party.failed_flows.empty(); }));
        const auto lost = loop.now();
        registration.flow_failed(phone.party.failed_flows.front());
        CHECK(!registration.registered());
        registrar = std::make_unique<Registrar>(loop, fast_timers);
        registrar->listen(TransportKind::tcp, to.port());
        REQUIRE(run_until(loop, [&] { return registration.registered(); }));
        CHECK(loop.now() - lost <= std::chrono::seconds(2));
    }

    TEST_CASE("a phone behind NAT learns its public address") {
        Loop loop;
        Registrar registrar(loop, fast_timers);
        registrar.intercept = [](const Message &m, const Flow &, const ServerTransaction &t) {
            Via via = m.top_via().value();
            via.params.set("received", "203.0.113.9");
            via.params.set("rport", "40000");
            t.respond(Draft::response(m, 200, {}, "r").set("Via", via.encode()).add("Expires", "60"));
            return true;
        };
        const Address to = registrar.listen(TransportKind::udp);
        Phone phone(loop);
        auto &registration = phone.at(to);
        registration.start();
        REQUIRE(phone.until(2));
        REQUIRE(registration.public_address().has_value());
        CHECK(registration.public_address()->to_string() == "203.0.113.9:40000");
        // What the NAT cannot deliver is replaced at once by what it can.
        REQUIRE(registrar.requests.size() == 2);
        const auto first = registrar.requests[0].addresses(HeaderId::contact).value();
        const auto second = registrar.requests[1].addresses(HeaderId::contact).value();
        REQUIRE(second.size() == 2);
        CHECK(second[0].uri.host_port() == "203.0.113.9:40000");
        CHECK(second[1].uri.host_port() == first[0].uri.host_port());
        CHECK(second[1].params.get("expires") == "0");
        CHECK(phone.events == Events{"registering", "registered 60"});
        registration.refresh_now();
        REQUIRE(phone.until(3));
        CHECK(registrar.requests.size() == 4); // another NAT, perhaps: found out anew
    }

    TEST_CASE("an outbound proxy that is down is replaced by the next, which is kept while it works") {
        Loop loop;
        Registrar registrar(loop, fast_timers);
        registrar.intercept = [](const Message &m, const Flow &, const ServerTransaction &t) {
            t.respond(
                Draft::response(m, 200, {}, "r")
                    .add("Require", "outbound")
                    .add("Contact", std::string(m.value(HeaderId::contact)) +
                                        ";expires=60;pub-gruu=\"sip:alice@example.com;gr=urn:uuid:0\""));
            return true;
        };
        const Address to = registrar.listen(TransportKind::tcp);
        const Address dead = std::make_unique<Registrar>(loop, fast_timers)->listen(TransportKind::tcp);
        Phone phone(loop);
        phone.base.instance_id = "urn:uuid:0";
        phone.base.route = {Uri::parse("sip:" + dead.to_string() + ";transport=tcp;lr").value()};
        phone.base.alternatives = {Uri::parse("sip:" + to.to_string() + ";transport=tcp;lr").value()};
        auto &registration = phone.at(to, TransportKind::tcp);
        registration.start();
        REQUIRE(phone.until(2));
        CHECK(phone.events == Events{"registering", "registered 60"});
        CHECK(registration.next_hop().port == to.port());
        CHECK(registration.gruu() == "sip:alice@example.com;gr=urn:uuid:0");
        const std::string route = "<sip:" + to.to_string() + ";transport=tcp;lr>";
        CHECK(registrar.requests.back().value(HeaderId::route) == route);
        registration.refresh_now();
        REQUIRE(phone.until(3));
        CHECK(registrar.requests.size() == 2);
        CHECK(registrar.requests.back().value(HeaderId::route) == route);
    }

    TEST_CASE("the user may destroy the registration from its callbacks, and unregistering a dead one ends") {
        Loop loop;
        Registrar registrar(loop, fast_timers);
        const Address to = registrar.listen(TransportKind::udp);
        Phone phone(loop);
        struct Killer final : Registration::Listener {
            void on_registering() override {}
            void on_registered(const Registration::Outcome &) override { victim.reset(); }
            void on_failed(const Error &, std::optional<Duration>) override { victim.reset(); }
            void on_unregistered() override { victim.reset(); }
            std::unique_ptr<Registration> victim;
        } killer;
        Registration::Options options;
        options.aor = Uri::parse("sip:alice@" + to.to_string()).value();
        killer.victim =
            std::make_unique<Registration>(loop, phone.party.layer, phone.resolver, options, killer);
        killer.victim->start();
        REQUIRE(run_until(loop, [&] { return !killer.victim; }));

        Bare silent(loop);
        auto &registration = phone.at(silent.listen());
        std::optional<Result<>> removed;
        registration.unregister([&](Result<> result) {
            removed = std::move(result);
            loop.stop();
        });
        REQUIRE(run_until(loop, [&] { return removed.has_value(); }));
        CHECK(removed->error().code == Errc::timeout);
    }

} // TEST_SUITE
