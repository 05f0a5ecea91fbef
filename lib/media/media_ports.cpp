#include "media/media_ports.hpp"

#include <cerrno>

#include <netinet/in.h>
#include <netinet/ip.h>
#include <sys/socket.h>

#include "base/random.hpp"

namespace offhook::media {

namespace {

constexpr int expedited = 0xB8;                      // DSCP EF (RFC 3246)
constexpr int buffer_bytes = 256 * 1024;             // a busy moment is not a loss
constexpr int shared_buffer_bytes = 8 * 1024 * 1024; // half a second of 5000 calls

Fd new_socket(const Address &address, int buffer) {
    Fd fd(socket(address.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return fd;
    const bool v6 = address.family() == AF_INET6;
    setsockopt(fd.get(), v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS, &expedited,
               sizeof expedited);
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    return fd;
}

// Empty where the port is somebody's. Errors: Errc::network for what another port would not mend (an address
// that has gone, no descriptor left).
Result<Fd> bind_socket(const Address &address) {
    Fd fd = new_socket(address, buffer_bytes);
    if (fd && bind(fd.get(), address.sockaddr_ptr(), address.sockaddr_len()) == 0) return fd;
    if (fd && errno == EADDRINUSE) return Fd();
    return fail_errno(Errc::network, errno, "a media port on " + address.ip());
}

} // namespace

Result<MediaPort> open_media_port(const Address &ip, std::uint16_t min, std::uint16_t max, bool pair) {
    const std::uint16_t low = min != 0 ? min : first_dynamic_port, high = max != 0 ? max : last_dynamic_port;
    const unsigned step = pair ? 2 : 1;
    const unsigned base = pair ? (low + 1U) & ~1U : low;
    const unsigned places = high < base + step - 1 ? 0 : (high - base + 1U) / step;
    // From a random place once around: a full range is noticed, a busy one is not guessed at.
    const unsigned start = places != 0 ? random_below(places) : 0;
    for (unsigned i = 0; i < places; ++i) {
        const auto port = static_cast<std::uint16_t>(base + (start + i) % places * step);
        auto rtp = bind_socket(ip.with_port(port));
        if (!rtp) return tl::unexpected(rtp.error());
        if (!*rtp) continue;
        auto rtcp = pair ? bind_socket(ip.with_port(static_cast<std::uint16_t>(port + 1))) : Fd();
        if (!rtcp) return tl::unexpected(rtcp.error());
        if (pair && !*rtcp) continue;
        return MediaPort{std::move(*rtp), std::move(*rtcp), port};
    }
    return fail(Errc::network, "no media port free on " + ip.ip() + " (" + std::to_string(low) + "-" +
                                   std::to_string(high) + ")");
}

Result<Fd> open_shared_port(const Address &address) {
    Fd fd = new_socket(address, shared_buffer_bytes);
    const int yes = 1;
    if (fd) {
        // Beyond net.core.rmem_max and wmem_max where we may.
        setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &shared_buffer_bytes, sizeof shared_buffer_bytes);
        if (setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUFFORCE, &shared_buffer_bytes,
                       sizeof shared_buffer_bytes) != 0)
            setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &shared_buffer_bytes, sizeof shared_buffer_bytes);
        if (address.family() == AF_INET6) setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
    }
    if (fd && bind(fd.get(), address.sockaddr_ptr(), address.sockaddr_len()) == 0) return fd;
    return fail_errno(Errc::network, errno,
                      "UDP port " + std::to_string(address.port()) + " of " + address.ip());
}

} // namespace offhook::media
