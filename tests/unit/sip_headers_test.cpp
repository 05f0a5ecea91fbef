#include <string>

#include <doctest/doctest.h>

#include "sip/headers.hpp"

using namespace offhook::sip;

TEST_SUITE("sip headers") {
    TEST_CASE("addresses in all their forms") {
        struct Row {
            const char *text, *display, *uri, *tag, *again;
        };
        for (const auto &row : {
                 Row{"<sip:a@b>", "", "sip:a@b", "", "<sip:a@b>"},
                 Row{"sip:a@b;tag=1", "", "sip:a@b", "1", "<sip:a@b>;tag=1"},
                 Row{"Alice <sip:a@b;x=y>;tag=1", "Alice", "sip:a@b;x=y", "1",
                     "\"Alice\" <sip:a@b;x=y>;tag=1"},
                 Row{"  A. B. C  <sip:a@b> ; tag = 1 ; q=0.5 ", "A. B. C", "sip:a@b", "1",
                     "\"A. B. C\" <sip:a@b>;tag=1;q=0.5"},
                 Row{R"("A \"B\" \\" <sip:a@b>)", "A \"B\" \\", "sip:a@b", "", R"("A \"B\" \\" <sip:a@b>)"},
                 Row{R"("<sip:evil@x>;tag=9,"<sip:a@b>;tag=1)", "<sip:evil@x>;tag=9,", "sip:a@b", "1",
                     R"("<sip:evil@x>;tag=9," <sip:a@b>;tag=1)"},
                 Row{"J\xc3\xbcrgen <sip:j@b>", "J\xc3\xbcrgen", "sip:j@b", "",
                     "\"J\xc3\xbcrgen\" <sip:j@b>"},
                 Row{"\"\" <sip:a@b>", "", "sip:a@b", "", "<sip:a@b>"},
                 Row{"<sip:a,b@c?d=e>;tag=x", "", "sip:a,b@c?d=e", "x", "<sip:a,b@c?d=e>;tag=x"},
                 Row{"<sip:a@b>;+sip.instance=\"<urn:uuid:1>\"", "", "sip:a@b", "",
                     "<sip:a@b>;+sip.instance=\"<urn:uuid:1>\""},
                 Row{"tel:+4930;tag=1", "", "tel:+4930", "1", "<tel:+4930>;tag=1"},
             }) {
            CAPTURE(std::string(row.text));
            const auto address = NameAddr::parse(row.text);
            REQUIRE_MESSAGE(address.has_value(), address.error().what);
            CHECK(address->display == row.display);
            CHECK(address->uri.encode() == row.uri);
            CHECK(address->tag() == row.tag);
            CHECK(address->encode() == row.again);
            const auto again = NameAddr::parse(address->encode());
            REQUIRE(again.has_value());
            CHECK(again->encode() == row.again);
        }
        CHECK(NameAddr::parse("*")->star);
        CHECK(NameAddr::parse("*")->encode() == "*");
    }

    TEST_CASE("malformed addresses are refused") {
        for (const char *text : {"",
                                 " ",
                                 "a",
                                 "<",
                                 "<>",
                                 "<sip:a@b",
                                 "sip:a@b>",
                                 "\"A <sip:a@b>",
                                 "\"A\" sip:a@b",
                                 "\"A\"",
                                 "\"A\\\" <sip:a@b>",
                                 "A, B <sip:a@b>",
                                 "A \"B\" <sip:a@b>",
                                 "A;B <sip:a@b>",
                                 "<sip:a@b>x",
                                 "<sip:a@b>;",
                                 "<sip:a@b>;;x",
                                 "<sip:a@b>;=x",
                                 "<sip:a@b>;x=",
                                 "<sip:a@b>;x=\"y",
                                 "<sip:a@b>;x=y z",
                                 "< sip:a@b>",
                                 "<sip:a@b >",
                                 "sip:a@b?c=d",
                                 "sip:a,b@c",
                                 "sip:a@b, sip:c@d",
                                 "<<sip:a@b>>",
                                 "<sip:a@b><sip:c@d>",
                                 "* ;x",
                                 "a\x01 <sip:a@b>"}) {
            CAPTURE(std::string(text));
            CHECK_FALSE(NameAddr::parse(text).has_value());
        }
    }

    TEST_CASE("lists are split at commas that separate") {
        const auto split = [](const char *text) {
            std::string out;
            for (const auto element : split_list(text))
                out += "[" + std::string(element) + "]";
            return out;
        };
        CHECK(split("") == "");
        CHECK(split(" , ,, ") == "");
        CHECK(split("a") == "[a]");
        CHECK(split(" a , b\t,,c,") == "[a][b][c]");
        CHECK(split(R"("a,b\",c" <x,y>;d="e,f", g)") == R"(["a,b\",c" <x,y>;d="e,f"][g])");
        CHECK(split("\"a, b") == "[\"a, b]");
        CHECK(split("<a, b") == "[<a, b]");
        CHECK(split("\"a\\") == "[\"a\\]");
        CHECK(first_element(" ,, a;b , c") == "a;b");
        CHECK(first_element(",").empty());
        CHECK(NameAddr::parse_list("<sip:a@b>, \"C, D\" <sip:c@d>,sip:e@f;q=1")->size() == 3);
        CHECK_FALSE(NameAddr::parse_list(" , ").has_value());
        CHECK_FALSE(NameAddr::parse_list("<sip:a@b>, x").has_value());
        CHECK(Via::parse_list("SIP/2.0/UDP a, SIP/2.0/TCP b:1")->at(1).port == 1);
    }

    TEST_CASE("Via") {
        const auto via =
            Via::parse("SIP / 2.0 / tcp  [2001:db8::1] : 5061 ;branch=z9hG4bKx;rport;received=2001:db8::2");
        REQUIRE(via.has_value());
        CHECK(via->transport == "TCP");
        CHECK(via->host == "2001:db8::1");
        CHECK(via->port == 5061);
        CHECK(via->branch() == "z9hG4bKx");
        CHECK(via->params.has("rport"));
        CHECK(via->params.get("received") == "2001:db8::2");
        CHECK(via->encode() == "SIP/2.0/TCP [2001:db8::1]:5061;branch=z9hG4bKx;rport;received=2001:db8::2");
        for (const char *text : {"", "SIP", "SIP/2.0", "SIP/2.0/UDP", "SIP/2.0/UDP ;branch=x",
                                 "HTTP/1.1/TCP a", "SIP/2.0/UDP a:", "SIP/2.0/UDP a:0", "SIP/2.0/UDP a:65536",
                                 "SIP/2.0/UDP a b", "SIP/2.0/UDP a;;", "SIP//UDP a", "SIP/2.0/UDP [::1",
                                 "SIP/2.0/UDP ::1", "SIP/2.0/UDP a;branch="}) {
            CAPTURE(std::string(text));
            CHECK_FALSE(Via::parse(text).has_value());
        }
    }

    TEST_CASE("CSeq") {
        CHECK(CSeq::parse("0009   INVITE")->number == 9);
        CHECK(CSeq::parse("2147483647 BYE")->number == 2147483647U);
        CHECK(CSeq::parse("1 x-Y")->method == "x-Y");
        for (const char *text : {"", "1", "1 ", "INVITE", "1INVITE", "-1 INVITE", "1 IN VITE",
                                 "2147483648 INVITE", "1 IN/VITE"}) {
            CAPTURE(std::string(text));
            CHECK_FALSE(CSeq::parse(text).has_value());
        }
    }

    TEST_CASE("authentication parameters") {
        const auto auth = AuthParams::parse(
            R"(Digest realm="a, \"b\"" ,nonce = "x=y==",, qop="auth,auth-int", stale=FALSE)");
        REQUIRE(auth.has_value());
        CHECK(auth->scheme == "Digest");
        CHECK(auth->params.get("realm") == "a, \"b\"");
        CHECK(auth->params.get("NONCE") == "x=y==");
        CHECK(auth->params.get("qop") == "auth,auth-int");
        CHECK(auth->params.get("stale") == "FALSE");
        const auto info = AuthParams::parse("nextnonce=\"abc\", nc=00000001");
        CHECK(info->scheme.empty());
        CHECK(info->params.get("nextnonce") == "abc");
        CHECK(AuthParams::parse("Basic dXNlcjpwYXNz")->scheme == "Basic");
        CHECK(AuthParams::parse("NoOneKnowsThisScheme opaque-data=here")->params.get("opaque-data") ==
              "here");
        for (const char *text : {"", "=", "Digest realm", "Digest realm=", "Digest realm=\"a",
                                 "Digest realm=a b=c", "\"Digest\""}) {
            CAPTURE(std::string(text));
            CHECK_FALSE(AuthParams::parse(text).has_value());
        }
    }

    TEST_CASE("seconds may carry a comment or parameters") {
        CHECK(parse_delta_seconds("600") == 600U);
        CHECK(parse_delta_seconds(" 18000;duration=3600") == 18000U);
        CHECK(parse_delta_seconds("120 (I'm in a meeting)") == 120U);
        CHECK(parse_delta_seconds("0") == 0U);
        CHECK(parse_delta_seconds("100000000000000000000000") == 4294967295U);
        for (const char *text : {"", "-1", "x", "1x", "1.5", ";a"}) {
            CAPTURE(std::string(text));
            CHECK_FALSE(parse_delta_seconds(text).has_value());
        }
    }

    TEST_CASE("texts are compared without case only in ASCII") {
        CHECK(iequals("AbZ-1", "aBz-1"));
        CHECK_FALSE(iequals("a", "ab"));
        CHECK_FALSE(iequals("@", "`"));
        CHECK_FALSE(iequals("[", "{"));
        CHECK_FALSE(iequals("\xc3\x84", "\xc3\xa4"));
        CHECK(trim(" \t\r\n a b \r\n") == "a b");
        CHECK(trim(" \r\n").empty());
    }
}
