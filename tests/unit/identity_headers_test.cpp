#include <doctest/doctest.h>

#include "sip/identity_headers.hpp"

using namespace offhook::sip;

namespace {

Message invite(const std::string &headers) {
    return Message::parse(
               "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\n"
               "From: <sip:a@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: c\r\n"
               "CSeq: 1 INVITE\r\n" +
               headers + "\r\n")
        .value();
}

} // namespace

TEST_SUITE("sip identity headers") {
    TEST_CASE("asserted identities and privacy") {
        const auto facts = caller_facts(invite("P-Asserted-Identity: \"Alice, Sales\" "
                                               "<sip:alice@example.com>, <tel:+4930123>\r\nPrivacy: id\r\n"));
        REQUIRE(facts.asserted.size() == 2);
        CHECK(facts.asserted[0].display == "Alice, Sales");
        CHECK(facts.asserted[0].uri.user == "alice");
        CHECK(facts.asserted[1].uri.scheme == "tel");
        CHECK(facts.wants_privacy);
        CHECK_FALSE(caller_facts(invite("Privacy: none\r\n")).wants_privacy);
        CHECK(caller_facts(invite("")).asserted.empty());
        CHECK(caller_facts(invite("P-Asserted-Identity: <<broken\r\n")).asserted.empty());
    }

    TEST_CASE("Diversion, the latest first") {
        const auto facts =
            caller_facts(invite("Diversion: <sip:carol@example.com>;reason=user-busy\r\n"
                                "Diversion: <sip:dave@example.com>;reason=no-answer;counter=1\r\n"));
        REQUIRE(facts.diversions.size() == 2);
        CHECK(facts.diversions[0].from.uri.user == "carol");
        CHECK(facts.diversions[0].reason == "user-busy");
        CHECK(facts.diversions[1].reason == "no-answer");
    }

    TEST_CASE("History-Info: who sent it on, and why; the last entry is where it is") {
        const auto facts =
            caller_facts(invite("History-Info: <sip:carol@example.com?Reason=SIP%3Bcause%3D302>;index=1,"
                                " <sip:dave@example.com?Privacy=none&Reason=SIP%3Bcause%3D486>;index=1.1,"
                                " <sip:bob@192.0.2.9>;index=1.1.1;rc=1.1\r\n"));
        REQUIRE(facts.diversions.size() == 2);
        CHECK(facts.diversions[0].from.uri.user == "dave");
        CHECK(facts.diversions[0].reason == "SIP;cause=486");
        CHECK(facts.diversions[1].from.uri.user == "carol");
        CHECK(facts.diversions[1].reason == "SIP;cause=302");
        CHECK(facts.diversions[1].from.uri.headers.empty());
        CHECK(caller_facts(invite("History-Info: <sip:bob@example.com>;index=1\r\n")).diversions.empty());
    }

    TEST_CASE("more than anybody needs is cut off") {
        std::string many;
        for (int i = 0; i < 40; ++i)
            many += "Diversion: <sip:u" + std::to_string(i) + "@example.com>\r\n";
        CHECK(caller_facts(invite(many)).diversions.size() == 8);
    }
}
