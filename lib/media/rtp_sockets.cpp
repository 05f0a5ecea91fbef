#include "media/rtp_sockets.hpp"

#include <netinet/in.h>
#include <netinet/ip.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/random.hpp"

namespace offhook::media {

namespace {

constexpr int burst = 32;       // datagrams read in one turn of the loop
constexpr int expedited = 0xB8; // DSCP EF (RFC 3246): voice
constexpr std::uint16_t first_dynamic = 16384, last_dynamic = 32766;
constexpr int attempts = 64;

void drain(int fd, std::span<std::uint8_t> buffer, const RtpSockets::Received &received) {
    for (int i = 0; i < burst; ++i) {
        sockaddr_storage from{};
        socklen_t length = sizeof from;
        const ssize_t got = recvfrom(fd, buffer.data(), buffer.size(), MSG_DONTWAIT | MSG_TRUNC,
                                     reinterpret_cast<sockaddr *>(&from), &length);
        if (got < 0) {
            if (errno == ECONNREFUSED || errno == EINTR) continue; // an ICMP error of something sent before
            return;
        }
        if (static_cast<std::size_t>(got) > buffer.size()) continue; // no RTP packet is that long
        received(Address::from_sockaddr(reinterpret_cast<sockaddr *>(&from)),
                 buffer.first(static_cast<std::size_t>(got)));
    }
}

void send(int fd, const Address &to, Bytes datagram) noexcept {
    (void)sendto(fd, datagram.data(), datagram.size(), MSG_DONTWAIT | MSG_NOSIGNAL, to.sockaddr_ptr(),
                 to.sockaddr_len());
}

} // namespace

int RtpSockets::bind_port(const Address &address) noexcept {
    const int fd = socket(address.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    setsockopt(fd, address.family() == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP,
               address.family() == AF_INET6 ? IPV6_TCLASS : IP_TOS, &expedited, sizeof expedited);
    if (bind(fd, address.sockaddr_ptr(), address.sockaddr_len()) == 0) return fd;
    close(fd);
    return -1;
}

bool RtpSockets::try_port(const Address &ip, std::uint16_t port) {
    rtp_fd_ = bind_port(ip.with_port(port));
    if (rtp_fd_ < 0) return false;
    rtcp_fd_ = bind_port(ip.with_port(static_cast<std::uint16_t>(port + 1)));
    if (rtcp_fd_ >= 0) {
        rtp_address_ = ip.with_port(port);
        return true;
    }
    close(std::exchange(rtp_fd_, -1));
    return false;
}

Result<std::unique_ptr<RtpSockets>> RtpSockets::open(const Address &ip, std::uint16_t min,
                                                     std::uint16_t max) {
    std::unique_ptr<RtpSockets> sockets(new RtpSockets);
    if (min == 0) min = first_dynamic;
    if (max == 0) max = last_dynamic;
    const unsigned pairs = max > min ? (max - min + 1U) / 2 : 1;
    const unsigned start = random_below(pairs);
    for (unsigned i = 0; i < std::min<unsigned>(pairs, attempts); ++i) {
        const auto port = static_cast<std::uint16_t>((min + 1U) / 2 * 2 + (start + i) % pairs * 2);
        if (sockets->try_port(ip, port)) return sockets;
    }
    return fail(Errc::network, "no RTP port is free on " + ip.ip() + " between " + std::to_string(min) +
                                   " and " + std::to_string(max));
}

RtpSockets::~RtpSockets() {
    rtp_watch_.stop();
    rtcp_watch_.stop();
    if (rtp_fd_ >= 0) close(rtp_fd_);
    if (rtcp_fd_ >= 0) close(rtcp_fd_);
}

Result<> RtpSockets::start(Received rtp, Received rtcp) {
    auto first = rtp_watch_.start(rtp_fd_, FdWatch::read, [this, received = std::move(rtp)](int) {
        drain(rtp_fd_, buffer_, received);
    });
    if (!first) return first;
    return rtcp_watch_.start(rtcp_fd_, FdWatch::read,
                             [this, received = std::move(rtcp)](int) { drain(rtcp_fd_, buffer_, received); });
}

void RtpSockets::send_rtp(const Address &to, Bytes datagram) const noexcept {
    send(rtp_fd_, to, datagram);
}

void RtpSockets::send_rtcp(const Address &to, Bytes datagram) const noexcept {
    send(rtcp_fd_, to, datagram);
}

} // namespace offhook::media
