// Tokens and cookies of web applications: what proves something, and all that does not.
#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>

#include "base/config.hpp"
#include "bridge/flow_token.hpp"
#include "bridge/gatekeeper.hpp"
#include "bridge/location.hpp"
#include "bridge/session_cookie.hpp"
#include "bridge/settings_reader.hpp"
#include "bridge/web_logins.hpp"
#include "sip/digest.hpp"
#include "sip/escape.hpp"

using namespace offhook;
using namespace offhook::bridge;

namespace {

// RFC 7515, appendix A: the claims of all of its examples, iss "joe" and exp 1300819380.
const std::string payload =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb2"
    "90Ijp0cnVlfQ";
constexpr std::int64_t until = 1'300'819'380;
const std::string secret_a1 =
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CA"
    "ow";
const std::string token_a1 =
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + payload + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const std::string token_a2 =
    "eyJhbGciOiJSUzI1NiJ9." + payload +
    ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
    "O8W2Fp5jujGbds9uJdbF9"
    "CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_"
    "eSN9383LcOLn6"
    "_dO--xi12jzDwusC-"
    "eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0"
    "igcN_IoypGlUPQGe77Rw";
const std::string token_a3 =
    "eyJhbGciOiJFUzI1NiJ9." + payload +
    ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU"
    "1Q";
const std::string rsa_pem = "-----BEGIN PUBLIC KEY-----\n"
                            "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAofgWCuLjybRlzo0tZWJj\n"
                            "NiuSfb4p4fAkd/wWJcyQoTbji9k0l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEz\n"
                            "P1Pt0Bm4d4QlL+yRT+SFd2lZS+pCgNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo\n"
                            "9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTB\n"
                            "EMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxX\n"
                            "FvUK+DWNmoudF8NAco9/h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXp\n"
                            "oQIDAQAB\n-----END PUBLIC KEY-----\n";
const std::string ec_pem = "-----BEGIN PUBLIC KEY-----\n"
                           "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
                           "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
                           "-----END PUBLIC KEY-----\n";

const std::string secret = "correct horse battery staple, twice";

// As a web application makes the cookie's value.
std::string make_session(const SessionProof &proof, std::string_view key) {
    const std::string said = sip::escape_header(proof.user) + ":" + std::to_string(proof.until);
    const std::string code = mac(key, said, 32);
    return said + ":" + sip::hex({reinterpret_cast<const unsigned char *>(code.data()), code.size()});
}

JwtRules rules(const std::string &key, const std::string &claim = "sub") {
    auto read = JwtKey::read(key);
    REQUIRE(read);
    return {*read, "", "", claim};
}

std::string signed_with(const std::string &key, const std::string &claims,
                        const std::string &header = R"({"alg":"HS256","typ":"JWT"})") {
    const std::string said = base64url(header) + "." + base64url(claims);
    return said + "." + base64url(mac(key, said, 32));
}

std::string why(const std::string &token, const JwtRules &with, std::int64_t now = 1000) {
    const auto proof = check_jwt(token, with, now);
    return proof ? "" : proof.error().what;
}

bool says(const std::string &text, const std::string &part) {
    return text.find(part) != std::string::npos;
}

sip::Message request(const std::string &headers, const std::string &method = "REGISTER") {
    auto m = sip::Message::parse(
        method +
        " sip:house.test SIP/2.0\r\nVia: SIP/2.0/WS x.invalid;branch=z9hG4bK1\r\n"
        "From: <sip:anna@house.test>;tag=1\r\nTo: <sip:anna@house.test>\r\nCall-ID: c\r\nCSeq: 1 " +
        method + "\r\n" + headers + "Content-Length: 0\r\n\r\n");
    REQUIRE(m);
    return *m;
}

sip::Flow flow(std::uint64_t connection, sip::TransportKind kind = sip::TransportKind::ws) {
    return {kind, Address::parse("192.0.2.1", 8443).value(), Address::parse("192.0.2.9", 40000).value(),
            connection};
}

std::string written(const std::string &name, const std::string &text) {
    const auto path =
        std::filesystem::temp_directory_path() / ("offhook-" + name + "." + sip::random_token(8));
    std::ofstream(path, std::ios::binary) << text;
    std::filesystem::permissions(path,
                                 std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    return path.string();
}

} // namespace

TEST_SUITE("bridge logins") {
    TEST_CASE("the signatures of RFC 7515: HS256 (A.1), RS256 (A.2), ES256 (A.3)") {
        const auto key = from_base64url(secret_a1);
        REQUIRE(key);
        for (const auto &[token, pem] :
             {std::pair(token_a1, *key), {token_a2, rsa_pem}, {token_a3, ec_pem}}) {
            const auto with = rules(pem, "iss");
            const auto proof = check_jwt(token, with, until - 1);
            REQUIRE(proof);
            CHECK(proof->user == "joe");
            CHECK(proof->until == until);
            CHECK(says(why(token, with, until), "has expired"));
            // Any other bit anywhere is another token.
            for (std::size_t at = 0; at < token.size(); at += 7) {
                std::string bent = token;
                bent[at] = bent[at] == 'A' ? 'B' : 'A';
                CHECK_FALSE(check_jwt(bent, with, until - 1));
            }
            CHECK_FALSE(check_jwt(token + "A", with, until - 1));
            CHECK_FALSE(check_jwt(token.substr(0, token.rfind('.') + 1), with, until - 1));
        }
        CHECK(says(why(token_a1, rules("another secret of thirty-two bytes", "iss"), 1), "wrong signature"));
    }

    TEST_CASE("the key decides about the algorithm, whatever the token says") {
        const std::string claims = R"({"sub":"anna","exp":2000})";
        const std::string none = base64url(R"({"alg":"none"})") + "." + base64url(claims) + ".";
        // Signed with the text of the public key, as if it were a secret.
        const std::string confused = signed_with(rsa_pem, claims);
        for (const auto &key : {secret, rsa_pem, ec_pem}) {
            CHECK(says(why(none, rules(key)), "is not signed with"));
            for (const char *alg : {"None", "nOnE", "HS384", "hs256", "PS256", ""})
                CHECK(says(
                    why(signed_with(secret, claims, std::string(R"({"alg":")") + alg + "\"}"), rules(key)),
                    "is not signed with"));
        }
        CHECK(says(why(confused, rules(rsa_pem)), "is not signed with RS256"));
        CHECK(
            says(why(signed_with(rsa_pem, claims, R"({"alg":"RS256"})"), rules(rsa_pem)), "wrong signature"));
        CHECK(says(why(token_a2, rules(ec_pem)), "is not signed with ES256"));
        CHECK(says(
            why(signed_with(secret, claims, R"({"alg":"HS256","crit":["b64"],"b64":false})"), rules(secret)),
            "crit"));
        CHECK(why(signed_with(secret, claims), rules(secret)).empty());
    }

    TEST_CASE("the claims: user, times, issuer, audience") {
        auto with = rules(secret);
        const auto refusal = [&](const std::string &claims, std::int64_t now = 1000) {
            return why(signed_with(secret, claims), with, now);
        };
        CHECK(refusal(R"({"sub":"anna","exp":1001})").empty());
        CHECK(refusal(R"({"sub":"anna","exp":1000.5})") == "the token has expired");
        CHECK(refusal(R"({"sub":"anna","exp":1001.5})").empty());
        CHECK(refusal(R"({"sub":"anna"})") == "the token has no exp");
        CHECK(refusal(R"({"sub":"anna","exp":"2000"})") == "the token has no exp");
        CHECK(refusal(R"({"sub":"anna","exp":1e300})") == "the token has no exp");
        CHECK(refusal(R"({"sub":"anna","exp":2000,"nbf":1030})").empty());
        CHECK(says(refusal(R"({"sub":"anna","exp":2000,"nbf":1031})"), "nbf"));
        CHECK(says(refusal(R"({"sub":"anna","exp":2000,"nbf":"x"})"), "nbf"));
        for (const char *claims : {R"({"exp":2000})", R"({"sub":"","exp":2000})", R"({"sub":7,"exp":2000})"})
            CHECK(says(refusal(claims), "names no user (sub)"));
        CHECK(says(refusal(R"(["sub","exp"])"), "has no claims"));
        with.issuer = "https://login.test";
        CHECK(says(refusal(R"({"sub":"anna","exp":2000})"), "issuer"));
        CHECK(says(refusal(R"({"sub":"anna","exp":2000,"iss":"https://login.test.evil"})"), "issuer"));
        with.audience = "phone";
        CHECK(says(refusal(R"({"sub":"anna","exp":2000,"iss":"https://login.test"})"), "audience"));
        CHECK(says(refusal(R"({"sub":"anna","exp":2000,"iss":"https://login.test","aud":["a","phones"]})"),
                   "audience"));
        CHECK(refusal(R"({"sub":"anna","exp":2000,"iss":"https://login.test","aud":["a","phone"]})").empty());
        CHECK(refusal(R"({"sub":"anna","exp":2000,"iss":"https://login.test","aud":"phone"})").empty());
        with.user_claim = "preferred_username";
        CHECK(says(refusal(R"({"sub":"x","exp":2000,"iss":"https://login.test","aud":"phone"})"),
                   "names no user"));
    }

    TEST_CASE("what is no token is refused, however it is broken") {
        const auto with = rules(secret);
        for (const std::string text : {"", ".", "..", "...", "a.b", "a.b.c", "e30.e30.", "e30.e30.e30.e30"})
            CHECK(says(why(text, with), "the token is n"));
        CHECK(says(why(std::string(JwtRules::largest_token + 1, 'a'), with), "too long"));
        std::string deep = "{\"alg\":" + std::string(200, '[') + std::string(200, ']') + "}";
        CHECK(says(why(signed_with(secret, "{}", deep), with), "is no JWT"));
    }

    TEST_CASE("keys: what they may be, and one clear line for what they may not") {
        CHECK(JwtKey::read(secret + "\n")->verify("x", mac(secret, "x", 32)));
        CHECK(JwtKey::read(rsa_pem)->algorithm() == "RS256");
        CHECK(JwtKey::read(ec_pem)->algorithm() == "ES256");
        for (const auto &[text, part] :
             {std::pair("short\n", "has 5 bytes (expected at least 32)"),
              {"-----BEGIN PRIVATE KEY-----\nMC4CAQ==\n-----END PRIVATE KEY-----\n", "no public key"},
              {"-----BEGIN PUBLIC KEY-----\nMC4CAQ==\n", "no public key"}}) {
            const auto key = JwtKey::read(text);
            REQUIRE_FALSE(key);
            CHECK(says(key.error().what, part));
        }
    }

    TEST_CASE("cookies: found, made, believed only as they were made") {
        CHECK(cookie_value("a=1; b=2;c=3", "b") == "2");
        CHECK(cookie_value("xb=1; b=2; b=3", "b", 1) == "3");
        CHECK(cookie_value("b", "b").empty());
        CHECK(cookie_value("; ;=;b=", "b").empty());
        // printf anna:2000 | openssl dgst -sha256 -hmac "correct horse battery staple, twice" -r
        CHECK(make_session({"anna", 2000}, secret) ==
              "anna:2000:ab8b98ce6f4df7b586c15462cfc71832adddd7d6f1f13dc91e4091ca5f8b8e02");
        for (const std::string user : {"anna", "anna.b:c d;e", "\xc3\xa4nna"}) {
            const std::string made = make_session({user, 2000}, secret);
            CHECK(made.find_first_of(" ;,\"\\") == std::string::npos);
            const auto proof = check_session(made, secret, 1999);
            REQUIRE(proof);
            CHECK(proof->user == user);
            CHECK(proof->until == 2000);
            CHECK(says(check_session(made, secret, 2000).error().what, "has expired"));
            CHECK_FALSE(check_session(made, secret + "x", 1999));
            for (std::size_t at = 0; at < made.size(); ++at) {
                std::string bent = made;
                bent[at] = bent[at] == '1' ? '2' : '1';
                CHECK_FALSE(check_session(bent, secret, 1));
                CHECK_FALSE(check_session(made.substr(0, at), secret, 1));
            }
        }
        for (const std::string said : {"anna:-5", "anna:99999999999999999999", "anna:2000 ", ":2000",
                                       "an%4:2000", "an%zz:2000", "an na:2000"}) {
            std::string made = said + ":";
            for (const char c : mac(secret, said, 32)) {
                constexpr std::string_view hex = "0123456789abcdef";
                made += hex[static_cast<unsigned char>(c) >> 4];
                made += hex[c & 15];
            }
            CHECK(says(check_session(made, secret, 1).error().what, "USER:EXPIRES:MAC"));
        }
    }

    TEST_CASE("a login counts for its own user, on its own connection, where nobody reads along") {
        LoginSettings settings;
        settings.jwt = rules(secret);
        settings.cookie_key = "another secret, for cookies alone, long";
        std::size_t open = 100;
        WebLogins logins(settings, [&](const sip::Flow &f) { return f.connection < open; });
        const std::string anna = signed_with(secret, R"({"sub":"anna","exp":2000})");
        const auto with_token = request("Authorization: Bearer " + anna + "\r\n");
        CHECK(logins.judge(with_token, flow(1), "anna", 1000).proved);
        CHECK(logins.judge(with_token, flow(1), "anna", 1000).until == 2000);
        CHECK(logins
                  .judge(request("Proxy-Authorization: bearer " + anna + "\r\n", "INVITE"), flow(1), "anna",
                         1000)
                  .proved);
        CHECK(says(logins.judge(with_token, flow(1), "ben", 1000).why, "another user's"));
        CHECK(says(logins.judge(with_token, flow(0, sip::TransportKind::udp), "anna", 1000).why,
                   "in the clear"));
        CHECK(logins.judge(with_token, flow(1, sip::TransportKind::tls), "anna", 1000).proved);
        CHECK(logins.judge(request(""), flow(1), "anna", 1000).why.empty());
        CHECK_FALSE(
            logins.judge(request("Authorization: Basic " + anna + "\r\n"), flow(1), "anna", 1000).proved);

        const std::string good = make_session({"anna", 2000}, settings.cookie_key);
        logins.opened(flow(1),
                      "offhook_session=" + make_session({"anna", 999}, settings.cookie_key) +
                          "; offhook_session=" + good,
                      1000);
        logins.opened(flow(2), "offhook_session=anna:2000:beef", 1000);
        logins.opened(flow(3), "other=1", 1000);
        CHECK(logins.judge(request(""), flow(1), "anna", 1000).until == 2000);
        CHECK(says(logins.judge(request(""), flow(1), "ben", 1000).why, "another user's"));
        CHECK(says(logins.judge(request(""), flow(1), "anna", 2000).why, "has expired"));
        CHECK(says(logins.judge(request(""), flow(2), "anna", 1000).why, "wrong signature"));
        CHECK(logins.judge(request(""), flow(3), "anna", 1000).why.empty());
        // A token does where the cookie does not.
        CHECK(logins.judge(with_token, flow(2), "anna", 1000).proved);
        // Those of connections that are gone are forgotten some time.
        open = 3;
        for (std::uint64_t n = 100; n < 164; ++n)
            logins.opened(flow(n), "offhook_session=" + good, 1000);
        CHECK(logins.judge(request(""), flow(1), "anna", 1000).proved);
        CHECK_FALSE(logins.judge(request(""), flow(100), "anna", 1000).proved);
        CHECK(logins.judge(request(""), flow(163), "anna", 1000).proved);
    }

    TEST_CASE("a binding does not outlast the login, and who has no password cannot be guessed") {
        Settings s;
        s.domain = "house.test";
        s.users = {{"anna", ""}};
        Location where(s);
        const auto answer = where.process(request("Contact: <sip:a@x.invalid>;expires=600\r\n"), flow(1),
                                          s.users[0], TimePoint{}, std::chrono::seconds(25));
        CHECK(answer.response.status == 200);
        CHECK(says(std::string(answer.response.get("Contact")), ";expires=25"));
        CHECK(where.expire(TimePoint{} + std::chrono::seconds(25)).size() == 1);
        Gatekeeper gate(s.domain, s.users, "");
        const auto challenge = gate.challenge(request(""), false, "anna", false, TimePoint{});
        sip::ClientNonce nonce;
        const auto guess =
            request("Authorization: " +
                    sip::authorize(sip::Challenge::parse(challenge.get("WWW-Authenticate"), false).value(),
                                   {"anna", ""}, "REGISTER", "sip:house.test", "", nonce) +
                    "\r\n");
        CHECK(gate.judge(guess, false, "anna", "s", TimePoint{}).outcome == Gatekeeper::Outcome::challenge);
    }

    TEST_CASE("the configuration: one clear line for each mistake") {
        const std::string key = written("key", secret + "\n"), brief = written("brief", "x\n");
        const std::string user = "[[bridge.user]]\nname = \"anna\"\n";
        const auto read = [](const std::string &text) {
            return read_bridge_settings({"house.toml", parse_config(text, "house.toml").value(), false}, {});
        };
        const auto error = [&](const std::string &lines) {
            const auto report = read("[bridge]\ndomain = \"house.test\"\n" + lines + user);
            if (!report.errors.empty()) return report.errors.front();
            const auto fits = check_logins(report.settings);
            return fits ? std::string() : fits.error().what;
        };
        const auto file = [](const std::string &name, const std::string &path) {
            return name + " = \"" + path + "\"\n";
        };
        const auto good =
            read("[bridge]\n" + file("jwt_key_file", key) + "jwt_claim = \"upn\"\njwt_issuer = \"i\"\n" +
                 file("cookie_key_file", key) + user);
        CHECK(good.errors.empty());
        REQUIRE(good.settings.logins.jwt);
        CHECK(good.settings.logins.jwt->user_claim == "upn");
        CHECK(good.settings.logins.jwt->issuer == "i");
        CHECK(good.settings.logins.cookie_key == secret);
        CHECK(says(error(""), "\"anna\" has no password"));
        CHECK(error(file("jwt_key_file", key)).empty());
        CHECK(error(file("cookie_key_file", key)).empty());
        CHECK(says(error(file("jwt_key_file", brief)), "has 1 bytes (expected at least 32)"));
        CHECK(says(error(file("cookie_key_file", brief)), "has 1 bytes (expected at least 32)"));
        CHECK(says(error(file("cookie_key_file", "/nowhere")), "nothing can be read from /nowhere"));
        CHECK(says(error("jwt_issuer = \"i\"\n"), "need jwt_key_file"));
        CHECK(says(error(file("jwt_key_file", key) + "upstream = \"sip:pbx.test\"\n"),
                   "the upstream has them"));
        for (const char *origin : {"*", "https://*", "*.invalid"})
            CHECK(says(error(file("cookie_key_file", key) + "origin = \"" + origin + "\"\n"), "every page"));
        CHECK(error(file("cookie_key_file", key) + "origin = \"https://*.house.test\"\n").empty());
        CHECK(error(file("jwt_key_file", key) + "origin = \"*\"\n").empty());
        std::filesystem::permissions(key, std::filesystem::perms(0644));
        CHECK(says(error(file("jwt_key_file", key)), "everybody can read"));
        CHECK(says(error(file("cookie_key_file", key)), "everybody can read"));
        for (const auto &path : {key, brief})
            std::filesystem::remove(path);
    }
}
