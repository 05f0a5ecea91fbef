// The two UDP sockets of an RTP session: an even port for RTP, the next for RTCP (RFC 3550 §11).
#pragma once

#include <functional>

#include "base/address.hpp"
#include "base/loop.hpp"
#include "base/result.hpp"
#include "media/media_ports.hpp"
#include "media/rtp.hpp"

namespace offhook::media {

class RtpSockets {
public:
    using Received = std::function<void(const Address &from, std::span<std::uint8_t> datagram)>;

    // Ports from [min, max], or any when both are 0. Errors: Errc::network ("no media port free on …").
    static Result<std::unique_ptr<RtpSockets>> open(const Address &ip, std::uint16_t min, std::uint16_t max);
    ~RtpSockets() = default;
    RtpSockets(const RtpSockets &) = delete;
    RtpSockets &operator=(const RtpSockets &) = delete;

    Result<> start(Received rtp, Received rtcp);
    // Paced: nothing wakes the loop for RTP, the owner polls once a frame, which halves the wake-ups of a
    // call.
    void set_paced(bool paced);
    void poll();
    // When the datagram that is being delivered arrived, by the kernel's clock while paced; else now.
    [[nodiscard]] TimePoint arrival() const noexcept {
        return delivering_ ? arrival_ : std::chrono::steady_clock::now();
    }
    // Datagrams that cannot be sent are dropped: RTP has no use for late ones.
    void send_rtp(const Address &to, Bytes datagram) const noexcept;
    void send_rtcp(const Address &to, Bytes datagram) const noexcept;
    [[nodiscard]] const Address &rtp() const noexcept { return rtp_address_; }
    [[nodiscard]] Address rtcp() const { return rtp_address_.with_port(rtp_address_.port() + 1); }

private:
    RtpSockets(MediaPort &&ports, const Address &rtp) : ports_(std::move(ports)), rtp_address_(rtp) {}
    void drain(int fd, const Received &received);
    bool watch_rtp();

    static constexpr std::size_t longest_datagram = 2048, at_once = 4;

    MediaPort ports_;
    Address rtp_address_;
    FdWatch rtp_watch_, rtcp_watch_;
    Received received_rtp_;
    bool paced_ = false, delivering_ = false;
    TimePoint arrival_{};
    std::array<std::array<std::uint8_t, longest_datagram>, at_once> buffers_{};
};

} // namespace offhook::media
