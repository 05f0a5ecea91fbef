// Transports against transports and against bare sockets, on the loopback.
#include <chrono>

#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.hpp"
#include "tests/integration/transport_fixture.hpp"

using namespace offhook;
using namespace offhook::sip;
using namespace offhook::test;

namespace {

Fd bare_socket(int type, const Address &to) {
    Fd fd(socket(to.family(), type | SOCK_CLOEXEC, 0));
    REQUIRE(connect(fd.get(), to.sockaddr_ptr(), to.sockaddr_len()) == 0);
    return fd;
}

void write_all(const Fd &fd, std::string_view bytes) {
    REQUIRE(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
}

std::string read_now(const Fd &fd) {
    char buffer[8192];
    const ssize_t size = recv(fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    return size > 0 ? std::string(buffer, static_cast<std::size_t>(size)) : "";
}

// A port of the loopback where nobody listens.
Address closed_port(int type) {
    const Fd fd(socket(AF_INET, type | SOCK_CLOEXEC, 0));
    const Address any = loopback();
    REQUIRE(bind(fd.get(), any.sockaddr_ptr(), any.sockaddr_len()) == 0);
    sockaddr_storage bound{};
    socklen_t length = sizeof bound;
    REQUIRE(getsockname(fd.get(), reinterpret_cast<sockaddr *>(&bound), &length) == 0);
    return Address::from_sockaddr(reinterpret_cast<const sockaddr *>(&bound));
}

bool has_ipv6() {
    return local_address_towards(loopback(AF_INET6, 9)).has_value();
}

} // namespace

TEST_SUITE("transport") {

    TEST_CASE_FIXTURE(TwoEnds, "a request goes over UDP and the answer comes back") {
        for (const int family : {AF_INET, AF_INET6}) {
            if (family == AF_INET6 && !has_ipv6()) continue;
            const Address at = b.listen(TransportKind::udp, loopback(family)).value();
            REQUIRE(a.listen(TransportKind::udp, loopback(family)));
            const Flow flow = a.open({TransportKind::udp, at, ""}).value();
            const std::size_t before = b_reports.messages.size();
            REQUIRE(a.send(flow, options_request("SIP/2.0/UDP " + a.contact_address(flow).to_string() +
                                                 ";branch=z9hG4bK1;rport")));
            REQUIRE(until([&] { return b_reports.messages.size() > before; }));
            CHECK(b_reports.flows.back().remote == flow.local);
            CHECK(b_reports.flows.back().local == at);
            CHECK(b_reports.messages.back().top_via()->params.get("rport") ==
                  std::to_string(flow.local.port()));
            CHECK(b_reports.messages.back().top_via()->params.get("received") == flow.local.ip());
        }
    }

    TEST_CASE_FIXTURE(TwoEnds, "a socket bound to any address knows what address it was reached at") {
        const Address at = b.listen(TransportKind::udp, Address::any(AF_INET)).value();
        REQUIRE(a.listen(TransportKind::udp, Address::any(AF_INET)));
        const Flow flow =
            a.open({TransportKind::udp, Address::parse("127.0.0.2", at.port()).value(), ""}).value();
        CHECK(flow.local.is_loopback());
        REQUIRE(a.send(flow, options_request("SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK1")));
        REQUIRE(until([&] { return !b_reports.messages.empty(); }));
        CHECK(b_reports.flows.back().local.ip() == "127.0.0.2");
        CHECK(b_reports.flows.back().remote.port() == 9); // no rport: responses go to the port of the Via
        CHECK(b.is_local("127.0.0.2", at.port()));
        CHECK_FALSE(b.is_local("192.0.2.77", at.port()));
    }

    TEST_CASE_FIXTURE(TwoEnds, "a socket bound to 127.0.0.1 reaches all of 127.0.0.0/8") {
        const Address at = b.listen(TransportKind::udp, Address::parse("127.0.0.2").value()).value();
        REQUIRE(a.listen(TransportKind::udp, loopback()));
        const Flow flow = a.open({TransportKind::udp, at, ""}).value();
        REQUIRE(a.send(flow, options_request("SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1;rport")));
        REQUIRE(until([&] { return !b_reports.messages.empty(); }));
        CHECK(b_reports.flows.back().remote == flow.local);
        CHECK_FALSE(a.open({TransportKind::udp, Address::parse("192.0.2.1", 5060).value(), ""}));
    }

    TEST_CASE_FIXTURE(TwoEnds, "a refused UDP port is reported at once") {
        REQUIRE(a.listen(TransportKind::udp, loopback()));
        const Address nobody = closed_port(SOCK_DGRAM);
        const Flow flow = a.open({TransportKind::udp, nobody, ""}).value();
        const auto start = std::chrono::steady_clock::now();
        REQUIRE(a.send(flow, options_request("SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1")));
        REQUIRE(until([&] { return !a_reports.failed.empty(); }));
        CHECK(std::chrono::steady_clock::now() - start < std::chrono::milliseconds(100));
        CHECK(a_reports.failed.front() == flow);
        CHECK(a_reports.errors.front().code == Errc::network);
        CHECK(a_reports.errors.front().what == "udp:" + nobody.to_string() + ": Connection refused");
    }

    TEST_CASE_FIXTURE(TwoEnds, "a refusal by one peer does not disturb sending to another") {
        const Address at = b.listen(TransportKind::udp, loopback()).value();
        REQUIRE(a.listen(TransportKind::udp, loopback()));
        const Flow dead = a.open({TransportKind::udp, closed_port(SOCK_DGRAM), ""}).value();
        const Flow live = a.open({TransportKind::udp, at, ""}).value();
        for (int i = 0; i < 10; ++i) {
            REQUIRE(a.send(dead, "x"));
            REQUIRE(a.send(live, options_request("SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1;rport")));
        }
        REQUIRE(until([&] { return b_reports.messages.size() == 10 && a_reports.failed.size() == 10; }));
        for (const Flow &flow : a_reports.failed)
            CHECK(flow == dead);
    }

    TEST_CASE_FIXTURE(TwoEnds, "a request and its answer share one TCP connection, which is reused") {
        for (const int family : {AF_INET, AF_INET6}) {
            if (family == AF_INET6 && !has_ipv6()) continue;
            const Address at = b.listen(TransportKind::tcp, loopback(family)).value();
            const Flow flow = a.open({TransportKind::tcp, at, "pbx"}).value();
            CHECK(a.open({TransportKind::tcp, at, "pbx"}).value() == flow);
            const std::size_t before = b_reports.messages.size();
            REQUIRE(a.send(flow, options_request("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1")));
            REQUIRE(until([&] { return b_reports.messages.size() > before; }));
            const Flow back = b_reports.flows.back();
            CHECK(back.remote == flow.local);
            const std::size_t answers = a_reports.messages.size();
            REQUIRE(b.send(
                back,
                "SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\n"
                "To: <sip:b@x>;tag=2\r\nCall-ID: 1@test\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"));
            REQUIRE(until([&] { return a_reports.messages.size() > answers; }));
            CHECK(a_reports.messages.back().status() == 200);
            CHECK(a_reports.flows.back() == flow);
        }
    }

    TEST_CASE_FIXTURE(TwoEnds, "a refused TCP connection is reported at once") {
        const Address nobody = closed_port(SOCK_STREAM);
        const Flow flow = a.open({TransportKind::tcp, nobody, ""}).value();
        REQUIRE(until([&] { return !a_reports.failed.empty(); }, Duration(1000)));
        CHECK(a_reports.failed.front() == flow);
        CHECK(a_reports.errors.front().what == "tcp:" + nobody.to_string() + ": Connection refused");
        CHECK_FALSE(a.alive(flow));
        CHECK_FALSE(a.send(flow, "x"));
        CHECK(a.open({TransportKind::tcp, nobody, ""}).value().connection != flow.connection);
    }

    TEST_CASE_FIXTURE(TwoEnds, "pipelined messages and messages that come byte by byte are taken apart") {
        const Address at = b.listen(TransportKind::tcp, loopback()).value();
        const Fd peer = bare_socket(SOCK_STREAM, at);
        const std::string via = "SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK";
        const std::string two = options_request(via + "1", "one") + options_request(via + "2", "two");
        write_all(peer, two);
        REQUIRE(until([&] { return b_reports.messages.size() == 2; }));
        CHECK(b_reports.messages[0].call_id() == "one");
        CHECK(b_reports.messages[1].call_id() == "two");
        for (const char &c : options_request(via + "3", "three")) {
            write_all(peer, {&c, 1});
            Timer turn(loop);
            turn.start(Duration(0), [&] { loop.stop(); });
            REQUIRE(loop.run());
        }
        REQUIRE(until([&] { return b_reports.messages.size() == 3; }));
        CHECK(b_reports.messages[2].call_id() == "three");
        CHECK(b_reports.failed.empty());
    }

    TEST_CASE_FIXTURE(TwoEnds, "a ping is answered with a pong") {
        const Address at = b.listen(TransportKind::tcp, loopback()).value();
        const Fd peer = bare_socket(SOCK_STREAM, at);
        write_all(peer, "\r\n\r\n");
        std::string answer;
        for (int i = 0; i < 50 && answer.empty(); ++i) {
            settle();
            answer = read_now(peer);
        }
        CHECK(answer == "\r\n");
    }

    TEST_CASE_FIXTURE(TwoEnds, "an oversized message ends its connection and no other") {
        const Address at = b.listen(TransportKind::tcp, loopback()).value();
        const Fd good = bare_socket(SOCK_STREAM, at);
        const Fd bad = bare_socket(SOCK_STREAM, at);
        std::string request = options_request("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1");
        write_all(bad, options_request("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK0", "first"));
        REQUIRE(until([&] { return b_reports.messages.size() == 1; }));
        request.replace(request.find("Content-Length: 0"), 17, "Content-Length: 70000");
        write_all(bad, request + std::string(70000, 'x'));
        REQUIRE(until([&] { return !b_reports.failed.empty(); }));
        CHECK(b_reports.errors.front().code == Errc::parse);
        CHECK(b_reports.messages.size() == 1);
        write_all(good, options_request("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK2", "fine"));
        REQUIRE(until([&] { return b_reports.messages.size() == 2; }));
    }

    TEST_CASE_FIXTURE(TwoEnds, "what cannot be handled is answered without being passed on") {
        const Address at = b.listen(TransportKind::udp, loopback()).value();
        const Fd peer = bare_socket(SOCK_DGRAM, at);
        std::string request = options_request("SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1;rport");
        request.replace(request.find("1 OPTIONS"), 9, "1 INVITE");
        const auto ask = [&] {
            write_all(peer, request);
            std::string answer;
            for (int i = 0; i < 50 && answer.empty(); ++i) {
                settle();
                answer = read_now(peer);
            }
            return answer;
        };
        const std::string answer = ask();
        CHECK(answer.starts_with("SIP/2.0 400 "));
        CHECK(answer == ask()); // stateless: the same again, To tag included
        CHECK(b_reports.messages.empty());
    }

    TEST_CASE_FIXTURE(TwoEnds, "one address may not hold more than ten half-open connections") {
        const Address at = b.listen(TransportKind::tcp, loopback()).value();
        std::vector<Fd> peers;
        for (int i = 0; i < 11; ++i)
            peers.push_back(bare_socket(SOCK_STREAM, at));
        settle();
        char byte = 0;
        CHECK(recv(peers[0].get(), &byte, 1, MSG_DONTWAIT) == 0);
        CHECK(recv(peers[1].get(), &byte, 1, MSG_DONTWAIT) < 0); // open and silent
        write_all(peers[1], options_request("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1"));
        REQUIRE(until([&] { return !b_reports.messages.empty(); }));
        peers.push_back(bare_socket(SOCK_STREAM, at)); // that one is no longer half-open
        settle();
        CHECK(recv(peers[2].get(), &byte, 1, MSG_DONTWAIT) < 0);
    }

    TEST_CASE_FIXTURE(TwoEnds, "a connection closed by the peer is reported") {
        const Address at = b.listen(TransportKind::tcp, loopback()).value();
        Fd peer = bare_socket(SOCK_STREAM, at);
        write_all(peer, options_request("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1"));
        REQUIRE(until([&] { return !b_reports.messages.empty(); }));
        const linger reset{1, 0};
        SUBCASE("in order") {}
        SUBCASE("by RST") {
            setsockopt(peer.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        }
        peer.reset();
        REQUIRE(until([&] { return !b_reports.failed.empty(); }, Duration(1000)));
        CHECK(b_reports.failed.front() == b_reports.flows.front());
        CHECK_FALSE(b.alive(b_reports.flows.front()));
    }

    TEST_CASE_FIXTURE(TwoEnds, "an address in use is an error that names it") {
        const Address taken = a.listen(TransportKind::udp, loopback()).value();
        const auto second = b.listen(TransportKind::udp, taken);
        REQUIRE_FALSE(second);
        CHECK(second.error().what == "listen on udp:" + taken.to_string() + ": Address already in use");
        const Address tcp = a.listen(TransportKind::tcp, loopback()).value();
        CHECK_FALSE(b.listen(TransportKind::tcp, tcp));
    }

    TEST_CASE_FIXTURE(TwoEnds, "the tap sees what is sent and what is received") {
        const Address at = b.listen(TransportKind::tcp, loopback()).value();
        std::vector<std::pair<bool, std::string>> seen;
        const auto tap = [&](const Flow &, bool sent, std::string_view bytes) {
            seen.emplace_back(sent, bytes);
        };
        a.set_tap(tap);
        b.set_tap(tap);
        const std::string request = options_request("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1");
        REQUIRE(a.send(a.open({TransportKind::tcp, at, ""}).value(), request));
        REQUIRE(until([&] { return seen.size() == 2; }));
        CHECK(seen[0] == std::pair(true, request));
        CHECK(seen[1] == std::pair(false, request));
    }

} // TEST_SUITE
