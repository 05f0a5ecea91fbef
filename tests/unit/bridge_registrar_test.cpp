// The embedded registrar, row by row: tokens, authentication, bindings.
#include <string>

#include <doctest/doctest.h>

#include "bridge/flow_token.hpp"
#include "bridge/gatekeeper.hpp"
#include "bridge/location.hpp"
#include "bridge/proxy.hpp"
#include "sip/digest.hpp"

using namespace offhook;
using namespace offhook::bridge;

namespace {

const TimePoint start{std::chrono::hours(100)};

Settings house() {
    Settings s;
    s.domain = "house.test";
    s.users = {{"anna", "secret"}, {"ben", "", "", 2}};
    s.users[1].ha1 = "bb4a42cb3c6f0b3a45f4b9d7bbd7ac34";
    s.users.push_back({"old", "x"});
    s.users[2].digest = DigestOffer::md5;
    return s;
}

sip::Message request(const std::string &headers, const std::string &cseq = "1",
                     const std::string &call_id = "c1") {
    auto m = sip::Message::parse(
        "REGISTER sip:house.test SIP/2.0\r\nVia: SIP/2.0/WS x.invalid;branch=z9hG4bK1\r\n"
        "From: <sip:anna@house.test>;tag=1\r\nTo: <sip:anna@house.test>\r\nCall-ID: " +
        call_id + "\r\nCSeq: " + cseq + " REGISTER\r\n" + headers + "Content-Length: 0\r\n\r\n");
    REQUIRE(m);
    return *m;
}

sip::Message encoded(const sip::Draft &draft) {
    auto m = sip::Message::parse(draft.encode());
    REQUIRE(m);
    return *m;
}

sip::Flow flow(std::uint64_t connection, sip::TransportKind kind = sip::TransportKind::ws) {
    return {kind, Address::parse("192.0.2.1", 8443).value(),
            Address::parse("192.0.2.9", static_cast<std::uint16_t>(40000 + connection)).value(), connection};
}

// The Authorization that a client makes of the challenge number `which` in a 401.
std::string credentials(const sip::Draft &challenge, std::size_t which, const std::string &user,
                        const std::string &password, sip::ClientNonce &nonce) {
    std::size_t at = 0;
    for (const auto &[name, value] : challenge.headers)
        if (name == "WWW-Authenticate" && at++ == which)
            return "Authorization: " +
                   sip::authorize(sip::Challenge::parse(value, false).value(), {user, password}, "REGISTER",
                                  "sip:house.test", "", nonce) +
                   "\r\n";
    return "";
}

} // namespace

