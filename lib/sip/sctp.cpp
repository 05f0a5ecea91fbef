#include "sip/sctp.hpp"

#include <algorithm>

#include "sip/user_sctp.hpp"

namespace offhook::sip {

#ifdef HAVE_USRSCTP

namespace {

Result<const Usrsctp *> library() {
    if (const Usrsctp *found = usrsctp()) return found;
    return fail(Errc::network, "sctp: this kernel has no SCTP, and libusrsctp2 is not installed");
}

} // namespace

bool has_usrsctp() noexcept {
    return usrsctp() != nullptr;
}

Sctp::Sctp(Loop &loop) : loop_(loop) {}
Sctp::~Sctp() = default;

Result<std::unique_ptr<StreamListener>> Sctp::listen(const Address &bind, StreamListener::Accepted accepted) {
    if (in_kernel()) return StreamListener::open(loop_, TransportKind::sctp, bind, std::move(accepted));
    const auto usable = library();
    if (!usable) return fail(usable.error());
    const std::uint16_t udp_port = options_.udp_port.value_or(SctpOptions::usual_udp_port);
    auto tunnel = SctpTunnel::open(loop_, **usable, bind.with_port(udp_port));
    if (!tunnel) return fail(Errc::network, tunnel.error().what + ", for SCTP in UDP (--sctp-udp-port)");
    auto listener = UserSctpListener::open(loop_, **usable, *tunnel, bind, std::move(accepted));
    if (!listener) return listener;
    udp_addresses_.push_back((*tunnel)->address());
    tunnels_.push_back(std::move(*tunnel));
    return listener;
}

Result<std::shared_ptr<SctpTunnel>> Sctp::tunnel_towards(const Address &remote) {
    const auto source = local_address_towards(remote);
    if (!source) return fail(source.error());
    const auto reaches = [&](const auto &tunnel) {
        const Address &bound = tunnel->address();
        return bound.family() == remote.family() && (bound.is_any() || bound.same_ip(*source));
    };
    const auto known = std::ranges::find_if(tunnels_, reaches);
    if (known != tunnels_.end()) return *known;
    auto tunnel = SctpTunnel::open(loop_, *usrsctp(), Address::any(remote.family()));
    if (tunnel) tunnels_.push_back(*tunnel);
    return tunnel;
}

Result<std::unique_ptr<StreamSocket>> Sctp::socket(const Address &remote) {
    if (in_kernel()) return StreamSocket::open(TransportKind::sctp, remote.family());
    const auto usable = library();
    if (!usable) return fail(usable.error());
    auto tunnel = tunnel_towards(remote);
    if (!tunnel) return fail(tunnel.error());
    const Address *heard = (*tunnel)->learned(remote);
    const Address udp = heard != nullptr ? *heard : remote.with_port(options_.peer_udp_port);
    auto local = (*tunnel)->source_towards(udp);
    if (!local) return fail(local.error());
    const SctpPeer peer = (*tunnel)->peer_at(udp);
    return UserSctpSocket::open(loop_, **usable, std::move(*tunnel), peer, *local);
}

#else

class SctpTunnel {};

bool has_usrsctp() noexcept {
    return false;
}

Sctp::Sctp(Loop &loop) : loop_(loop) {}
Sctp::~Sctp() = default;

namespace {
Failure missing() {
    return fail(Errc::network, "sctp: this kernel has no SCTP, and offhook was built without libusrsctp-dev");
}
} // namespace

Result<std::unique_ptr<StreamListener>> Sctp::listen(const Address &bind, StreamListener::Accepted accepted) {
    if (!kernel_has_sctp()) return missing();
    return StreamListener::open(loop_, TransportKind::sctp, bind, std::move(accepted));
}

Result<std::unique_ptr<StreamSocket>> Sctp::socket(const Address &remote) {
    if (!kernel_has_sctp()) return missing();
    return StreamSocket::open(TransportKind::sctp, remote.family());
}

#endif

} // namespace offhook::sip
