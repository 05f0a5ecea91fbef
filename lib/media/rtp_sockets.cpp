#include "media/rtp_sockets.hpp"

#include <cerrno>
#include <cstring>
#include <ctime>

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

// One datagram as recvmmsg(2) delivers it.
struct Slot {
    sockaddr_storage from;
    iovec bytes;
    alignas(cmsghdr) std::array<char, 64> control;
};

// SO_TIMESTAMPNS counts by the wall clock; what matters is how long ago.
TimePoint arrival_of(msghdr &message, TimePoint now) {
    for (cmsghdr *header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_TIMESTAMPNS) continue;
        timespec stamp{};
        std::memcpy(&stamp, CMSG_DATA(header), sizeof stamp);
        const auto at = std::chrono::seconds(stamp.tv_sec) + std::chrono::nanoseconds(stamp.tv_nsec);
        const auto age = std::chrono::system_clock::now().time_since_epoch() - at;
        if (age > std::chrono::seconds(0) && age < std::chrono::seconds(1)) // else the clock was set
            return now - std::chrono::duration_cast<TimePoint::duration>(age);
    }
    return now;
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
    received_rtp_ = std::move(rtp);
    if (!watch_rtp()) return fail(Errc::internal, "cannot watch the RTP socket");
    return rtcp_watch_.start(rtcp_fd_, FdWatch::read,
                             [this, received = std::move(rtcp)](int) { drain(rtcp_fd_, received); });
}

bool RtpSockets::watch_rtp() {
    return rtp_watch_.start(rtp_fd_, FdWatch::read, [this](int) { drain(rtp_fd_, received_rtp_); })
        .has_value();
}

void RtpSockets::set_paced(bool paced) {
    if (paced == paced_) return;
    const int stamped = paced ? 1 : 0;
    (void)setsockopt(rtp_fd_, SOL_SOCKET, SO_TIMESTAMPNS, &stamped, sizeof stamped);
    if (paced)
        rtp_watch_.stop();
    else if (!watch_rtp())
        return; // the owner goes on polling
    paced_ = paced;
}

void RtpSockets::poll() {
    if (paced_) drain(rtp_fd_, received_rtp_);
}

// At most a burst in one turn of the loop.
void RtpSockets::drain(int fd, const Received &received) {
    std::array<Slot, at_once> slots; // NOLINT(cppcoreguidelines-pro-type-member-init): the kernel fills them
    std::array<mmsghdr, at_once> messages{};
    for (int left = burst; left > 0; left -= static_cast<int>(at_once)) {
        for (std::size_t i = 0; i < at_once; ++i) {
            slots[i].bytes = {buffers_[i].data(), buffers_[i].size()};
            messages[i].msg_hdr = {&slots[i].from,
                                   sizeof slots[i].from,
                                   &slots[i].bytes,
                                   1,
                                   slots[i].control.data(),
                                   slots[i].control.size(),
                                   0};
        }
        const int got = recvmmsg(fd, messages.data(), at_once, MSG_DONTWAIT, nullptr);
        if (got < 0 && (errno == ECONNREFUSED || errno == EINTR)) continue; // an ICMP error of something sent
        if (got <= 0) return;
        const TimePoint now = std::chrono::steady_clock::now();
        for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
            msghdr &message = messages[i].msg_hdr;
            if ((message.msg_flags & MSG_TRUNC) != 0) continue; // no RTP packet is that long
            arrival_ = arrival_of(message, now);
            delivering_ = true;
            received(Address::from_sockaddr(reinterpret_cast<sockaddr *>(&slots[i].from)),
                     std::span(buffers_[i]).first(messages[i].msg_len));
        }
        delivering_ = false;
        if (static_cast<std::size_t>(got) < at_once) return;
    }
}

void RtpSockets::send_rtp(const Address &to, Bytes datagram) const noexcept {
    send(rtp_fd_, to, datagram);
}

void RtpSockets::send_rtcp(const Address &to, Bytes datagram) const noexcept {
    send(rtcp_fd_, to, datagram);
}

} // namespace offhook::media
