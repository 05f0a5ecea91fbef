#include <doctest/doctest.h>

#include "phone/target.hpp"

using namespace offhook;

TEST_SUITE("phone targets") {
    TEST_CASE("what a user types becomes a URI") {
        const std::vector<ContactSettings> contacts{{"Door", "sip:door@192.0.2.9", "home"},
                                                    {"mum", "+49 30 12-34", {}}};
        struct Row {
            const char *typed, *domain, *uri, *account;
        };
        for (const auto &row : {
                 Row{"sip:bob@example.com", "", "sip:bob@example.com", ""},
                 Row{"  sip:bob@example.com:5070;transport=tcp ", "",
                     "sip:bob@example.com:5070;transport=tcp", ""},
                 Row{"sips:bob@example.com", "", "sips:bob@example.com", ""},
                 Row{"bob@example.com", "", "sip:bob@example.com", ""},
                 Row{"bob@[2001:db8::1]:5070", "", "sip:bob@[2001:db8::1]:5070", ""},
                 Row{"192.0.2.1", "", "sip:192.0.2.1", ""},
                 Row{"192.0.2.1:5070", "example.com", "sip:192.0.2.1:5070", ""},
                 Row{"2001:db8::1", "", "sip:[2001:db8::1]", ""},
                 Row{"[2001:db8::1]:5070", "", "sip:[2001:db8::1]:5070", ""},
                 Row{"localhost", "example.com", "sip:localhost", ""},
                 Row{"pbx.example.com", "", "sip:pbx.example.com", ""},
                 Row{"pbx:5070", "", "sip:pbx:5070", ""},
                 Row{"bob", "example.com", "sip:bob@example.com", ""},
                 Row{"bob", "example.com:5070", "sip:bob@example.com:5070", ""},
                 Row{"100", "example.com", "sip:100@example.com", ""},
                 Row{"+49 (30) 123-456", "example.com", "sip:+4930123456@example.com;user=phone", ""},
                 Row{"030.123.456", "example.com", "sip:030123456@example.com", ""},
                 Row{"*21#", "example.com", "sip:*21%23@example.com", ""},
                 Row{"tel:+49-30-123", "example.com", "sip:+4930123@example.com;user=phone", ""},
                 Row{"door", "", "sip:door@192.0.2.9", "home"},
                 Row{"DOOR", "example.com", "sip:door@192.0.2.9", "home"},
                 Row{"mum", "example.com", "sip:+49301234@example.com;user=phone", ""},
             }) {
            CAPTURE(row.typed);
            const auto target = parse_target(row.typed, contacts, row.domain);
            REQUIRE_MESSAGE(target.has_value(), (target ? std::string{} : target.error().what));
            CHECK(target->uri.encode() == row.uri);
            CHECK(target->account == row.account);
        }
    }

    TEST_CASE("what cannot be called is said in one line") {
        struct Row {
            const char *typed, *says;
        };
        for (const auto &row : {
                 Row{"", "the target is empty"},
                 Row{"bob", "needs an account with a domain"},
                 Row{"+4930123", "needs an account with a domain"},
                 Row{"sip:bob@example.com?Replaces=x", "a URI with headers"},
                 Row{"sip:bob:secret@example.com", "a password in a URI"},
                 Row{"sips:bob@example.com;transport=udp", "sips needs TLS"},
                 Row{"https://example.com", "only sip:, sips: and tel:"},
                 Row{"sip:", "cannot call \"sip:\""},
                 Row{"sip:bob@exa mple.com", "cannot call"},
                 Row{"bob@", "cannot call"},
             }) {
            CAPTURE(row.typed);
            const auto target = parse_target(row.typed, {}, "");
            REQUIRE_FALSE(target.has_value());
            CHECK(target.error().code == Errc::invalid_argument);
            CHECK_MESSAGE(target.error().what.find(row.says) != std::string::npos, target.error().what);
            CHECK(target.error().what.find('\n') == std::string::npos);
        }
    }
}
