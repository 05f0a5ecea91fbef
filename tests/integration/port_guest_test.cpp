// Another protocol on the port of our web sockets.
#include <poll.h>
#include <sys/socket.h>

#include "base/fd.hpp"
#include "sip/web_server.hpp"
#include "tests/integration/transport_fixture.hpp"
#include "tests/support/certificate.hpp"

using namespace offhook;
using namespace offhook::sip;
using namespace offhook::test;

namespace {

// Takes connections that begin with a zero byte and "yes", refuses others.
struct Guest final : PortGuest {
    [[nodiscard]] bool begins_with(std::uint8_t first) const override { return first == 0; }
    [[nodiscard]] Verdict judge(std::string_view bytes) override {
        ++judged;
        const std::string_view wanted("\0yes", 4);
        if (bytes.starts_with(wanted)) return Verdict::take;
        return wanted.starts_with(bytes) ? Verdict::more : Verdict::refuse;
    }
    void take(Fd socket, const Address &remote, std::string_view bytes) override {
        taken.push_back(std::move(socket));
        from = remote;
        seen = bytes;
    }
    int judged = 0;
    std::vector<Fd> taken;
    Address from;
    std::string seen;
};

struct Client {
    explicit Client(const Address &at) : fd(socket(at.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        REQUIRE(connect(fd.get(), at.sockaddr_ptr(), at.sockaddr_len()) == 0);
    }
    void send(std::string_view bytes) const {
        REQUIRE(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(bytes.size()));
    }
    // 0: it was closed; -1: nothing is there.
    ssize_t read(std::string &into) const {
        char buffer[4096];
        const ssize_t size = recv(fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
        if (size > 0) into.append(buffer, static_cast<std::size_t>(size));
        return size;
    }
    Fd fd;
};

} // namespace

TEST_SUITE("sip port guest") {
    TEST_CASE("who begins with neither TLS nor HTTP is the guest's, however its bytes come") {
        for (const auto kind : {TransportKind::ws, TransportKind::wss}) {
            CAPTURE(uri_token(kind));
            const TemporaryFile own(make_certificate({"pbx.test", ""}, make_authority("Test CA")).both());
            Guest guest;
            WebServer server;
            server.set_guest(&guest);
            TwoEnds ends;
            REQUIRE(ends.b.set_tls({"", own.path(), false}));
            ends.b.set_web_server(&server);
            const auto bound = ends.b.listen(kind, loopback());
            REQUIRE(bound);
            const Client whole(*bound);
            whole.send(std::string_view("\0yes, and more", 14));
            REQUIRE(ends.until([&] {
                ends.settle();
                return guest.taken.size() == 1;
            }));
            CHECK(guest.seen == std::string_view("\0yes, and more", 14));
            CHECK(guest.from.ip() == "127.0.0.1");
            const Client slow(*bound);
            for (const char byte : std::string_view("\0yes", 4)) {
                CHECK(guest.taken.size() == 1);
                slow.send({&byte, 1});
                ends.settle();
            }
            REQUIRE(guest.taken.size() == 2);
            CHECK(guest.seen == std::string_view("\0yes", 4));
            // It is the guest's alone, and nobody closed it.
            CHECK(::send(guest.taken[1].get(), "hello", 5, MSG_NOSIGNAL) == 5);
            ends.settle();
            std::string heard;
            CHECK(slow.read(heard) == 5);
            slow.send("more");
            ends.settle();
            char buffer[16];
            CHECK(recv(guest.taken[1].get(), buffer, sizeof buffer, 0) == 4);
            CHECK(ends.b_reports.failed.empty()); // nobody's flow
        }
    }

    TEST_CASE("what the guest refuses is closed, and strangers of TLS and HTTP never reach it") {
        Guest guest;
        WebServer server;
        server.set_guest(&guest);
        TwoEnds ends;
        ends.b.set_web_server(&server);
        const auto bound = ends.b.listen(TransportKind::ws, loopback());
        REQUIRE(bound);
        const Client wrong(*bound);
        wrong.send(std::string_view("\0no", 3));
        std::string heard;
        CHECK(ends.until([&] {
            ends.settle();
            return wrong.read(heard) == 0;
        }));
        CHECK(heard.empty());
        CHECK(guest.taken.empty());
        const int judged = guest.judged;
        const Client http(*bound);
        http.send("GET / HTTP/1.1\r\nHost: x\r\n");
        ends.settle();
        http.send(std::string_view("\0yes: no\r\n\r\n", 12)); // too late
        CHECK(ends.until([&] {
            ends.settle();
            return http.read(heard) == 0;
        }));
        CHECK(heard.starts_with("HTTP/1.1 4"));
        CHECK(guest.judged == judged);
    }

    TEST_CASE("a dawdling guest makes way as any other stranger does") {
        Guest guest;
        WebServer server;
        server.set_guest(&guest);
        TwoEnds ends;
        ends.b.set_web_server(&server);
        Transports::Limits limits;
        limits.half_open_per_address = 2;
        ends.b.set_limits(limits);
        const auto bound = ends.b.listen(TransportKind::ws, loopback());
        REQUIRE(bound);
        const Client first(*bound);
        first.send(std::string_view("\0y", 2));
        ends.settle();
        const Client second(*bound), third(*bound);
        std::string heard;
        CHECK(ends.until([&] {
            ends.settle();
            return first.read(heard) == 0;
        }));
        third.send(std::string_view("\0yes", 4));
        CHECK(ends.until([&] {
            ends.settle();
            return guest.taken.size() == 1;
        }));
    }

    TEST_CASE("without a guest such bytes are no more than broken HTTP") {
        TwoEnds ends;
        const auto bound = ends.b.listen(TransportKind::ws, loopback());
        REQUIRE(bound);
        const Client client(*bound);
        client.send(std::string_view("\0yes\r\n\r\n", 8));
        std::string heard;
        CHECK(ends.until([&] {
            ends.settle();
            return client.read(heard) == 0;
        }));
        CHECK(heard.starts_with("HTTP/1.1 400"));
    }
}
