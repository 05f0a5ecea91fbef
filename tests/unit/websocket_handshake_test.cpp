// The opening handshake: what is asked, what is refused with which status.
#include <doctest/doctest.h>

#include "sip/accept_rate.hpp"
#include "sip/half_open.hpp"
#include "sip/websocket_handshake.hpp"

using namespace offhook;
using namespace offhook::sip;

namespace {

constexpr const char *rfc_key = "dGhlIHNhbXBsZSBub25jZQ=="; // RFC 6455 §1.3

std::string upgrade(const std::string &more = "", const std::string &first = "GET /ws HTTP/1.1") {
    return first +
           "\r\nHost: pbx.example.com:8089\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " +
           rfc_key + "\r\n" + more + "\r\n";
}

// The status a request is answered with; 101 for consent.
unsigned verdict(const std::string &text, std::size_t piece = SIZE_MAX) {
    HttpHeadReader reader;
    for (std::size_t at = 0; at < text.size(); at += std::min(piece, text.size())) {
        std::string_view part = std::string_view(text).substr(at, piece);
        const auto head = reader.push(part);
        if (!head) return head.error().sip;
        if (!*head) continue;
        const auto request = HttpHead::parse_request(**head);
        if (!request) return request.error().sip;
        if (!wants_websocket(*request)) return 200;
        const auto right = check_upgrade_request(*request);
        return right ? 101 : right.error().sip;
    }
    return 0; // still waiting
}

std::string without(std::string text, const std::string &line) {
    const auto at = text.find(line);
    REQUIRE(at != std::string::npos);
    return text.erase(at, text.find("\r\n", at) + 2 - at);
}

} // namespace

