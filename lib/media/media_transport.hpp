// MediaTransport: what carries a leg's RTP and RTCP. Owns the sockets and the keys: the leg above gives and
// gets packets in the clear. What does not authenticate never reaches it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "media/rtp_sockets.hpp"
#include "media/secure_channel.hpp"
#include "media/transport_negotiation.hpp"

namespace offhook::media {

class MediaTransport {
public:
    // `from`: the packet's source; with SRTP it is that of an authenticated packet.
    using Received = RtpSockets::Received;

    // Errors: Errc::network (no port free).
    static Result<std::unique_ptr<MediaTransport>> open(const Address &ip, std::uint16_t port_min,
                                                        std::uint16_t port_max);
    Result<> start(Received rtp, Received rtcp);
    // An exchange of SDP is complete. Keys that stay the same go on counting. Errors: Errc::not_supported.
    Result<> configure(const AgreedTransport &agreed);

    // The first `size` bytes of `buffer`, which has srtp_room more; it is written to. Dropped while there is
    // nothing to protect it with.
    void send_rtp(const Address &to, std::span<std::uint8_t> buffer, std::size_t size) noexcept;
    void send_rtcp(const Address &to, std::span<std::uint8_t> buffer, std::size_t size) noexcept;

    [[nodiscard]] const Address &rtp() const noexcept { return sockets_->rtp(); }
    [[nodiscard]] Address rtcp() const { return sockets_->rtcp(); }
    [[nodiscard]] std::string srtp() const; // the suite; empty while media is in the clear
    [[nodiscard]] std::uint64_t rejected() const noexcept {
        return channel_.rejected();
    } // failed authentication

private:
    explicit MediaTransport(std::unique_ptr<RtpSockets> sockets) : sockets_(std::move(sockets)) {}
    void arrived(const Address &from, std::span<std::uint8_t> datagram);

    std::unique_ptr<RtpSockets> sockets_;
    SecureChannel channel_;
    Received rtp_, rtcp_;
};

} // namespace offhook::media
