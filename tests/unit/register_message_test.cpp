#include <doctest/doctest.h>

#include "sip/register_message.hpp"

using namespace offhook;
using namespace offhook::sip;

namespace {

Registration::Options alice() {
    Registration::Options options;
    options.aor = Uri::parse("sip:alice@example.com;transport=tcp").value();
    options.contact_user = "a1";
    return options;
}

Message ok(const std::string &headers) {
    return Message::parse("SIP/2.0 200 OK\r\n" + headers + "\r\n").value();
}

} // namespace

TEST_SUITE("registration messages") {

    TEST_CASE("a REGISTER names the registrar without user, and the AOR without parameters") {
        auto options = alice();
        const Draft draft = make_register(options, {"call", "tag", 5});
        CHECK(draft.uri == "sip:example.com");
        CHECK(draft.get("To") == "<sip:alice@example.com>");
        CHECK(draft.get("From") == "<sip:alice@example.com>;tag=tag");
        CHECK(draft.get("CSeq") == "5 REGISTER");
        CHECK(draft.get("Call-ID") == "call");
        CHECK(draft.get("Contact").empty());
        CHECK(draft.get("Supported") == "path");
        CHECK(register_next_hop(options).host == "example.com");

        options.registrar = Uri::parse("sip:user@reg.example.com:5070").value();
        CHECK(make_register(options, {"call", "tag", 5}).uri == "sip:reg.example.com:5070");
        CHECK(register_next_hop(options).host == "reg.example.com");
    }

    TEST_CASE("outbound proxies become the route set, the first the next hop") {
        auto options = alice();
        options.route = {Uri::parse("sip:one.example.com").value(),
                         Uri::parse("sip:two.example.com;lr").value()};
        const Draft draft = make_register(options, {"call", "tag", 1});
        std::vector<std::string> routes;
        for (const auto &[header, value] : draft.headers)
            if (header == "Route") routes.push_back(value);
        CHECK(routes == std::vector<std::string>{"<sip:one.example.com;lr>", "<sip:two.example.com;lr>"});
        CHECK(register_next_hop(options).host == "one.example.com");
    }

    TEST_CASE("the Contact carries transport, instance and reg-id") {
        auto options = alice();
        const auto v4 = Address::parse("192.0.2.1", 5062).value();
        const auto v6 = Address::parse("2001:db8::1", 5062).value();
        CHECK(contact_uri(options, TransportKind::udp, v4.to_string()) == "sip:a1@192.0.2.1:5062");
        CHECK(contact_uri(options, TransportKind::tcp, v6.to_string()) ==
              "sip:a1@[2001:db8::1]:5062;transport=tcp");
        CHECK(contact_value(options, "sip:a1@h") == "<sip:a1@h>");
        options.instance_id = "urn:uuid:0";
        options.reg_id = 2;
        CHECK(contact_uri(options, TransportKind::udp, v4.to_string()) == "sip:a1@192.0.2.1:5062;ob");
        CHECK(contact_value(options, "sip:a1@h") == "<sip:a1@h>;+sip.instance=\"<urn:uuid:0>\";reg-id=2");
        CHECK(make_register(options, {"c", "t", 1}).get("Supported") == "path, outbound, gruu");
    }

    TEST_CASE("granted seconds come from our own Contact, then Expires, then what was asked") {
        const Uri own = Uri::parse("sip:a1@192.0.2.1:5062;transport=tcp;ob").value();
        struct Row {
            const char *headers;
            std::uint32_t granted;
        };
        for (const auto &row : {
                 Row{"Contact: <sip:a1@192.0.2.1:5062>;expires=120\r\nExpires: 60\r\n", 120},
                 Row{"Contact: <sip:b@192.0.2.9>;expires=30, <sip:a1@192.0.2.1:5062;x=y>;q=1;expires=90\r\n",
                     90},
                 Row{"Contact: <sip:b@192.0.2.9>;expires=30, <sip:c@192.0.2.8>;expires=20\r\nExpires: 60\r\n",
                     60},
                 Row{"Contact: <sip:a1@198.51.100.7:1024>;expires=45\r\n", 45}, // rewritten on the way
                 Row{"Contact: <sip:a1@192.0.2.1:5062>\r\nExpires: 70\r\n", 70},
                 Row{"Contact: <sip:a1@192.0.2.1:5062>;expires=nonsense\r\n", 600},
                 Row{"Expires: 80\r\n", 80},
                 Row{"", 600},
             }) {
            CAPTURE(row.headers);
            CHECK(granted_expires(ok(row.headers), own, 600) == row.granted);
        }
    }

    TEST_CASE("received and rport tell our public address, if it differs") {
        const auto local = Address::parse("192.168.1.5", 5062).value();
        const auto seen = [&](const std::string &via) {
            return seen_address(ok("Via: " + via + "\r\n"), {local});
        };
        CHECK(!seen("SIP/2.0/UDP 192.168.1.5:5062;branch=z9hG4bK1"));
        CHECK(!seen("SIP/2.0/UDP 192.168.1.5:5062;branch=z9hG4bK1;received=192.168.1.5;rport=5062"));
        const auto address =
            seen("SIP/2.0/UDP 192.168.1.5:5062;branch=z9hG4bK1;received=203.0.113.9;rport=40000");
        REQUIRE(address.has_value());
        CHECK(address->to_string() == "203.0.113.9:40000");
        CHECK(!seen("SIP/2.0/UDP phone.lan:5062;branch=z9hG4bK1;rport=99999"));
    }

} // TEST_SUITE
