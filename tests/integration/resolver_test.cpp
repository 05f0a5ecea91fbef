#include <doctest/doctest.h>

#include "base/loop.hpp"
#include "sip/resolver.hpp"
#include "tests/support/dns_server.hpp"

using namespace offhook;
using namespace offhook::sip;
using offhook::test::DnsServer;

namespace {

struct Resolving {
    Resolving() : dns(loop) {}

    std::string resolve(Resolver &resolver, const char *text, std::optional<TransportKind> preferred = {}) {
        return answer_to([&](Resolver::Done done) {
            return resolver.resolve(Uri::parse(text).value(), preferred, std::move(done));
        });
    }
    template <class Ask>
    std::string answer_to(Ask ask) {
        std::string result = "nothing";
        bool done = false;
        const auto query = ask([&](const auto &hops) {
            done = true;
            result = hops ? "" : hops.error().what;
            if (hops)
                for (const Hop &hop : *hops)
                    result += std::string(uri_token(hop.kind)) + ":" + hop.address.to_string() + "/" +
                              hop.host + " ";
            loop.stop();
        });
        CHECK_FALSE(done); // never before resolve() returned
        Timer watchdog(loop);
        watchdog.start(Duration(8000), [&] { loop.stop(); });
        while (!done && watchdog.running())
            REQUIRE(loop.run());
        return result;
    }
    Resolver::Options with_dns() { return {{dns.address()}, Duration(5000)}; }

    Loop loop;
    DnsServer dns;
};

} // namespace

TEST_SUITE("resolver") {

    TEST_CASE_FIXTURE(Resolving,
                      "NAPTR, SRV and addresses lead to hops in order, certificates named by the domain") {
        dns.add_naptr("example.com", 10, 10, "s", "SIPS+D2T", "_sips._tcp.example.com");
        dns.add_naptr("example.com", 20, 10, "s", "SIP+D2U", "_sip._udp.example.com");
        dns.add_srv("_sips._tcp.example.com", 10, 0, 5061, "one.example.net");
        dns.add_srv("_sips._tcp.example.com", 20, 0, 5081, "two.example.net");
        dns.add_srv("_sip._udp.example.com", 10, 0, 5060, "one.example.net");
        dns.add_a("one.example.net", "192.0.2.1");
        dns.add_a("two.example.net", "192.0.2.2");
        dns.add_aaaa("two.example.net", "2001:db8::2");
        Resolver resolver(loop, with_dns());
        const std::string tls = resolve(resolver, "sips:bob@example.com");
        CHECK(tls.starts_with("tls:192.0.2.1:5061/example.com tls:"));
        CHECK(tls.find("tls:192.0.2.2:5081/example.com ") != std::string::npos);
        CHECK(tls.find("tls:[2001:db8::2]:5081/example.com ") != std::string::npos);
        CHECK(tls.find("udp:") == std::string::npos);
        CHECK(resolve(resolver, "sip:bob@example.com").ends_with("udp:192.0.2.1:5060/example.com "));
        CHECK(resolve(resolver, "sip:bob@example.com", TransportKind::udp) ==
              "udp:192.0.2.1:5060/example.com ");
    }

    TEST_CASE_FIXTURE(Resolving, "without NAPTR and SRV the host itself is used") {
        dns.add_a("pbx.example.com", "192.0.2.7");
        Resolver resolver(loop, with_dns());
        CHECK(resolve(resolver, "sip:pbx.example.com") == "udp:192.0.2.7:5060/pbx.example.com ");
        CHECK(resolve(resolver, "sips:pbx.example.com") == "tls:192.0.2.7:5061/pbx.example.com ");
        CHECK(dns.asked().front() == "NAPTR pbx.example.com");
        const std::size_t before = dns.asked().size();
        CHECK(resolve(resolver, "sip:pbx.example.com:5070") == "udp:192.0.2.7:5070/pbx.example.com ");
        for (std::size_t i = before; i < dns.asked().size(); ++i)
            CHECK(dns.asked()[i].find("_sip") == std::string::npos);
    }

    TEST_CASE_FIXTURE(Resolving,
                      "another service than SIP: by SRV, else the host with the service's own port") {
        dns.add_srv("_turns._tcp.example.com", 20, 0, 5350, "two.example.net");
        dns.add_srv("_turns._tcp.example.com", 10, 0, 443, "one.example.net");
        dns.add_a("one.example.net", "192.0.2.1");
        dns.add_a("two.example.net", "192.0.2.2");
        dns.add_a("example.org", "192.0.2.9");
        Resolver resolver(loop, with_dns());
        const auto service = [&](const char *host, const char *name, std::uint16_t port) {
            return answer_to([&](Resolver::Done done) {
                return resolver.resolve_service(host, name, port, std::move(done));
            });
        };
        CHECK(service("example.com", "_turns._tcp", 5349) ==
              "udp:192.0.2.1:443/example.com udp:192.0.2.2:5350/example.com ");
        CHECK(service("example.org", "_stun._udp", 3478) == "udp:192.0.2.9:3478/example.org ");
        CHECK(dns.asked().front() == "SRV _turns._tcp.example.com");
    }

    TEST_CASE_FIXTURE(Resolving, "a name that does not exist is an error that names it") {
        Resolver resolver(loop, with_dns());
        CHECK(resolve(resolver, "sip:nobody.example.com") ==
              "no address for nobody.example.com: not found in DNS");
    }

    TEST_CASE_FIXTURE(Resolving, "a silent DNS server is given up on") {
        dns.fall_silent();
        Resolver resolver(loop, {{dns.address()}, Duration(500)});
        const TimePoint start = loop.now();
        CHECK(resolve(resolver, "sip:pbx.example.com") ==
              "no address for pbx.example.com: no answer from DNS");
        CHECK(loop.now() - start < Duration(2000));
    }

    TEST_CASE_FIXTURE(Resolving, "numbers and localhost need no DNS server") {
        Resolver resolver(loop);
        CHECK(resolve(resolver, "sip:192.0.2.1") == "udp:192.0.2.1:5060/192.0.2.1 ");
        CHECK(resolve(resolver, "sips:[2001:db8::1]") == "tls:[2001:db8::1]:5061/2001:db8::1 ");
        CHECK(resolve(resolver, "sip:localhost:5070").find("udp:127.0.0.1:5070/localhost ") !=
              std::string::npos);
        CHECK(resolve(resolver, "tel:+12345").find("cannot send to a tel: URI") == 0);
    }

    TEST_CASE_FIXTURE(Resolving, "a query that was dropped is never answered") {
        bool called = false;
        {
            Resolver resolver(loop);
            for (const char *text : {"sip:localhost", "sip:192.0.2.1"})
                (void)resolver.resolve(Uri::parse(text).value(), {}, [&](const auto &) { called = true; });
            Timer end(loop);
            end.start(Duration(100), [&] { loop.stop(); });
            REQUIRE(loop.run());
        }
        CHECK_FALSE(called);
    }

} // TEST_SUITE
