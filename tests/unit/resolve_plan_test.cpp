#include <doctest/doctest.h>

#include "sip/resolve_plan.hpp"

using namespace offhook;
using namespace offhook::sip;

namespace {

std::string summary(const ResolvePlan &plan) {
    std::string text = std::string(uri_token(plan.kind)) + " " + plan.host + ":" + std::to_string(plan.port);
    if (plan.ask_naptr) text += " NAPTR";
    for (const auto &lookup : plan.srv)
        text += " " + lookup.name;
    return text;
}

} // namespace

TEST_SUITE("resolver") {

    TEST_CASE("what is looked up for a URI follows RFC 3263 §4.1 and §4.2") {
        struct Row {
            const char *uri;
            std::optional<TransportKind> preferred;
            const char *plan;
        };
        const Row rows[] = {
            {"sip:192.0.2.1", {}, "udp 192.0.2.1:0"},
            {"sip:[2001:db8::1]:5070;transport=tcp", {}, "tcp 2001:db8::1:5070"},
            {"sips:192.0.2.1", TransportKind::udp, "tls 192.0.2.1:0"},
            {"sip:example.com:5080", {}, "udp example.com:5080"},
            {"sip:example.com:5080", TransportKind::tcp, "tcp example.com:5080"},
            {"sips:example.com:5080", {}, "tls example.com:5080"},
            {"sip:example.com",
             {},
             "udp example.com:0 NAPTR _sip._udp.example.com _sip._tcp.example.com _sips._tcp.example.com"},
            {"sip:example.com", TransportKind::tls, "tls example.com:0 _sips._tcp.example.com"},
            {"sip:example.com;transport=TCP", {}, "tcp example.com:0 _sip._tcp.example.com"},
            {"sip:example.com;transport=tcp", TransportKind::udp, "tcp example.com:0 _sip._tcp.example.com"},
            {"sips:example.com", {}, "tls example.com:0 NAPTR _sips._tcp.example.com"},
            {"sips:example.com;transport=tcp", {}, "tls example.com:0 _sips._tcp.example.com"},
            {"sip:example.com;maddr=192.0.2.9", {}, "udp 192.0.2.9:0"},
            {"sip:example.com;transport=wss", {}, "wss example.com:0"},
            {"sip:example.com;transport=dtls", {}, "dtls example.com:0 _sips._udp.example.com"},
            {"sips:example.com;transport=DTLS-UDP", {}, "dtls example.com:0 _sips._udp.example.com"},
            {"sip:example.com;transport=sctp", {}, "sctp example.com:0 _sip._sctp.example.com"},
            {"sip:localhost", {}, "udp localhost:0"},
            {"sip:pbx.local", {}, "udp pbx.local:0"},
        };
        for (const Row &row : rows) {
            INFO(row.uri);
            const auto uri = Uri::parse(row.uri);
            REQUIRE(uri);
            const auto plan = plan_resolution(*uri, row.preferred);
            REQUIRE(plan);
            CHECK(summary(*plan) == row.plan);
        }
    }

    TEST_CASE("what cannot be sent is told at once") {
        for (const char *text : {"tel:+123", "sip:example.com;transport=carrier-pigeon",
                                 "sips:example.com;transport=udp", "sips:example.com;transport=sctp"}) {
            INFO(text);
            const auto uri = Uri::parse(text);
            REQUIRE(uri);
            const auto plan = plan_resolution(*uri, {});
            REQUIRE_FALSE(plan);
            CHECK(plan.error().code == Errc::invalid_argument);
        }
    }

    TEST_CASE("NAPTR records are taken by order and preference, unknown services left out") {
        const std::vector<NaptrRecord> records{{20, 10, "s", "SIP+D2U", "_sip._udp.b"},
                                               {10, 20, "S", "sip+d2t", "_sip._tcp.b"},
                                               {10, 10, "s", "SIPS+D2T", "_sips._tcp.b"},
                                               {5, 1, "u", "E2U+sip", ""},
                                               {30, 10, "s", "SIP+D2S", "_sip._sctp.b"},
                                               {40, 10, "s", "SIPS+D2U", "_sips._udp.b"},
                                               {1, 1, "s", "SIP+D2X", "_x.b"}};
        const std::vector<SrvLookup> all{{TransportKind::tls, "_sips._tcp.b"},
                                         {TransportKind::tcp, "_sip._tcp.b"},
                                         {TransportKind::udp, "_sip._udp.b"},
                                         {TransportKind::sctp, "_sip._sctp.b"},
                                         {TransportKind::dtls, "_sips._udp.b"}};
        CHECK(select_naptr(records, false) == all);
        CHECK(select_naptr(records, true) == std::vector<SrvLookup>{all.front(), all.back()});
    }

    TEST_CASE("SRV records go by priority, within it by weighted chance") {
        const std::vector<SrvRecord> records{
            {20, 0, 5060, "backup"}, {10, 60, 5060, "big"}, {10, 0, 5060, "never"}, {10, 40, 5060, "small"}};
        const auto order = [&](std::uint32_t pick) {
            std::string names;
            for (const auto &r : order_srv(records, [&](std::uint32_t n) { return std::min(pick, n); }))
                names += r.target + " ";
            return names;
        };
        CHECK(order(0) == "never big small backup ");
        CHECK(order(1) == "big small never backup ");
        CHECK(order(60) == "big small never backup ");
        CHECK(order(100) == "small big never backup ");
    }

    TEST_CASE("a weight is a share of the first places") {
        const std::vector<SrvRecord> records{{10, 75, 1, "a"}, {10, 25, 1, "b"}};
        std::uint32_t next = 0;
        int a_first = 0;
        for (int i = 0; i < 1000; ++i) // every value of 0..100 nearly ten times
            a_first +=
                order_srv(records, [&](std::uint32_t n) { return next++ % (n + 1); }).front().target == "a";
        CHECK(a_first > 700);
        CHECK(a_first < 800);
    }

    TEST_CASE("the target . says that the service is not offered") {
        CHECK(order_srv({{0, 0, 0, "."}}, [](std::uint32_t n) { return n; }).empty());
    }

} // TEST_SUITE