TEST_SUITE("bridge registrar") {
    TEST_CASE("flow tokens: sealed, opened, and nothing else is believed") {
        const TokenKey key("cluster"), other("another");
        const FlowToken token{7, 0x1234567890ab, device_hash("urn:uuid:1")};
        const std::string text = key.seal(token);
        CHECK(text.size() == 39);
        CHECK(key.open(text) == token);
        CHECK(TokenKey("cluster").open(text) == token); // another bridge of the cluster
        CHECK_FALSE(other.open(text));
        for (std::size_t i = 0; i < text.size(); ++i) {
            std::string bent = text;
            bent[i] = bent[i] == 'A' ? 'B' : 'A';
            CHECK_FALSE(key.open(bent));
            CHECK_FALSE(key.open(text.substr(0, i)));
        }
        CHECK_FALSE(key.open(text + "A"));
        CHECK_FALSE(key.open(text + "=="));
        CHECK(TokenKey("").seal(token) != TokenKey("").seal(token)); // a secret of its own each
    }

    TEST_CASE("base64url is one to one") {
        for (const std::string bytes : {"", "a", "ab", "abc", "\xff\xfe\xfd\xfc"}) {
            const auto back = from_base64url(base64url(bytes));
            REQUIRE(back);
            CHECK(*back == bytes);
        }
        CHECK_FALSE(from_base64url("AB")); // stray bits: a second text for "\0"
        CHECK_FALSE(from_base64url("A"));
        CHECK_FALSE(from_base64url("A+=="));
    }

    TEST_CASE("a challenge offers SHA-256 first and MD5 last, and each is taken") {
        const Settings s = house();
        Gatekeeper gate(s.domain, s.users, "");
        const auto first = request("");
        CHECK(gate.judge(first, false, "anna", "192.0.2.9", start).outcome == Gatekeeper::Outcome::challenge);
        const auto challenge = gate.challenge(first, false, "anna", false, start);
        CHECK(challenge.status == 401);
        std::vector<std::string> algorithms;
        for (const auto &[name, value] : challenge.headers)
            if (name == "WWW-Authenticate")
                algorithms.emplace_back(sip::AuthParams::parse(value)->params.get("algorithm"));
        CHECK(algorithms == std::vector<std::string>{"SHA-256", "MD5"});
        for (std::size_t which : {0U, 1U}) {
            sip::ClientNonce nonce;
            nonce.count = static_cast<std::uint32_t>(which);
            const auto again = request(credentials(challenge, which, "anna", "secret", nonce));
            const auto verdict = gate.judge(again, false, "anna", "192.0.2.9", start + Duration{10});
            CHECK(verdict.outcome == Gatekeeper::Outcome::ok);
            REQUIRE(verdict.user != nullptr);
            CHECK(verdict.user->name == "anna");
            // The very same again is a replay.
            CHECK(gate.judge(again, false, "anna", "192.0.2.9", start + Duration{20}).outcome ==
                  Gatekeeper::Outcome::stale);
        }
        for (const auto &[user, count] : {std::pair("old", 1), {"ben", 1}, {"anna", 2}, {"nobody", 2}}) {
            const auto one = gate.challenge(first, true, user, false, start);
            CHECK(one.status == 407);
            CHECK(std::count_if(one.headers.begin(), one.headers.end(),
                                [](const auto &h) { return h.first == "Proxy-Authenticate"; }) == count);
        }
    }

    TEST_CASE("nonces grow old, foreign ones count for nothing, names must agree") {
        const Settings s = house();
        Gatekeeper gate(s.domain, s.users, ""), elsewhere(s.domain, s.users, "");
        const auto challenge = gate.challenge(request(""), false, "anna", false, start);
        sip::ClientNonce nonce;
        const auto right = request(credentials(challenge, 0, "anna", "secret", nonce));
        CHECK(gate.judge(right, false, "anna", "s", start + Gatekeeper::nonce_life + Duration{1}).outcome ==
              Gatekeeper::Outcome::stale);
        CHECK(elsewhere.judge(right, false, "anna", "s", start).outcome == Gatekeeper::Outcome::stale);
        CHECK(gate.judge(right, false, "ben", "s", start).outcome == Gatekeeper::Outcome::challenge);
        CHECK(gate.judge(right, true, "anna", "s", start).outcome ==
              Gatekeeper::Outcome::challenge); // not a proxy's
        const auto nobody = request(credentials(challenge, 0, "nobody", "secret", nonce));
        CHECK(gate.judge(nobody, false, "nobody", "s", start).outcome == Gatekeeper::Outcome::challenge);
    }

    TEST_CASE("a user kept as HA1 is proved by MD5") {
        Settings s = house();
        sip::ClientNonce nonce;
        Gatekeeper gate(s.domain, s.users, "");
        const auto challenge = gate.challenge(request(""), false, "ben", false, start);
        const auto wrong = request(credentials(challenge, 0, "ben", "open", nonce));
        CHECK(gate.judge(wrong, false, "ben", "s", start).outcome == Gatekeeper::Outcome::challenge);
        s.users[1].ha1 = "84f3167e7bed9bd00df76e3a30972982"; // printf ben:house.test:open | md5sum
        const auto right = request(credentials(challenge, 0, "ben", "open", nonce));
        CHECK(gate.judge(right, false, "ben", "s", start).outcome == Gatekeeper::Outcome::ok);
    }

    TEST_CASE("guessing locks out: the pair after five, the source after twenty, longer each time") {
        GuessLock lock;
        TimePoint now = start;
        for (int i = 1; i <= 5; ++i)
            CHECK(lock.failed("anna", "evil", now) == (i == 5));
        CHECK(lock.locked("anna", "evil", now));
        CHECK_FALSE(lock.locked("anna", "home", now)); // the real anna is not shut out
        CHECK_FALSE(lock.locked("ben", "evil", now));
        now += GuessLock::first_lock;
        CHECK_FALSE(lock.locked("anna", "evil", now));
        for (int i = 1; i <= 5; ++i)
            lock.failed("anna", "evil", now);
        CHECK(lock.locked("anna", "evil", now + GuessLock::first_lock)); // twice as long
        CHECK_FALSE(lock.locked("anna", "evil", now + GuessLock::first_lock * 2));
        for (int i = 0; i < 20; ++i)
            lock.failed("user" + std::to_string(i), "scanner", now);
        CHECK(lock.locked("whoever", "scanner", now));
        CHECK_FALSE(lock.locked("whoever", "home", now));
    }

    TEST_CASE("right passwords forget earlier mistakes") {
        GuessLock lock;
        for (int i = 0; i < 4; ++i)
            lock.failed("anna", "home", start);
        lock.succeeded("anna", "home");
        for (int i = 0; i < 4; ++i)
            CHECK_FALSE(lock.failed("anna", "home", start));
        CHECK_FALSE(lock.locked("anna", "home", start));
    }

    TEST_CASE("bindings: added, listed byte for byte, refreshed, removed") {
        const Settings s = house();
        Location where(s);
        const std::string contact = "<sip:ab12cd34@xyz9.invalid;transport=ws>;+sip.ice;reg-id=1;+sip."
                                    "instance=\"<urn:uuid:1>\";expires=300";
        auto answer = where.process(request("Contact: " + contact + "\r\nSupported: path,gruu,outbound\r\n"),
                                    flow(1), s.users[0], start);
        CHECK(answer.response.status == 200);
        CHECK(answer.response.get("Contact") ==
              "<sip:ab12cd34@xyz9.invalid;transport=ws>;+sip.instance=\"<urn:uuid:1>\";reg-id=1;expires=300");
        CHECK(answer.response.get("Require") == "outbound");
        REQUIRE(answer.changes.size() == 1);
        CHECK(answer.changes[0].kind == Location::Change::Kind::added);
        // The page was reloaded: another Contact and connection, the same instance.
        answer = where.process(request("Contact: "
                                       "<sip:new@q.invalid;transport=ws>;reg-id=1;+sip.instance=\"<urn:uuid:"
                                       "1>\"\r\nExpires: 600\r\n",
                                       "1", "c2"),
                               flow(2), s.users[0], start);
        REQUIRE(answer.changes.size() == 1);
        CHECK(answer.changes[0].kind == Location::Change::Kind::refreshed);
        REQUIRE(where.of("anna").size() == 1);
        CHECK(where.of("anna")[0].flow.connection == 2);
        CHECK(where.by_device("urn:uuid:1")->contact == "sip:new@q.invalid;transport=ws");
        CHECK(where.by_flow(flow(2)) != nullptr);
        CHECK(where.by_flow(flow(1)) == nullptr);
        where.flow_lost(flow(2));
        CHECK(where.by_device("urn:uuid:1") == nullptr);
        CHECK_FALSE(where.of("anna")[0].reachable);
        answer = where.process(
            request("Contact: "
                    "<sip:new@q.invalid;transport=ws>;reg-id=1;+sip.instance=\"<urn:uuid:1>\";expires=0\r\n",
                    "2", "c2"),
            flow(3), s.users[0], start);
        REQUIRE(answer.changes.size() == 1);
        CHECK(answer.changes[0].kind == Location::Change::Kind::removed);
        CHECK(answer.response.get("Contact").empty());
        CHECK(where.size() == 0);
    }

    TEST_CASE("what a REGISTER may not do") {
        const Settings s = house();
        struct Row {
            const char *headers;
            unsigned status;
        };
        const Row rows[] = {{"Contact: <sip:a@h>;expires=5\r\n", 423},
                            {"Contact: <tel:+1>\r\n", 400},
                            {"Contact: <sip:a@h>;expires=x\r\n", 400},
                            {"Contact: *\r\n", 400},
                            {"Contact: *\r\nExpires: 10\r\n", 400},
                            {"Contact: <sip:a@h>, *\r\nExpires: 0\r\n", 400},
                            {"Contact: <sip:a@h>, <sip:b@h>, <sip:c@h>\r\n", 403}}; // ben has two devices
        for (const auto &row : rows) {
            Location where(s);
            const auto answer =
                where.process(request(row.headers), flow(1, sip::TransportKind::udp), s.users[1], start);
            CHECK_MESSAGE(answer.response.status == row.status, row.headers);
            CHECK(where.size() == 0); // all or nothing
        }
        Location where(s);
        const auto brief =
            where.process(request("Contact: <sip:a@h>;expires=5\r\n"), flow(1), s.users[0], start);
        CHECK(brief.response.get("Min-Expires") == "60");
    }

    TEST_CASE("old requests, star, queries, expiry and preference") {
        const Settings s = house();
        Location where(s);
        const auto udp = flow(0, sip::TransportKind::udp);
        CHECK(where
                  .process(
                      request("Contact: <sip:a@192.0.2.5>;q=0.5, <sip:a@192.0.2.6>\r\nExpires: 100\r\n", "5"),
                      udp, s.users[0], start)
                  .response.status == 200);
        REQUIRE(where.of("anna").size() == 2);
        CHECK(where.of("anna")[0].uri.host == "192.0.2.6"); // q = 1 first
        for (const char *old : {"4", "5"})                  // only a higher number counts (§10.3 step 7)
            CHECK(where.process(request("Contact: <sip:a@192.0.2.5>\r\n", old), udp, s.users[0], start)
                      .response.status == 500);
        const auto query =
            where.process(request("", "1", "other"), udp, s.users[0], start + std::chrono::seconds(40));
        CHECK(encoded(query.response).count(sip::HeaderId::contact) == 2);
        CHECK(encoded(query.response).value(sip::HeaderId::contact).find(";expires=60") !=
              std::string_view::npos);
        CHECK(where.expire(start + std::chrono::seconds(99)).empty());
        CHECK(where.expire(start + std::chrono::seconds(100)).size() == 2);
        where.process(request("Contact: <sip:a@192.0.2.5>\r\n", "1", "c9"), udp, s.users[0], start);
        CHECK(where.process(request("Contact: *\r\nExpires: 0\r\n", "2", "c9"), udp, s.users[0], start)
                  .changes.size() == 1);
        CHECK(where.size() == 0);
    }

    TEST_CASE("a page reloaded too often does not lock its user out") {
        const Settings s = house();
        Location where(s);
        for (int i = 0; i < 5; ++i) {
            const std::string id = std::to_string(i);
            const auto answer =
                where.process(request("Contact: <sip:u" + id + "@x.invalid>\r\n", "1", "c" + id),
                              flow(static_cast<std::uint64_t>(i + 1)), s.users[1], start);
            CHECK(answer.response.status == 200);
            where.flow_lost(flow(static_cast<std::uint64_t>(i + 1)));
        }
        CHECK(where.of("ben").size() <= 2);
    }

    TEST_CASE("the state file gives phones back, with the time that is left") {
        const Settings s = house();
        Location where(s);
        where.process(request("Contact: <sip:a@192.0.2.5:5070>;+sip.instance=\"<urn:uuid:7>\"\r\nExpires: "
                              "100\r\nPath: <sip:edge;lr>\r\n"),
                      flow(0, sip::TransportKind::udp), s.users[0], start);
        where.process(request("Contact: <sip:w@x.invalid>\r\n", "1", "ws"), flow(3), s.users[0], start);
        const std::string text = encode_state(where, start, 1'000'000);
        const auto back = decode_state(text, start, 1'000'040);
        REQUIRE(back);
        REQUIRE(back->size() == 1); // connections do not survive
        const Binding &b = back->front();
        CHECK(b.user == "anna");
        CHECK(b.contact == "sip:a@192.0.2.5:5070");
        CHECK(b.device == "urn:uuid:7");
        CHECK(b.path == std::vector<std::string>{"<sip:edge;lr>"});
        CHECK(b.expires == start + std::chrono::seconds(60));
        CHECK(b.flow == where.of("anna")[0].flow);
        CHECK(decode_state(text, start, 1'000'100)->empty());
        CHECK_FALSE(decode_state("{\"bindings\": 7}", start, 0));
        CHECK_FALSE(decode_state("nonsense", start, 0));
    }

    TEST_CASE("the URI of a Contact as written") {
        CHECK(raw_uri("<sip:a@b;transport=ws;ob>;expires=3") == "sip:a@b;transport=ws;ob");
        CHECK(raw_uri("\"Anna <x>\" <sip:a@b>") == "sip:a@b");
        CHECK(raw_uri("\"A \\\" <\" <sip:c@d>;q=1") == "sip:c@d");
        CHECK(raw_uri("sip:a@b;expires=3") == "sip:a@b");
    }
}
