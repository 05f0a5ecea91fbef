#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "sip/digest.hpp"

using namespace offhook::sip;

namespace {

const Credentials alice{"alice", "s3cr3t"};

AuthParams authorization(const std::string &text) {
    auto auth = AuthParams::parse(text);
    REQUIRE(auth.has_value());
    return *auth;
}

std::string response_of(const std::string &value) {
    return std::string(authorization(value).params.get("response"));
}

Challenge challenge(const std::string &text) {
    auto parsed = Challenge::parse(text, false);
    REQUIRE_MESSAGE(parsed.has_value(), parsed.error().what);
    return *parsed;
}

} // namespace

TEST_SUITE("sip digest") {
    TEST_CASE("the examples of RFC 2617 and RFC 7616") {
        struct Row {
            const char *challenge;
            Credentials credentials;
            const char *uri, *cnonce, *response;
        };
        const Credentials mufasa{"Mufasa", "Circle Of Life"}, mufasa7616{"Mufasa", "Circle of Life"},
            jason{"J\xc3\xa4s\xc3\xb8n Doe", "Secret, or not?"};
        for (
            const auto &row : {
                Row{R"(Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093")",
                    mufasa, "/dir/index.html", "0a4f113b", "6629fae49393a05397450978507c4ef1"},
                Row{R"(Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v")",
                    mufasa7616, "/dir/index.html", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
                    "8ca523f5e9506fed4657c9700eebdbec"},
                Row{R"(Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v")",
                    mufasa7616, "/dir/index.html", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
                    "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"},
                // Section 3.9.2 as corrected by erratum 4897 (the RFC's own value used SHA-512 cut short).
                Row{R"(Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK")",
                    jason, "/doe.json", "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
                    "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"},
            }) {
            ClientNonce nonce{row.cnonce, 0};
            const auto value =
                authorize(challenge(row.challenge), row.credentials, "GET", row.uri, "", nonce);
            CHECK(response_of(value) == row.response);
            CHECK(verify(authorization(value), row.credentials, "GET"));
        }
    }

    // Computed with another implementation (Python's hashlib).
    TEST_CASE("every algorithm with every quality of protection") {
        struct Row {
            const char *algorithm, *qop, *response;
        };
        for (const auto &row : {
                 Row{"MD5", "", "10ccaf98fd74533a2c3849925af1e5fa"},
                 Row{"MD5", "auth", "ce9c643c07545e031353133332adf005"},
                 Row{"MD5", "auth-int", "ad2009f6b1edff66b8ae614d1923ef2d"},
                 Row{"MD5-sess", "", "e78761cc8621d871133cab3eeb89cdd8"},
                 Row{"MD5-sess", "auth", "bf8a4dcf990e781014ce12573ce2b96f"},
                 Row{"MD5-sess", "auth-int", "79888daccd9f5a9dde5fa3e9986aa5a4"},
                 Row{"SHA-256", "", "f821a131acc43df92354d535dff818a2a319193113c17bc2d6f24dbd1aa4cfd1"},
                 Row{"SHA-256", "auth", "9644cef17284c164040a1fd85fece4713642dfee3ae3447ca9ce29619e7efec0"},
                 Row{"SHA-256", "auth-int",
                     "517ddb192277d88d81ca08602c61028733dbd73064d434fa8eaf9d1024b2327b"},
                 Row{"SHA-256-sess", "", "2abd491d827029faee6ef56a644275f0f6559840326d32eb3088418ee81ff784"},
                 Row{"SHA-256-sess", "auth",
                     "bf1c6b16f06c6a3598fb607e3675073c9bd7ee92e135685c3d608d56d3fc1b48"},
                 Row{"SHA-256-sess", "auth-int",
                     "760afdfe13b4e4976c6bfee8c1f1ca50555d8aa76193250c54f1ea0a8bb504cd"},
                 Row{"SHA-512-256", "", "5b58c3599bca71d66e42d93981661c3bc8a1e8355aa71eaa551377c49a3194f1"},
                 Row{"SHA-512-256", "auth",
                     "82a7c72609554026ee698ba3ddab20998c02b62204cb54c542556baabf328fde"},
                 Row{"SHA-512-256", "auth-int",
                     "f9c7210c68676a6edf926b9e6d57a90b675e35e130ff699226f5984311e7782a"},
                 Row{"SHA-512-256-sess", "",
                     "41986de9c7dd4b0fc61a390dc7f8a33285e93cdcf70f3c5949ab2f389cb35151"},
                 Row{"SHA-512-256-sess", "auth",
                     "f6983eaa902a4e67733ee8be91b1ff0fd7494faab61448bc8fce2c1cec89455f"},
                 Row{"SHA-512-256-sess", "auth-int",
                     "b1130991cf99adf78ed56440128dc3d95c3e9829265d4064960f79d6220a6fe9"},
             }) {
            CAPTURE(std::string(row.algorithm));
            CAPTURE(std::string(row.qop));
            std::string text =
                "Digest realm=\"example.com\", nonce=\"n0nce\", algorithm=" + std::string(row.algorithm);
            if (*row.qop) text += ", qop=\"" + std::string(row.qop) + "\"";
            ClientNonce nonce{"c0nce", 0};
            const auto value =
                authorize(challenge(text), alice, "REGISTER", "sip:example.com", "v=0\r\n", nonce);
            CHECK(response_of(value) == row.response);
            const auto auth = authorization(value);
            CHECK(auth.params.has("nc") == (*row.qop != '\0'));
            CHECK(verify(auth, alice, "REGISTER", "v=0\r\n"));
            CHECK(verify(auth, alice, "REGISTER", "v=1\r\n") == (std::string(row.qop) != "auth-int"));
            CHECK_FALSE(verify(auth, alice, "INVITE", "v=0\r\n"));
            CHECK_FALSE(verify(auth, {"alice", "s3cr3T"}, "REGISTER", "v=0\r\n"));
            CHECK_FALSE(verify(auth, {"bob", "s3cr3t"}, "REGISTER", "v=0\r\n"));
        }
    }

    TEST_CASE("verify refuses whatever was changed") {
        ClientNonce nonce;
        const auto good = authorize(challenge(R"(Digest realm="r", nonce="n", qop="auth", opaque="o")"),
                                    alice, "INVITE", "sip:b@c", "", nonce);
        REQUIRE(verify(authorization(good), alice, "INVITE"));
        for (const char *name :
             {"username", "realm", "nonce", "uri", "response", "qop", "nc", "cnonce", "algorithm"}) {
            CAPTURE(std::string(name));
            for (const char *value : {"", "x", "\"", "auth-int", "00000002", "SHA-256"}) {
                auto changed = authorization(good);
                changed.params.set(name, value);
                // An algorithm that is not named is MD5, which it was.
                CHECK(verify(changed, alice, "INVITE") ==
                      (std::string(name) == "algorithm" && *value == '\0'));
            }
            auto without = authorization(good);
            without.params.erase(name);
            CHECK(verify(without, alice, "INVITE") == (std::string(name) == "algorithm"));
        }
        auto basic = authorization(good);
        basic.scheme = "Basic";
        CHECK_FALSE(verify(basic, alice, "INVITE"));
        CHECK_FALSE(verify(AuthParams{}, alice, "INVITE"));
    }

    TEST_CASE("challenges are read, and what cannot be answered is said") {
        const auto full = challenge(
            R"(digest realm="a \"b\"", nonce="n", opaque="o", algorithm="sha-256", qop="auth-int, AUTH,x", stale=TRUE, domain="sip:c")");
        CHECK(full.realm == "a \"b\"");
        CHECK(full.opaque == "o");
        CHECK(full.algorithm == DigestAlgorithm::sha256);
        CHECK(full.qop_auth);
        CHECK(full.qop_auth_int);
        CHECK(full.stale);
        CHECK_FALSE(full.proxy);
        CHECK(Challenge::parse("Digest realm=\"\", nonce=n", true)->proxy);
        CHECK_FALSE(challenge("Digest realm=\"\", nonce=n, stale=false").stale);
        struct Row {
            const char *text;
            offhook::Errc code;
        };
        for (const auto &row : {
                 Row{"Basic realm=\"a\"", offhook::Errc::not_supported},
                 Row{"Digest realm=\"a\", nonce=\"n\", algorithm=SHA-1", offhook::Errc::not_supported},
                 Row{"Digest realm=\"a\", nonce=\"n\", qop=\"x\"", offhook::Errc::not_supported},
                 Row{"Digest realm=\"a\"", offhook::Errc::parse},
                 Row{"Digest realm=\"a\", nonce=\"\"", offhook::Errc::parse},
                 Row{"Digest nonce=\"a\"", offhook::Errc::parse},
                 Row{"Digest realm=\"a", offhook::Errc::parse},
                 Row{"", offhook::Errc::parse},
             }) {
            CAPTURE(std::string(row.text));
            const auto parsed = Challenge::parse(row.text, false);
            REQUIRE_FALSE(parsed.has_value());
            CHECK(parsed.error().code == row.code);
        }
    }

    TEST_CASE("the strongest challenge of a realm is chosen, of equals the first") {
        std::vector<Challenge> all;
        for (const auto &[realm, nonce, algorithm] :
             {std::tuple{"a", "1", "MD5"}, std::tuple{"a", "2", "SHA-256"},
              std::tuple{"b", "3", "SHA-512-256"}, std::tuple{"a", "4", "SHA-256-sess"},
              std::tuple{"c", "5", "MD5"}})
            all.push_back(challenge("Digest realm=\"" + std::string(realm) + "\", nonce=\"" + nonce +
                                    "\", algorithm=" + algorithm));
        CHECK(strongest(all)->nonce == "3");
        CHECK(strongest(all, "a")->nonce == "2");
        CHECK(strongest(all, "c")->nonce == "5");
        CHECK_FALSE(strongest(all, "d").has_value());
        CHECK_FALSE(strongest({}).has_value());
    }

    TEST_CASE("values are quoted so that none can add a parameter or a header") {
        const Credentials odd{"al\"ice\\", "p"};
        ClientNonce nonce;
        auto asked = challenge(R"(Digest realm="a \"b\\", nonce="n\"x", opaque="o\\", qop="auth")");
        const auto value = authorize(asked, odd, "INVITE", "sip:b@c", "", nonce);
        const auto auth = authorization(value);
        CHECK(auth.params.get("username") == odd.user);
        CHECK(auth.params.get("realm") == "a \"b\\");
        CHECK(auth.params.get("nonce") == "n\"x");
        CHECK(auth.params.get("opaque") == "o\\");
        CHECK(verify(auth, odd, "INVITE"));
        asked.realm = "a\r\nX-Evil: 1";
        CHECK(authorize(asked, odd, "INVITE", "sip:b@c", "", nonce).find_first_of("\r\n") ==
              std::string::npos);
    }

    TEST_CASE("the nonce count grows and the cnonce stays") {
        ClientNonce nonce;
        const auto asked = challenge(R"(Digest realm="r", nonce="n", qop="auth")");
        const auto first = authorization(authorize(asked, alice, "INVITE", "sip:b@c", "", nonce));
        const auto second = authorization(authorize(asked, alice, "INVITE", "sip:b@c", "", nonce));
        CHECK(first.params.get("nc") == "00000001");
        CHECK(second.params.get("nc") == "00000002");
        CHECK(first.params.get("cnonce") == second.params.get("cnonce"));
        CHECK(first.params.get("response") != second.params.get("response"));
        CHECK(nonce.cnonce.size() == 24);
        // nc and qop are no quoted strings (RFC 7616 section 3.4).
        CHECK_FALSE(first.params.find("nc")->quoted);
        CHECK_FALSE(first.params.find("qop")->quoted);
        CHECK_FALSE(first.params.find("algorithm")->quoted);
    }

    TEST_CASE("auth is preferred to auth-int, which is used when nothing else is offered") {
        ClientNonce nonce;
        const auto qop = [&](const char *offered) {
            const auto asked =
                challenge("Digest realm=\"r\", nonce=\"n\", qop=\"" + std::string(offered) + "\"");
            return std::string(
                authorization(authorize(asked, alice, "INVITE", "sip:b@c", "", nonce)).params.get("qop"));
        };
        CHECK(qop("auth-int,auth") == "auth");
        CHECK(qop("auth-int") == "auth-int");
    }

    TEST_CASE("algorithms are known by name without case") {
        CHECK(parse_algorithm("") == DigestAlgorithm::md5);
        CHECK(parse_algorithm("sha-512-256-SESS") == DigestAlgorithm::sha512_256_sess);
        CHECK_FALSE(parse_algorithm("SHA-512").has_value());
        for (const auto algorithm :
             {DigestAlgorithm::md5, DigestAlgorithm::md5_sess, DigestAlgorithm::sha256,
              DigestAlgorithm::sha256_sess, DigestAlgorithm::sha512_256, DigestAlgorithm::sha512_256_sess})
            CHECK(parse_algorithm(name(algorithm)) == algorithm);
    }

    TEST_CASE("random tokens are hexadecimal and do not repeat") {
        std::set<std::string> seen;
        for (int i = 0; i < 1000; ++i)
            seen.insert(random_token(8));
        CHECK(seen.size() == 1000);
        CHECK(random_token().size() == 24);
        CHECK(random_token(0).empty());
        for (const auto &token : seen)
            CHECK(token.find_first_not_of("0123456789abcdef") == std::string::npos);
    }
}
