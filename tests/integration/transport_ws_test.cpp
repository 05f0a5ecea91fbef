// SIP over WebSocket: our client and server against each other, and each against bare sockets.
#include <sys/socket.h>

#include "base/fd.hpp"
#include "sip/web_server.hpp"
#include "sip/websocket.hpp"
#include "sip/websocket_handshake.hpp"
#include "tests/integration/transport_fixture.hpp"
#include "tests/support/certificate.hpp"

using namespace offhook;
using namespace offhook::sip;
using namespace offhook::test;

namespace {

bool holds(std::string_view text, std::string_view part) {
    INFO(text);
    CHECK(text.find(part) != std::string_view::npos);
    return text.find(part) != std::string_view::npos;
}

// A client of our server, byte by byte.
struct Browser {
    Browser(TwoEnds &on, const Address &at)
        : ends(on), fd(socket(at.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        REQUIRE(connect(fd.get(), at.sockaddr_ptr(), at.sockaddr_len()) == 0);
    }
    void send(const std::string &bytes) const {
        REQUIRE(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(bytes.size()));
    }
    void send(WebSocket::Opcode opcode, std::string_view payload) const {
        std::string wire;
        codec.append(wire, opcode, payload);
        send(wire);
    }
    // What comes until `part` is in it, or the connection ends.
    std::string read_until(std::string_view part) {
        std::string text;
        for (int i = 0; i < 500; ++i) {
            char buffer[70'000];
            const ssize_t size = recv(fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
            if (size == 0) return text;
            if (size > 0) text.append(buffer, static_cast<std::size_t>(size));
            if (text.find(part) != std::string::npos) return text;
            ends.settle();
        }
        return text + "(no more)";
    }
    std::string read_all() { return read_until("(never)"); }
    std::string upgrade(const std::string &more = "Sec-WebSocket-Protocol: sip\r\n",
                        const std::string &path = "/") {
        send("GET " + path +
             " HTTP/1.1\r\nHost: pbx.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
             more + "\r\n");
        return read_until("\r\n\r\n");
    }

    TwoEnds &ends;
    Fd fd;
    WebSocket codec{WebSocket::Role::client};
};

// A server for our client that says what it is told to say.
struct Server {
    explicit Server(TwoEnds &on) : ends(on), listening(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        const Address any = loopback();
        REQUIRE(bind(listening.get(), any.sockaddr_ptr(), any.sockaddr_len()) == 0);
        REQUIRE(listen(listening.get(), 4) == 0);
        sockaddr_storage bound{};
        socklen_t length = sizeof bound;
        REQUIRE(getsockname(listening.get(), reinterpret_cast<sockaddr *>(&bound), &length) == 0);
        at = Address::from_sockaddr(reinterpret_cast<const sockaddr *>(&bound));
    }
    std::string request() {
        ends.settle();
        if (!fd) fd = Fd(accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
        char buffer[4096];
        const ssize_t size = recv(fd.get(), buffer, sizeof buffer, 0);
        REQUIRE(size > 0);
        return {buffer, static_cast<std::size_t>(size)};
    }
    void say(const std::string &bytes) const {
        REQUIRE(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(bytes.size()));
    }
    static std::string consent(const std::string &request, const std::string &protocol = "sip") {
        auto head = HttpHead::parse_request(request);
        REQUIRE(head);
        return upgrade_response(*head, protocol);
    }

    TwoEnds &ends;
    Fd listening, fd;
    Address at;
};

struct Doorman final : WebServer {
    std::optional<HttpResponse> refuse_upgrade(const HttpHead &request, const Flow &flow) override {
        flows.push_back(flow);
        if (request.path() == "/ws" && request.value("Cookie") == "token=1") return std::nullopt;
        return HttpResponse::text(403, "not you");
    }
    HttpResponse answer(const HttpHead &request, const Flow &) override {
        if (request.path() != "/healthz") return HttpResponse::text(404, "nothing here");
        return {200, "text/plain", std::string(body, 'x'), {{"Cache-Control", "no-store"}}};
    }
    std::vector<Flow> flows;
    std::size_t body = 3;
};

std::string answer_to(const Message &request, const std::string &body = "") {
    std::string via(request.value(HeaderId::via));
    return "SIP/2.0 200 OK\r\nVia: " + via +
           "\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>;tag=2\r\nCall-ID: 1@test\r\n"
           "CSeq: 1 OPTIONS\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
}

} // namespace

TEST_SUITE("transport") {

    TEST_CASE_FIXTURE(TwoEnds, "WS: a request and its answer share one WebSocket, which is reused") {
        const Address at = b.listen(TransportKind::ws, loopback()).value();
        a.set_websocket_path("pbx.test", at.port(), "/sip?x=1");
        const Flow flow = a.open({TransportKind::ws, at, "pbx.test"}).value();
        CHECK(a.open({TransportKind::ws, at, "pbx.test"}).value() == flow);
        CHECK(a.leads_to_host(flow, "PBX.test"));
        const std::string sent_by = a.sent_by(flow);
        CHECK(sent_by.ends_with(".invalid"));
        CHECK(a.is_local(sent_by, 0));
        REQUIRE(a.send(flow, options_request("SIP/2.0/WS " + sent_by + ";branch=z9hG4bK1;rport")));
        REQUIRE(a.send(flow, options_request("SIP/2.0/WS " + sent_by + ";branch=z9hG4bK2;rport", "2@test")));
        REQUIRE(until([&] { return b_reports.messages.size() == 2; }));
        const Flow back = b_reports.flows.back();
        CHECK(back.kind == TransportKind::ws);
        CHECK(back.remote == flow.local);
        CHECK(b.sent_by(back) == at.to_string());
        REQUIRE(b.send(back, answer_to(b_reports.messages.back(), std::string(50'000, 'b'))));
        REQUIRE(until([&] { return !a_reports.messages.empty(); }));
        CHECK(a_reports.messages.front().body().size() == 50'000);
        REQUIRE(b.send(back, answer_to(b_reports.messages.back(), "not \xff UTF-8"))); // goes as binary
        REQUIRE(until([&] { return a_reports.messages.size() == 2; }));
        CHECK(a_reports.messages.back().body() == "not \xff UTF-8");
        CHECK(a_reports.failed.empty());
    }

    TEST_CASE_FIXTURE(TwoEnds, "WS: either end may close, the other is told why") {
        const Address at = b.listen(TransportKind::ws, loopback()).value();
        const Flow flow = a.open({TransportKind::ws, at, "pbx.test"}).value();
        REQUIRE(a.send(flow, options_request("SIP/2.0/WS x.invalid;branch=z9hG4bK1")));
        REQUIRE(until([&] { return !b_reports.messages.empty(); }));
        a.abandon(flow);
        REQUIRE(until([&] { return !b_reports.errors.empty() && !a_reports.errors.empty(); }));
        holds(b_reports.errors.front().what, "WebSocket closed by the peer (1000)");
        CHECK_FALSE(b.alive(b_reports.flows.front()));
        CHECK(b.send(b_reports.flows.front(), "x").error().code == Errc::network);
    }

    TEST_CASE_FIXTURE(TwoEnds, "WS: pings are answered, and keep-alives notice a dead peer") {
        const Address at = b.listen(TransportKind::ws, loopback()).value();
        Browser browser(*this, at);
        holds(browser.upgrade(), "101 ");
        browser.send(WebSocket::Opcode::ping, "beep");
        holds(browser.read_until("beep"), "\x8a\x04"
                                          "beep");
        browser.send(WebSocket::Opcode::text, "\r\n\r\n");
        CHECK(browser.read_until("\r\n") == "\x81\x02\r\n");
        // Ours to a server that answers, then does not.
        Server server(*this);
        const Flow flow = a.open({TransportKind::ws, server.at, "pbx.test"}).value();
        server.say(Server::consent(server.request()));
        a.keep_alive(flow, Duration(20));
        holds(server.request(), "\x89\x80");
        server.say(std::string("\x8a\x00", 2));
        settle();
        CHECK(a.alive(flow));
    }

    TEST_CASE_FIXTURE(TwoEnds, "WS: a silent browser is pinged, and given up after two pings") {
        Transports::Limits limits;
        limits.websocket_ping = Duration(60);
        b.set_limits(limits);
        const Address at = b.listen(TransportKind::ws, loopback()).value();
        Browser browser(*this, at);
        browser.upgrade();
        browser.send(WebSocket::Opcode::text, options_request("SIP/2.0/WS x.invalid;branch=z9hG4bK1"));
        REQUIRE(until([&] { return !b_reports.messages.empty(); }));
        for (int i = 0; i < 3; ++i) {
            CHECK(browser.read_until("\x89") == std::string("\x89\x00", 2));
            browser.send(WebSocket::Opcode::pong, "");
        }
        CHECK(b_reports.errors.empty());
        const std::string last = browser.read_all();
        CHECK(last == std::string("\x89\x00\x89\x00", 4));
        REQUIRE(until([&] { return !b_reports.errors.empty(); }));
        holds(b_reports.errors.front().what, "two pings were not answered");
    }

    TEST_CASE_FIXTURE(TwoEnds, "WS: who may come in is decided per request, other pages are answered") {
        Doorman doorman;
        b.set_web_server(&doorman);
        const Address at = b.listen(TransportKind::ws, loopback()).value();
        const std::string sip = "Sec-WebSocket-Protocol: sip\r\n";
        holds(Browser(*this, at).upgrade(sip, "/ws"), "HTTP/1.1 403 Forbidden\r\n");
        holds(Browser(*this, at).upgrade("Cookie: token=1\r\n", "/ws"), "400 ");
        Browser good(*this, at);
        holds(good.upgrade(sip + "Cookie: token=1\r\n", "/ws"), "Sec-WebSocket-Protocol: sip\r\n");
        good.send(WebSocket::Opcode::binary, options_request("SIP/2.0/WS x.invalid;branch=z9hG4bK1"));
        REQUIRE(until([&] { return !b_reports.messages.empty(); }));
        CHECK(b_reports.flows.front().connection == doorman.flows.back().connection);
        doorman.body = 3'000'000; // more than a socket buffer holds, and than may wait for a SIP peer
        Browser page(*this, at);
        page.send("GET /healthz?x HTTP/1.1\r\nHost: pbx.test\r\n\r\n");
        const std::string answer = page.read_all();
        holds(answer.substr(0, 200),
              "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Type: text/plain\r\n"
              "Content-Length: 3000000\r\nConnection: close\r\n\r\n");
        CHECK(answer.size() > 3'000'000);
        Browser head(*this, at);
        head.send("HEAD /healthz HTTP/1.0\r\n\r\n");
        CHECK(head.read_all().ends_with("\r\n\r\n"));
        Browser odd(*this, at);
        odd.send("GET /x HTTP/1.1\r\nHost: pbx.test\r\n\r\nGET /healthz HTTP/1.1\r\nHost: pbx.test\r\n\r\n");
        holds(odd.read_all(), "404 Not Found");
        CHECK(b_reports.failed.empty()); // nobody's business
        b.set_web_server(nullptr);
        holds(Browser(*this, at).upgrade(sip + "Origin: http://evil.test\r\n"), "403 ");
        holds(Browser(*this, at).upgrade(sip + "Origin: http://pbx.test\r\n"), "101 ");
    }

    TEST_CASE_FIXTURE(TwoEnds, "WS: what is not WebSocket or not SIP ends only its own connection") {
        const Address at = b.listen(TransportKind::ws, loopback()).value();
        Browser good(*this, at);
        good.upgrade();
        good.send(WebSocket::Opcode::text, "junk that is no SIP");
        good.send(WebSocket::Opcode::text,
                  "OPTIONS sip:b@x SIP/2.0\r\nVia: SIP/2.0/WS x.invalid;branch=z9hG4bK9\r\n\r\n");
        holds(good.read_until("400 "), "SIP/2.0 400 ");
        const struct {
            std::string wire;
            std::string_view close;
        } rows[]{
            {std::string("\x81\x02hi", 4), "\x03\xea"}, // 1002: not masked
            {std::string("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\1\2\3\4", 14), "\x03\xf1"}, // 1009
            {std::string("\x81\x81\1\2\3\4\xfe", 7), "\x03\xef"},                              // 1007
        };
        for (const auto &row : rows) {
            Browser bad(*this, at);
            bad.upgrade();
            bad.send(row.wire);
            const auto said = bad.read_all();
            holds(said, row.close.substr(row.close.size() - 2));
            CHECK(said[0] == '\x88');
        }
        good.send(WebSocket::Opcode::text, options_request("SIP/2.0/WS x.invalid;branch=z9hG4bK1"));
        REQUIRE(until([&] { return !b_reports.messages.empty(); }));
    }

    TEST_CASE_FIXTURE(TwoEnds, "WS: servers that are none, or speak no SIP, are told apart") {
        const struct {
            std::string answer; // "sip": consent
            std::string_view what;
        } rows[]{
            {"HTTP/1.1 404 Not Found\r\n\r\n", "the server refused the WebSocket: HTTP 404 Not Found"},
            {"SSH-2.0-OpenSSH_9.2\r\n\r\n", "the server does not speak WebSocket"},
            {"", "does not speak SIP"},
        };
        for (const auto &row : rows) {
            Server server(*this);
            const Flow flow = a.open({TransportKind::ws, server.at, "127.0.0.1"}).value();
            REQUIRE(a.send(flow, options_request("SIP/2.0/WS x.invalid;branch=z9hG4bK1")));
            const std::string request = server.request();
            holds(request, "GET / HTTP/1.1\r\nHost: " + server.at.to_string() + "\r\n");
            server.say(row.answer.empty() ? Server::consent(request, "") : row.answer);
            const auto before = a_reports.errors.size();
            REQUIRE(until([&] { return a_reports.errors.size() > before; }));
            holds(a_reports.errors.back().what, row.what);
            CHECK(a_reports.errors.back().code == Errc::network);
            CHECK(a_reports.failed.back() == flow);
        }
    }

    TEST_CASE_FIXTURE(TwoEnds, "WS: dawdlers are limited per address and make way") {
        const Address at = b.listen(TransportKind::ws, loopback()).value();
        std::vector<Browser> slow;
        for (int i = 0; i < 10; ++i)
            slow.emplace_back(*this, at).send("GET / HT");
        settle();
        Browser good(*this, at);
        holds(good.upgrade(), "101 ");
        CHECK(slow[0].read_all().empty()); // the oldest had to go
        slow[1].send("TP/1.1\r\n\r\n");
        holds(slow[1].read_all(), "HTTP/1.1 4"); // and no other
    }

    TEST_CASE_FIXTURE(TwoEnds, "WSS: the certificate is verified as for TLS") {
        const Certificate authority = make_authority("Test CA");
        const TemporaryFile trusted(authority.certificate);
        const TemporaryFile own(make_certificate({"pbx.test", "DNS:pbx.test"}, authority).both());
        b.set_tls({"", own.path(), false});
        const Address at = b.listen(TransportKind::wss, loopback()).value();
        a.set_tls({trusted.path(), "", false});
        const Flow flow = a.open({TransportKind::wss, at, "pbx.test"}).value();
        REQUIRE(a.send(flow, options_request("SIP/2.0/WSS x.invalid;branch=z9hG4bK1")));
        REQUIRE(until([&] { return !b_reports.messages.empty(); }));
        REQUIRE(b.send(b_reports.flows.back(), answer_to(b_reports.messages.back())));
        REQUIRE(until([&] { return !a_reports.messages.empty(); }));
        const Flow other = a.open({TransportKind::wss, at, "other.test"}).value();
        CHECK(other.connection != flow.connection);
        REQUIRE(until([&] { return !a_reports.errors.empty(); }));
        CHECK(a_reports.errors.front().code == Errc::tls);
        holds(a_reports.errors.front().what, "pbx.test");
    }

} // TEST_SUITE
