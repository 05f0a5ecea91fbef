#include "media/rtp_sockets.hpp"

#include <cerrno>
#include <cstring>
#include <ctime>

#include <sys/socket.h>

namespace offhook::media {

namespace {

constexpr int burst = 32; // datagrams read in one turn of the loop

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

Result<std::unique_ptr<RtpSockets>> RtpSockets::open(const Address &ip, std::uint16_t min,
                                                     std::uint16_t max) {
    return open_media_port(ip, min, max, true).map([&](MediaPort &&opened) {
        const Address address = ip.with_port(opened.port);
        return std::unique_ptr<RtpSockets>(new RtpSockets(std::move(opened), address));
    });
}

Result<> RtpSockets::start(Received rtp, Received rtcp) {
    received_rtp_ = std::move(rtp);
    if (!watch_rtp()) return fail(Errc::internal, "cannot watch the RTP socket");
    return rtcp_watch_.start(ports_.rtcp.get(), FdWatch::read,
                             [this, received = std::move(rtcp)](int) { drain(ports_.rtcp.get(), received); });
}

bool RtpSockets::watch_rtp() {
    return rtp_watch_
        .start(ports_.rtp.get(), FdWatch::read, [this](int) { drain(ports_.rtp.get(), received_rtp_); })
        .has_value();
}

void RtpSockets::set_paced(bool paced) {
    if (paced == paced_) return;
    const int stamped = paced ? 1 : 0;
    (void)setsockopt(ports_.rtp.get(), SOL_SOCKET, SO_TIMESTAMPNS, &stamped, sizeof stamped);
    if (paced)
        rtp_watch_.stop();
    else if (!watch_rtp())
        return; // the owner goes on polling
    paced_ = paced;
}

void RtpSockets::poll() {
    if (paced_) drain(ports_.rtp.get(), received_rtp_);
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
    send(ports_.rtp.get(), to, datagram);
}

void RtpSockets::send_rtcp(const Address &to, Bytes datagram) const noexcept {
    send(ports_.rtcp.get(), to, datagram);
}

} // namespace offhook::media
