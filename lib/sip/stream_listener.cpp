#include "sip/stream_listener.hpp"

#include <array>
#include <cerrno>

#include <netinet/in.h>
#include <sys/socket.h>

namespace offhook::sip {

namespace {

constexpr int backlog = 4096; // as many as the kernel allows: who finds it full waits a second and more
constexpr int accepts_per_wakeup = 32;
constexpr Duration out_of_descriptors{500};

// SO_REUSEPORT lets the connected sockets of DTLS peers share the port; other users' programs cannot join.
Fd new_socket(TransportKind kind, int family) {
    const auto [type, protocol] = socket_type(kind);
    const bool datagrams = type == SOCK_DGRAM;
    Fd fd(socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
    const int yes = 1;
    if (!fd) return fd;
    (void)setsockopt(fd.get(), SOL_SOCKET, datagrams ? SO_REUSEPORT : SO_REUSEADDR, &yes, sizeof yes);
    if (family == AF_INET6) (void)setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
    return fd;
}

// A DTLS handshake record that begins a ClientHello; anything else from a stranger is noise (RFC 6347
// §4.3.2).
bool is_client_hello(std::string_view datagram) {
    return datagram.size() > 25 && datagram[0] == 22 && datagram[1] == '\xfe' && datagram[13] == 1;
}

// Running out of descriptors pauses it instead of spinning.
class KernelListener final : public StreamListener {
public:
    KernelListener(Loop &loop, TransportKind kind, Fd fd, const Address &address, Accepted accepted)
        : StreamListener(kind, address), fd_(std::move(fd)), accepted_(std::move(accepted)), pause_(loop) {}

    Result<> watch();
    void pause(Duration time) override;

private:
    void accept_some();
    bool accept_one();
    bool accept_peer();
    [[nodiscard]] Fd connected_socket(const Address &remote) const;
    bool out_of_descriptors_now(int err);

    Fd fd_;
    Accepted accepted_;
    Timer pause_;
    FdWatch watch_;
};

} // namespace

Result<std::unique_ptr<StreamListener>> StreamListener::open(Loop &loop, TransportKind kind,
                                                             const Address &bind, Accepted accepted) {
    const auto failed = [&] {
        const int err = errno;
        return fail_errno(Errc::network, err,
                          "listen on " + std::string(uri_token(kind)) + ":" + bind.to_string());
    };
    const bool datagrams = kind == TransportKind::dtls;
    Fd fd = new_socket(kind, bind.family());
    if (!fd) return failed();
    sockaddr_storage bound{};
    socklen_t length = sizeof bound;
    if (::bind(fd.get(), bind.sockaddr_ptr(), bind.sockaddr_len()) != 0 ||
        (!datagrams && ::listen(fd.get(), backlog) != 0) ||
        getsockname(fd.get(), reinterpret_cast<sockaddr *>(&bound), &length) != 0)
        return failed();
    const Address address = Address::from_sockaddr(reinterpret_cast<const sockaddr *>(&bound));
    auto result = std::make_unique<KernelListener>(loop, kind, std::move(fd), address, std::move(accepted));
    if (auto watched = result->watch(); !watched) return fail(watched.error());
    return result;
}

Result<> KernelListener::watch() {
    return watch_.start(fd_.get(), FdWatch::read, [this](int) { accept_some(); });
}

void KernelListener::accept_some() {
    for (int i = 0; i < accepts_per_wakeup; ++i)
        if (pause_.running() || !(kind() == TransportKind::dtls ? accept_peer() : accept_one())) return;
}

bool KernelListener::accept_one() {
    sockaddr_storage peer{};
    socklen_t length = sizeof peer;
    Fd fd(accept4(fd_.get(), reinterpret_cast<sockaddr *>(&peer), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) {
        accepted_(*this, StreamSocket::adopt(kind(), std::move(fd)),
                  Address::from_sockaddr(reinterpret_cast<const sockaddr *>(&peer)), {});
        return true;
    }
    const int err = errno;
    return !out_of_descriptors_now(err) && (err == ECONNABORTED || err == EINTR);
}

bool KernelListener::accept_peer() {
    std::array<char, 2048> buffer; // NOLINT(cppcoreguidelines-pro-type-member-init): filled by recvfrom()
    sockaddr_storage peer{};
    socklen_t length = sizeof peer;
    const ssize_t size =
        recvfrom(fd_.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr *>(&peer), &length);
    if (size < 0) return errno == EINTR || errno == ECONNREFUSED;
    const std::string_view first(buffer.data(), static_cast<std::size_t>(size));
    if (!is_client_hello(first)) return true;
    const Address remote = Address::from_sockaddr(reinterpret_cast<const sockaddr *>(&peer));
    if (Fd fd = connected_socket(remote))
        accepted_(*this, StreamSocket::adopt(kind(), std::move(fd)), remote, first);
    return true; // without a socket the peer tries again
}

// The kernel hands what this peer sends from now on to the socket that is connected to it.
Fd KernelListener::connected_socket(const Address &remote) const {
    Fd fd = new_socket(kind(), remote.family());
    if (!fd || ::bind(fd.get(), address().sockaddr_ptr(), address().sockaddr_len()) != 0 ||
        ::connect(fd.get(), remote.sockaddr_ptr(), remote.sockaddr_len()) != 0)
        return {};
    return fd;
}

void KernelListener::pause(Duration time) {
    watch_.stop();
    pause_.start(time, [this] { (void)watch(); });
}

bool KernelListener::out_of_descriptors_now(int err) {
    if (err != EMFILE && err != ENFILE && err != ENOBUFS && err != ENOMEM) return false;
    // The connection stays in the backlog and the descriptor stays readable: look again in a while.
    pause(out_of_descriptors);
    return true;
}

} // namespace offhook::sip
