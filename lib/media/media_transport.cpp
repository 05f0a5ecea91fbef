#include "media/media_transport.hpp"

namespace offhook::media {

Result<std::unique_ptr<MediaTransport>> MediaTransport::open(const Address &ip, std::uint16_t port_min,
                                                             std::uint16_t port_max) {
    auto sockets = RtpSockets::open(ip, port_min, port_max);
    if (!sockets) return fail(sockets.error());
    return std::unique_ptr<MediaTransport>(new MediaTransport(std::move(*sockets)));
}

Result<> MediaTransport::start(Received rtp, Received rtcp) {
    rtp_ = std::move(rtp);
    rtcp_ = std::move(rtcp);
    const auto arrives = [this](const Address &from, std::span<std::uint8_t> datagram) {
        arrived(from, datagram);
    };
    return sockets_->start(arrives, arrives);
}

Result<> MediaTransport::configure(const AgreedTransport &agreed) {
    return agreed.sdes ? channel_.use(*agreed.sdes) : Result<>{};
}

// Some multiplex RTCP unasked (RFC 5761), so the socket does not tell what it is.
void MediaTransport::arrived(const Address &from, std::span<std::uint8_t> datagram) {
    const bool control = looks_like_rtcp(datagram);
    const auto clear = control ? channel_.open_rtcp(datagram) : channel_.open_rtp(datagram);
    if (clear) (control ? rtcp_ : rtp_)(from, *clear);
}

void MediaTransport::send_rtp(const Address &to, std::span<std::uint8_t> buffer, std::size_t size) noexcept {
    if (const auto packet = channel_.seal_rtp(buffer, size)) sockets_->send_rtp(to, *packet);
}

void MediaTransport::send_rtcp(const Address &to, std::span<std::uint8_t> buffer, std::size_t size) noexcept {
    if (const auto packet = channel_.seal_rtcp(buffer, size)) sockets_->send_rtcp(to, *packet);
}

std::string MediaTransport::srtp() const {
    const auto suite = channel_.suite();
    return suite ? std::string(info(*suite).sdes_name) : std::string{};
}

} // namespace offhook::media