TEST_SUITE("websocket") {

    TEST_CASE("the example of RFC 6455") {
        CHECK(websocket_accept(rfc_key) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        CHECK(is_websocket_key(rfc_key));
        CHECK(is_websocket_key(websocket_key()));
        CHECK(websocket_key() != websocket_key());
        const auto request =
            HttpHead::parse_request(upgrade("Sec-WebSocket-Protocol: chat, sip\r\n")).value();
        const auto response = HttpHead::parse_response(upgrade_response(request)).value();
        CHECK(response.status == 101);
        CHECK(response.value("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        CHECK(response.value("Sec-WebSocket-Protocol") == "sip");
        CHECK(check_upgrade_response(response, rfc_key));
        CHECK(request.path() == "/ws");
    }

    TEST_CASE("which upgrades are right") {
        const std::string sip = "Sec-WebSocket-Protocol: sip\r\n";
        const struct {
            const char *what;
            std::string text;
            unsigned status;
        } rows[]{
            {"plain", upgrade(sip), 101},
            {"several protocols", upgrade("Sec-WebSocket-Protocol: msrp, sip\r\n"), 101},
            {"protocols in two lines", upgrade("Sec-WebSocket-Protocol: msrp\r\n" + sip), 101},
            {"extensions are not answered", upgrade(sip + "Sec-WebSocket-Extensions: permessage-deflate\r\n"),
             101},
            {"a query", upgrade(sip, "GET /?token=1 HTTP/1.1"), 101},
            {"no protocol", upgrade(), 400},
            {"other case of the protocol", upgrade("Sec-WebSocket-Protocol: SIP\r\n"), 400},
            {"POST", upgrade(sip, "POST /ws HTTP/1.1"), 400},
            {"HTTP/1.0", upgrade(sip, "GET /ws HTTP/1.0"), 505},
            {"HTTP/2", upgrade(sip, "GET /ws HTTP/2.0"), 505},
            {"no version", without(upgrade(sip), "Sec-WebSocket-Version"), 426},
            {"two versions", upgrade(sip + "Sec-WebSocket-Version: 8\r\n"), 426},
            {"no key", without(upgrade(sip), "Sec-WebSocket-Key"), 400},
            {"two keys", upgrade(sip + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), 400},
            {"no Connection", without(upgrade(sip), "Connection"), 400},
            {"no Upgrade", without(upgrade(sip), "Upgrade"), 400},
            {"upgrade to h2c", upgrade(sip, "GET / HTTP/1.1\r\nUpgrade: h2c"), 101}, // among others
            {"no Host", without(upgrade(sip), "Host"), 400},
            {"two Hosts", upgrade(sip + "Host: other\r\n"), 400},
            {"a body", upgrade(sip + "Content-Length: 3\r\n"), 413},
            {"an empty body", upgrade(sip + "Content-Length: 0\r\n"), 101},
            {"two lengths", upgrade(sip + "Content-Length: 0\r\nContent-Length: 0\r\n"), 400},
            {"a signed length", upgrade(sip + "Content-Length: +0\r\n"), 400},
            {"chunks", upgrade(sip + "Transfer-Encoding: chunked\r\n"), 501},
            {"white space before a colon", upgrade(sip + "X-Bypass : 1\r\n"), 400},
            {"a folded line", upgrade(sip + "X-A: 1\r\n 2\r\n"), 400},
            {"no colon", upgrade(sip + "nonsense\r\n"), 400},
            {"a bare LF", upgrade(sip + "X-A: 1\n"), 400},
            {"a bare CR", upgrade(sip + "X-A: 1\r2\r\n"), 400},
            {"a NUL", upgrade(sip + std::string("X-A: \0\r\n", 8)), 400},
            {"an escape", upgrade(sip + "X-A: \x1b[2J\r\n"), 400},
            {"an absolute target", upgrade(sip, "GET http://pbx/ws HTTP/1.1"), 400},
            {"no target", upgrade(sip, "GET HTTP/1.1"), 400},
            {"a tab in the request line", upgrade(sip, "GET\t/ws HTTP/1.1"), 400},
            {"a SIP request", "OPTIONS sip:a SIP/2.0\r\n\r\n", 400},
            {"an empty line", "\r\n" + upgrade(sip), 400},
            {"TLS", std::string("\x16\x03\x01\x02\x00\n", 6), 400},
            {"another page", "GET /index.html HTTP/1.1\r\nHost: a\r\n\r\n", 200},
            {"a long target", upgrade(sip, "GET /" + std::string(2100, 'a') + " HTTP/1.1"), 414},
            {"a long line", upgrade(sip + "X-A: " + std::string(9000, 'a') + "\r\n"), 431},
            {"too much of it",
             upgrade(sip + "X-A: " + std::string(8100, 'a') + "\r\nX-B: " + std::string(8100, 'a') + "\r\n"),
             431},
        };
        for (const auto &row : rows) {
            CAPTURE(row.what);
            CHECK(verdict(row.text) == row.status);
            CHECK(verdict(row.text, 1) == row.status);
        }
        std::string lines;
        for (int i = 0; i < 59; ++i)
            lines += "X-" + std::to_string(i) + ": 1\r\n";
        CHECK(verdict(upgrade(sip + lines.substr(lines.find('\n') + 1))) == 101); // 64 with the six others
        CHECK(verdict(upgrade(sip + lines + "X-One: 2\r\n")) == 431);
        CHECK(verdict(upgrade(sip).substr(0, 60)) == 0);
    }

    TEST_CASE("what the other side of a connection attempt may say") {
        const auto answered = [](const std::string &text) {
            const auto response = HttpHead::parse_response(text);
            if (!response) return std::string("no HTTP");
            const auto right = check_upgrade_response(*response, rfc_key);
            return right ? std::string() : right.error().what;
        };
        const std::string good =
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: sip\r\n\r\n";
        CHECK(answered(good).empty());
        CHECK(answered("HTTP/1.1 404 Not Found\r\n\r\n") ==
              "the server refused the WebSocket: HTTP 404 Not Found");
        CHECK(answered("HTTP/1.1 301\r\nLocation: /x\r\n\r\n") ==
              "the server refused the WebSocket: HTTP 301 Unknown");
        CHECK(answered(without(good, "Sec-WebSocket-Protocol")) ==
              "the WebSocket server does not speak SIP (no subprotocol \"sip\" in its answer)");
        CHECK(answered(without(good, "Sec-WebSocket-Accept")).find("Accept") != std::string::npos);
        CHECK(answered(without(good, "Upgrade")).find("not WebSocket") != std::string::npos);
        CHECK(answered("SIP/2.0 400 Bad Request\r\n\r\n") == "no HTTP");
        CHECK(answered("HTTP/1.1 1010 x\r\n\r\n") == "no HTTP");
    }

    TEST_CASE("own pages and native clients have a right Origin") {
        const auto own = [](const std::string &lines, bool secure) {
            return is_own_origin(HttpHead::parse_request(upgrade(lines)).value(), secure);
        };
        CHECK(own("", true));
        CHECK(own("Origin: https://pbx.example.com:8089\r\n", true));
        CHECK(own("Origin: HTTPS://PBX.example.com:8089\r\n", true));
        CHECK_FALSE(own("Origin: http://pbx.example.com:8089\r\n", true));
        CHECK_FALSE(own("Origin: https://pbx.example.com\r\n", true));
        CHECK_FALSE(own("Origin: https://evil.example\r\n", true));
        CHECK_FALSE(own("Origin: null\r\n", true));
        CHECK_FALSE(own("Origin: https://pbx.example.com:8089\r\nOrigin: https://evil.example\r\n", true));
    }

    TEST_CASE("new connections are taken two thousand at once, then a thousand a second") {
        AcceptRate rate;
        TimePoint now{std::chrono::hours(1)};
        for (int n = 0; n < 1'999; ++n)
            CHECK(rate.taken(now) == Duration(0));
        Duration waited{0};
        for (int n = 0; n < 1'000; ++n) {
            const Duration wait = rate.taken(now);
            now += wait;
            waited += wait;
        }
        CHECK(waited >= Duration(960));
        CHECK(waited <= Duration(1'040));
        now += std::chrono::hours(1); // no more than the burst is saved up
        for (int n = 0; n < 1'999; ++n)
            CHECK(rate.taken(now) == Duration(0));
        CHECK(rate.taken(now) > Duration(0));
    }

    TEST_CASE("connections without a word are counted by address, and the slowest is known") {
        HalfOpen sources;
        const auto a = Address::parse("192.0.2.1", 1000).value(), b = Address::parse("192.0.2.2", 7).value();
        sources.accepted(b, 1);
        sources.accepted(a, 2);
        sources.accepted(a.with_port(2000), 3);
        CHECK(sources.half_open() == 3);
        CHECK(sources.half_open(a) == 2);
        CHECK(sources.oldest(a) == 2);
        CHECK(sources.oldest() == 1);
        sources.heard(a, 2);
        CHECK(sources.half_open(a) == 1);
        CHECK(sources.all(a) == 2);
        CHECK(sources.oldest(a) == 3);
        sources.closed(b, 1);
        CHECK(sources.oldest() == 3);
        CHECK(sources.all(b) == 0);
        sources.closed(a, 2);
        sources.closed(a, 3);
        CHECK(sources.all(a) == 0);
        CHECK_FALSE(sources.oldest(a));
        CHECK_FALSE(sources.oldest());
    }
}
