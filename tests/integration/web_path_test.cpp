// The ways of a browser's media through a media worker: a UDP port that many share, and TCP.
#include <atomic>
#include <future>

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "bridge/ice_port.hpp"
#include "bridge/media_worker.hpp"
#include "bridge/tcp_path.hpp"
#include "media/stun.hpp"
#include "media/tcp_framing.hpp"

using namespace offhook;
using namespace offhook::bridge;

namespace {

using Packet = std::vector<std::uint8_t>;

const Address localhost = Address::parse("127.0.0.1").value();

template <class Task>
auto in(MediaWorker &worker, Task task) {
    std::promise<decltype(task())> done;
    auto result = done.get_future();
    worker.post([&] {
        if constexpr (std::is_void_v<decltype(task())>) {
            task();
            done.set_value();
        } else
            done.set_value(task());
    });
    return result.get();
}

template <class Condition>
bool comes_true(Condition condition) {
    for (int i = 0; i < 1'000; ++i) {
        if (condition()) return true;
        poll(nullptr, 0, 5);
    }
    return condition();
}

Address bound(int fd) {
    sockaddr_storage at{};
    socklen_t length = sizeof at;
    REQUIRE(getsockname(fd, reinterpret_cast<sockaddr *>(&at), &length) == 0);
    return Address::from_sockaddr(reinterpret_cast<const sockaddr *>(&at));
}

Fd udp() {
    Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    REQUIRE(bind(fd.get(), localhost.sockaddr_ptr(), localhost.sockaddr_len()) == 0);
    return fd;
}

std::uint16_t free_port() {
    return bound(udp().get()).port();
}

void send_to(const Fd &from, const Address &to, const Packet &bytes) {
    REQUIRE(sendto(from.get(), bytes.data(), bytes.size(), 0, to.sockaddr_ptr(), to.sockaddr_len()) ==
            static_cast<ssize_t>(bytes.size()));
}

Packet receive(const Fd &fd) {
    pollfd ready{fd.get(), POLLIN, 0};
    REQUIRE(poll(&ready, 1, 5'000) == 1);
    Packet bytes(2'048);
    const ssize_t size = recv(fd.get(), bytes.data(), bytes.size(), 0);
    REQUIRE(size >= 0);
    bytes.resize(static_cast<std::size_t>(size));
    return bytes;
}

Packet check(const std::string &ufrag) {
    media::StunWriter writer(media::StunClass::request, media::StunMethod::binding,
                             media::random_transaction());
    writer.add(media::StunAttribute::username, ufrag + ":browser");
    return writer.finish_signed("password");
}

// A leg that takes every check for a nomination and sends back what else it gets.
struct Leg final : private MediaWorker::Sink {
    explicit Leg(std::unique_ptr<WebPath> way) : path(std::move(way)) { path->open(*this, 7); }
    void received(unsigned port, std::span<std::uint8_t> packet, const Address &from,
                  TimePoint now) override {
        ++count;
        if (port != 7) return;
        if (packet[0] < 4) return path->nominated(from, now);
        path->send(from, packet);
    }
    std::atomic<int> count{0};
    std::unique_ptr<WebPath> path; // ends first
};

// Both ends of a TCP connection.
struct Pair {
    Pair() {
        const Fd listening(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        REQUIRE(bind(listening.get(), localhost.sockaddr_ptr(), localhost.sockaddr_len()) == 0);
        REQUIRE(listen(listening.get(), 1) == 0);
        near = Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const int small = 4'096; // of what the peer may send before it is read
        (void)setsockopt(near.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        const Address at = bound(listening.get());
        REQUIRE(connect(near.get(), at.sockaddr_ptr(), at.sockaddr_len()) == 0);
        far = Fd(accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        REQUIRE(far);
    }
    void send(const Packet &bytes) const {
        REQUIRE(::send(near.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(bytes.size()));
    }
    Fd near, far;
};

Packet framed(const Packet &packet) {
    Packet out{static_cast<std::uint8_t>(packet.size() >> 8U),
               static_cast<std::uint8_t>(packet.size() & 0xFFU)};
    out.insert(out.end(), packet.begin(), packet.end());
    return out;
}

} // namespace

TEST_SUITE("bridge web paths") {
    TEST_CASE("two legs share a UDP port, a stranger gets nothing, and a leg moves") {
        auto worker = MediaWorker::start().value();
        const auto strangers = std::make_shared<Strangers>();
        auto ports = std::make_unique<IcePorts>(*worker, free_port(), strangers);
        const auto port = ports->on(localhost).value();
        CHECK(ports->on(localhost).value() == port);
        CHECK(port->receive_buffer() > 200'000);
        std::unique_ptr<Leg> anna, ben;
        in(*worker, [&] {
            anna = std::make_unique<Leg>(port->path("anna"));
            ben = std::make_unique<Leg>(port->path("ben"));
        });
        const Fd wifi = udp(), lte = udp(), other = udp(), stranger = udp();
        const Packet sound(172, 0x80);
        send_to(stranger, port->address(), sound);
        send_to(stranger, port->address(), check("carl"));
        REQUIRE(comes_true([&] { return strangers->count() == 2; }));
        for (const auto &[fd, name] : {std::pair(&wifi, "anna"), {&other, "ben"}}) {
            send_to(*fd, port->address(), check(name));
            send_to(*fd, port->address(), sound);
            CHECK(receive(*fd) == sound);
        }
        CHECK(anna->count == 2);
        CHECK(ben->count == 2);
        // Anna's browser is somewhere else now; what comes from where it was is nobody's.
        send_to(lte, port->address(), check("anna"));
        send_to(lte, port->address(), sound);
        CHECK(receive(lte) == sound);
        send_to(wifi, port->address(), sound);
        REQUIRE(comes_true([&] { return strangers->count() == 3; }));
        // More at a time than one call of the kernel gives.
        for (int i = 0; i < 100; ++i)
            send_to(other, port->address(), sound);
        for (int i = 0; i < 100; ++i)
            CHECK(receive(other) == sound);
        in(*worker, [&] { anna.reset(); });
        send_to(lte, port->address(), sound);
        REQUIRE(comes_true([&] { return strangers->count() == 4; }));
        in(*worker, [&] { ben.reset(); });
    }

    TEST_CASE("a UDP port that is somebody else's is refused in words") {
        auto worker = MediaWorker::start().value();
        const Fd taken = udp();
        IcePorts ports(*worker, bound(taken.get()).port(), std::make_shared<Strangers>());
        const auto port = ports.on(localhost);
        REQUIRE_FALSE(port);
        CHECK(port.error().code == Errc::network);
        CHECK(port.error().what.find("UDP port " + std::to_string(bound(taken.get()).port()) +
                                     " of 127.0.0.1") != std::string::npos);
    }

    TEST_CASE("packets over TCP, both ways, and what was read before") {
        auto worker = MediaWorker::start().value();
        Pair pair;
        std::atomic<int> closed{0};
        std::unique_ptr<Leg> leg;
        const Packet sound(172, 0x80), picture(1'400, 0x90);
        const Packet first = framed(sound);
        in(*worker, [&] {
            leg = std::make_unique<Leg>(tcp_path(*worker, std::move(pair.far), localhost,
                                                 {first.begin(), first.begin() + 50}, [&] { ++closed; }));
        });
        pair.send({first.begin() + 50, first.end()});
        pair.send(framed(picture));
        media::TcpDeframer deframer;
        std::vector<Packet> got;
        while (got.size() < 2) {
            const Packet bytes = receive(pair.near);
            media::Bytes rest(bytes);
            while (const auto packet = deframer.next(rest))
                got.emplace_back(packet->begin(), packet->end());
        }
        CHECK(got == std::vector<Packet>{sound, picture});
        CHECK(closed == 0);
        pair.near.reset();
        REQUIRE(comes_true([&] { return closed.load() == 1; }));
        in(*worker, [&] {
            leg->path->send(localhost, sound); // into nothing
            leg.reset();
        });
        CHECK(closed == 1);
    }

    TEST_CASE("a peer that does not read loses packets, holds nobody up, and later reads whole ones") {
        auto worker = MediaWorker::start().value();
        Pair pair;
        std::unique_ptr<Leg> leg;
        constexpr int sent = 20'000;
        in(*worker, [&] {
            leg = std::make_unique<Leg>(tcp_path(*worker, std::move(pair.far), localhost, {}, [] {}));
            for (int i = 0; i < sent; ++i) { // 20 MB, in one turn of the worker
                Packet packet(1'000, static_cast<std::uint8_t>(i));
                packet[0] = 0x80;
                leg->path->send(localhost, packet);
            }
        });
        media::TcpDeframer deframer;
        int whole = 0;
        Packet bytes(65'536);
        for (pollfd ready{pair.near.get(), POLLIN, 0}; poll(&ready, 1, 300) == 1;) {
            const ssize_t size = recv(pair.near.get(), bytes.data(), bytes.size(), 0);
            REQUIRE(size > 0);
            media::Bytes rest(bytes.data(), static_cast<std::size_t>(size));
            while (const auto packet = deframer.next(rest)) {
                REQUIRE(packet->size() == 1'000);
                const auto fill = (*packet)[1];
                REQUIRE(
                    std::ranges::all_of(packet->subspan(1), [&](std::uint8_t byte) { return byte == fill; }));
                ++whole;
            }
        }
        CHECK(whole > 10);
        CHECK(whole < 1'000); // what our queue and the kernel's hold
        // And now that it reads, what is sent arrives.
        in(*worker, [&] { leg->path->send(localhost, Packet(500, 0x81)); });
        media::Bytes rest;
        const Packet last = receive(pair.near);
        rest = last;
        const auto packet = deframer.next(rest);
        REQUIRE(packet);
        CHECK(packet->size() == 500);
        in(*worker, [&] { leg.reset(); });
    }
}
