#include "sip/udp_socket.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include <linux/errqueue.h>
#include <linux/icmpv6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace offhook::sip {

namespace {

constexpr std::size_t datagram_size = 65536;
constexpr int datagrams_per_wakeup = 64; // so that a flood cannot starve timers and media
constexpr int send_attempts = 8;         // each may find another pending ICMP error first
constexpr int socket_buffer = 512 * 1024;

void set(int fd, int level, int option, int value) {
    (void)setsockopt(fd, level, option, &value, sizeof value);
}

void set_options(int fd, int family) {
    set(fd, SOL_SOCKET, SO_RCVBUF, socket_buffer);
    if (family == AF_INET6) {
        set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        set(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
        set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    } else {
        set(fd, IPPROTO_IP, IP_RECVERR, 1);
        set(fd, IPPROTO_IP, IP_PKTINFO, 1);
    }
}

struct Control {
    alignas(cmsghdr) std::array<char, 512> bytes;
};

// A message that recvmsg(2) fills. It points into itself.
struct Incoming {
    explicit Incoming(std::span<char> bytes) : payload{bytes.data(), bytes.size()} {
        message.msg_name = &name;
        message.msg_namelen = sizeof name;
        message.msg_iov = &payload;
        message.msg_iovlen = 1;
        message.msg_control = control.bytes.data();
        message.msg_controllen = control.bytes.size();
    }
    Incoming(const Incoming &) = delete;
    Incoming &operator=(const Incoming &) = delete;

    sockaddr_storage name{}; // whose it is, or whom it was for
    Control control{};
    iovec payload;
    msghdr message{};
};

template <class T>
T read_as(const cmsghdr *header) {
    T value{};
    std::memcpy(&value, CMSG_DATA(header), sizeof value);
    return value;
}

Address destination_of(msghdr &message, std::uint16_t port) {
    for (cmsghdr *header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_PKTINFO) {
            sockaddr_in local{};
            local.sin_family = AF_INET;
            local.sin_addr = read_as<in_pktinfo>(header).ipi_addr;
            return Address::from_sockaddr(reinterpret_cast<const sockaddr *>(&local)).with_port(port);
        }
        if (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_PKTINFO) {
            sockaddr_in6 local{};
            local.sin6_family = AF_INET6;
            local.sin6_addr = read_as<in6_pktinfo>(header).ipi6_addr;
            return Address::from_sockaddr(reinterpret_cast<const sockaddr *>(&local)).with_port(port);
        }
    }
    return {};
}

template <class Info>
void put_control(msghdr &message, Control &control, int level, int type, const Info &info) {
    message.msg_control = control.bytes.data();
    message.msg_controllen = CMSG_SPACE(sizeof info);
    cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = level;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(sizeof info);
    std::memcpy(CMSG_DATA(header), &info, sizeof info);
}

void put_source(msghdr &message, Control &control, const Address &local) {
    if (local.family() == AF_INET6) {
        in6_pktinfo info{};
        info.ipi6_addr = local.raw().u.in6.sin6_addr;
        put_control(message, control, IPPROTO_IPV6, IPV6_PKTINFO, info);
    } else {
        in_pktinfo info{};
        info.ipi_spec_dst = local.raw().u.in.sin_addr;
        put_control(message, control, IPPROTO_IP, IP_PKTINFO, info);
    }
}

// RFC 3261 §18.4: unreachable and parameter problem are errors; TTL exceeded, source quench and the path MTU
// (the kernel fragments the retransmission) are not.
bool is_failure(const sock_extended_err &error) {
    if (error.ee_origin == SO_EE_ORIGIN_ICMP)
        return (error.ee_type == ICMP_DEST_UNREACH && error.ee_code != ICMP_FRAG_NEEDED) ||
               error.ee_type == ICMP_PARAMETERPROB;
    if (error.ee_origin == SO_EE_ORIGIN_ICMP6)
        return error.ee_type == ICMPV6_DEST_UNREACH || error.ee_type == ICMPV6_PARAMPROB;
    return false;
}

std::string where(const Address &address) {
    return "udp:" + address.to_string();
}

} // namespace

