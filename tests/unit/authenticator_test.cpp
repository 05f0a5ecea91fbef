#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "sip/request.hpp"

using namespace offhook::sip;

namespace {

std::string digest(const std::string &realm, const std::string &nonce,
                   const std::string &more = ", qop=\"auth\"") {
    return "Digest realm=\"" + realm + "\", nonce=\"" + nonce + "\"" + more;
}

Message challenged(const std::vector<std::string> &challenges, bool proxy = false) {
    std::string text = "SIP/2.0 " + std::string(proxy ? "407" : "401") + " x\r\n";
    for (const auto &one : challenges)
        text += (proxy ? "Proxy-Authenticate: " : "WWW-Authenticate: ") + one + "\r\n";
    return Message::parse(text + "\r\n").value();
}

Draft request(const std::string &call_id = "one") {
    return Draft::request("REGISTER", "sip:example.com").add("Call-ID", call_id);
}

Authenticator alice(const std::string &realm = "", bool weak = true) {
    return Authenticator({{"alice", "secret"}, realm, weak});
}

std::string param(const Draft &draft, std::string_view name, std::string_view header = "Authorization") {
    const auto auth = AuthParams::parse(draft.get(header));
    return auth ? std::string(auth->params.get(name)) : "";
}

} // namespace

TEST_SUITE("authenticator") {

    TEST_CASE("a challenge of the own registrar is answered so that it can verify it") {
        for (const auto *algorithm : {"MD5", "SHA-256", "SHA-512-256"}) {
            CAPTURE(algorithm);
            auto auth = alice();
            Draft draft = request();
            REQUIRE(auth.answer(
                challenged({digest("r", "n", ", qop=\"auth\", algorithm=" + std::string(algorithm))}), true,
                draft));
            const auto sent = AuthParams::parse(draft.get("Authorization"));
            REQUIRE(sent.has_value());
            CHECK(verify(*sent, {"alice", "secret"}, "REGISTER"));
            CHECK(!verify(*sent, {"alice", "wrong"}, "REGISTER"));
        }
    }

    TEST_CASE("who is not trusted gets nothing") {
        auto auth = alice();
        Draft draft = request();
        CHECK(!auth.answer(challenged({digest("r", "n")}), false, draft));
        CHECK(draft.get("Authorization").empty());
        Draft first = request();
        REQUIRE(auth.answer(challenged({digest("r", "n")}), true, first));
        auth.apply_cached(false, draft);
        CHECK(draft.get("Authorization").empty());
    }

    TEST_CASE("a foreign realm gets nothing when the account names its own") {
        auto auth = alice("example.com");
        Draft draft = request();
        CHECK(!auth.answer(challenged({digest("evil.example", "n")}), true, draft));
        CHECK(
            auth.answer(challenged({digest("evil.example", "n"), digest("example.com", "m")}), true, draft));
        CHECK(param(draft, "realm") == "example.com");
    }

    TEST_CASE("without a user there is no answer") {
        Authenticator nobody({});
        Draft draft = request();
        CHECK(!nobody.answer(challenged({digest("r", "n")}), true, draft));
    }

    TEST_CASE("of several algorithms the strongest is used") {
        auto auth = alice();
        Draft draft = request();
        REQUIRE(auth.answer(challenged({digest("r", "weak", ", qop=\"auth\", algorithm=MD5"),
                                        digest("r", "strong", ", qop=\"auth\", algorithm=SHA-256")}),
                            true, draft));
        CHECK(param(draft, "nonce") == "strong");
    }

    TEST_CASE("MD5 without qop can be forbidden") {
        Draft draft = request();
        auto strict = alice("", false);
        CHECK(!strict.answer(challenged({digest("r", "n", "")}), true, draft));
        auto lenient = alice();
        CHECK(lenient.answer(challenged({digest("r", "n", "")}), true, draft));
    }

    TEST_CASE("a request answers a realm once, and again only when its nonce was stale") {
        auto auth = alice();
        Draft draft = request();
        auth.begin();
        CHECK(auth.answer(challenged({digest("r", "1")}), true, draft));
        CHECK(!auth.answer(challenged({digest("r", "2")}), true, draft));
        CHECK(auth.answer(challenged({digest("r", "3", ", qop=\"auth\", stale=true")}), true, draft));
        CHECK(param(draft, "nonce") == "3");
        Draft other = request("two"); // under way at the same time
        CHECK(auth.answer(challenged({digest("r", "4")}), true, other));
        auth.begin();
        CHECK(auth.answer(challenged({digest("r", "5")}), true, draft));
    }

    TEST_CASE("a known nonce is used again with the next count") {
        auto auth = alice();
        Draft first = request();
        REQUIRE(auth.answer(challenged({digest("r", "n")}), true, first));
        CHECK(param(first, "nc") == "00000001");
        for (const auto *count : {"00000002", "00000003"}) {
            Draft next = request("next");
            auth.apply_cached(true, next);
            CHECK(param(next, "nc") == count);
            const auto sent = AuthParams::parse(next.get("Authorization"));
            REQUIRE(sent.has_value());
            CHECK(verify(*sent, {"alice", "secret"}, "REGISTER"));
        }
        Draft fresh = request("fresh");
        REQUIRE(auth.answer(challenged({digest("r", "m")}), true, fresh));
        CHECK(param(fresh, "nc") == "00000001");
    }

    TEST_CASE("proxy and registrar each get their own credentials") {
        auto auth = alice();
        Draft draft = request();
        REQUIRE(auth.answer(challenged({digest("p", "1")}, true), true, draft));
        REQUIRE(auth.answer(challenged({digest("r", "2")}), true, draft));
        CHECK(param(draft, "realm", "Proxy-Authorization") == "p");
        CHECK(param(draft, "nc", "Proxy-Authorization") == "00000002"); // it sees this request, too
        CHECK(param(draft, "realm") == "r");
    }

    TEST_CASE("a server that invents realms fills no memory and headers") {
        auto auth = alice();
        Draft draft = request();
        for (int i = 0; i < 100; ++i)
            CHECK(auth.answer(challenged({digest("r" + std::to_string(i), "n")}), true, draft));
        CHECK(std::count_if(draft.headers.begin(), draft.headers.end(),
                            [](const auto &header) { return header.first == "Authorization"; }) <= 8);
    }

} // TEST_SUITE
