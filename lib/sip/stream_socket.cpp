#include "sip/stream_socket.hpp"

#include <cerrno>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "sip/kernel_socket.hpp"
#include "sip/sctp.hpp"

namespace offhook::sip {

namespace {

constexpr int unacknowledged_ms = 30'000; // a vanished peer is noticed no later than this

void set_tcp_options(int fd) {
    const int yes = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof unacknowledged_ms);
}

} // namespace

SocketType socket_type(TransportKind kind) noexcept {
    if (kind == TransportKind::dtls) return {SOCK_DGRAM, 0};
    return {SOCK_STREAM, kind == TransportKind::sctp ? IPPROTO_SCTP : 0};
}

Result<std::unique_ptr<StreamSocket>> StreamSocket::open(TransportKind kind, int family) {
    const auto [type, protocol] = socket_type(kind);
    Fd fd(socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
    if (!fd) return fail_errno(Errc::network, errno, "a " + std::string(uri_token(kind)) + " socket");
    return adopt(kind, std::move(fd));
}

std::unique_ptr<StreamSocket> StreamSocket::adopt(TransportKind kind, Fd fd) {
    if (kind == TransportKind::sctp) return kernel_sctp_socket(std::move(fd));
    if (kind != TransportKind::dtls) set_tcp_options(fd.get());
    return std::make_unique<KernelSocket>(std::move(fd));
}

int KernelSocket::connect(const Address &remote) {
    return ::connect(fd(), remote.sockaddr_ptr(), remote.sockaddr_len()) == 0 ? 0 : errno;
}

int KernelSocket::connected() {
    int err = 0;
    socklen_t length = sizeof err;
    if (getsockopt(fd(), SOL_SOCKET, SO_ERROR, &err, &length) != 0) err = errno;
    if (err != 0) return err;
    sockaddr_storage peer{};
    length = sizeof peer;
    const bool there = getpeername(fd(), reinterpret_cast<sockaddr *>(&peer), &length) == 0;
    return there ? 0 : EINPROGRESS; // woken too early
}

Address KernelSocket::local() const {
    sockaddr_storage bound{};
    socklen_t length = sizeof bound;
    if (getsockname(fd(), reinterpret_cast<sockaddr *>(&bound), &length) != 0) return {};
    return Address::from_sockaddr(reinterpret_cast<const sockaddr *>(&bound));
}

ssize_t KernelSocket::receive(std::span<char> into) {
    return recv(fd(), into.data(), into.size(), 0);
}

ssize_t KernelSocket::send(std::string_view bytes) {
    return ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

void KernelSocket::shut_down() {
    (void)shutdown(fd(), SHUT_WR);
}

Result<> KernelSocket::watch(bool writing, Ready ready) {
    if (watch_.fd() >= 0 && writing == writing_) return {};
    writing_ = writing;
    return watch_.start(fd(), FdWatch::read | (writing ? FdWatch::write : 0), std::move(ready));
}

void KernelSocket::close() {
    watch_.stop();
    fd_.reset();
}

Fd KernelSocket::release() {
    watch_.stop();
    return std::exchange(fd_, {});
}

} // namespace offhook::sip