Result<std::unique_ptr<UdpSocket>> UdpSocket::open(Loop &loop, const Address &bind, Listener &listener) {
    const auto failed = [&] { return fail_errno(Errc::network, errno, "listen on " + where(bind)); };
    Fd fd(socket(bind.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return failed();
    set_options(fd.get(), bind.family());
    sockaddr_storage bound{};
    socklen_t length = sizeof bound;
    if (::bind(fd.get(), bind.sockaddr_ptr(), bind.sockaddr_len()) != 0 ||
        getsockname(fd.get(), reinterpret_cast<sockaddr *>(&bound), &length) != 0)
        return failed();
    const Address address = Address::from_sockaddr(reinterpret_cast<const sockaddr *>(&bound));
    std::unique_ptr<UdpSocket> result(new UdpSocket(loop, std::move(fd), address, listener));
    if (auto watched = result->watch(); !watched) return fail(watched.error());
    return result;
}

UdpSocket::UdpSocket(Loop &loop, Fd fd, const Address &address, Listener &listener)
    : fd_(std::move(fd)), address_(address), listener_(listener), buffer_(datagram_size), report_(loop) {}

Result<> UdpSocket::watch() {
    return watch_.start(fd_.get(), FdWatch::read, [this](int flags) { ready(flags); });
}

void UdpSocket::ready(int flags) {
    if ((flags & FdWatch::except) != 0) {
        drain_errors();
        report_refusals();
    }
    for (int i = 0; i < datagrams_per_wakeup && receive_one(); ++i) {
    }
}

bool UdpSocket::receive_one() {
    Incoming in(buffer_);
    const ssize_t size = recvmsg(fd_.get(), &in.message, 0);
    if (size < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
        drain_errors(); // a pending ICMP error is returned once by the next call, whatever it is
        report_refusals();
        return true;
    }
    const Address remote = Address::from_sockaddr(reinterpret_cast<const sockaddr *>(&in.name));
    if (remote.port() == 0) return true; // nobody to answer
    listener_.on_datagram(*this, {buffer_.data(), static_cast<std::size_t>(size)},
                          destination_of(in.message, address_.port()), remote);
    return true;
}

void UdpSocket::drain_errors() {
    while (take_error()) {
    }
}

bool UdpSocket::take_error() {
    std::array<char, 1> payload{};
    Incoming in(payload);
    if (recvmsg(fd_.get(), &in.message, MSG_ERRQUEUE) < 0) return false;
    for (cmsghdr *header = CMSG_FIRSTHDR(&in.message); header != nullptr;
         header = CMSG_NXTHDR(&in.message, header)) {
        const bool v4 = header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_RECVERR;
        const bool v6 = header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_RECVERR;
        if (!v4 && !v6) continue;
        const auto error = read_as<sock_extended_err>(header);
        if (is_failure(error) && refusals_.size() < datagrams_per_wakeup)
            refusals_.push_back({Address::from_sockaddr(reinterpret_cast<const sockaddr *>(&in.name)),
                                 static_cast<int>(error.ee_errno)});
    }
    return true;
}

void UdpSocket::report_refusals() {
    for (const Refusal &refusal : std::exchange(refusals_, {}))
        listener_.on_unreachable(*this, refusal.remote, refusal.err);
}

Result<Address> UdpSocket::source_towards(const Address &remote) const {
    if (!address_.is_any()) return address_;
    auto local = local_address_towards(remote);
    if (!local) return local;
    return local->with_port(address_.port());
}

int UdpSocket::send_once(const Address &local, const Address &remote, std::string_view bytes) const {
    Control control{};
    iovec part{const_cast<char *>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_name = const_cast<sockaddr *>(remote.sockaddr_ptr());
    message.msg_namelen = remote.sockaddr_len();
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (address_.is_any() && local.is_set() && !local.is_any()) put_source(message, control, local);
    return sendmsg(fd_.get(), &message, MSG_NOSIGNAL) < 0 ? errno : 0;
}

Result<> UdpSocket::send(const Address &local, const Address &remote, std::string_view bytes) {
    int err = 0;
    for (int attempt = 0; attempt < send_attempts; ++attempt) {
        err = send_once(local, remote, bytes);
        if (err == 0) break;
        if (!take_error()) break; // the error is our own, not that of an earlier datagram
        drain_errors();
    }
    if (!refusals_.empty()) report_.start(Duration(0), [this] { report_refusals(); });
    if (err != 0) return fail_errno(Errc::network, err, where(remote));
    return {};
}

} // namespace offhook::sip
