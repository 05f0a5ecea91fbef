// libusrsctp, loaded for the first association and never at a start without one. It runs without threads of
// its own: we hand it what arrives, send what it gives us, and tell it the time. Peers are known to it by
// numbers, so that an association it still has on its mind after its tunnel has gone can do no harm.
#pragma once

#include <cstdint>
#include <functional>

#ifdef HAVE_USRSCTP

#include <usrsctp.h>

#include "base/clock.hpp"

namespace offhook::sip {

using SctpPeer = std::uintptr_t;

struct Usrsctp {
    decltype(&usrsctp_init_nothreads) init = nullptr;
    decltype(&usrsctp_socket) socket = nullptr;
    decltype(&usrsctp_setsockopt) setsockopt = nullptr;
    decltype(&usrsctp_getsockopt) getsockopt = nullptr;
    decltype(&usrsctp_set_non_blocking) set_non_blocking = nullptr;
    decltype(&usrsctp_set_upcall) set_upcall = nullptr;
    decltype(&usrsctp_get_events) get_events = nullptr;
    decltype(&usrsctp_bind) bind = nullptr;
    decltype(&usrsctp_listen) listen = nullptr;
    decltype(&usrsctp_accept) accept = nullptr;
    decltype(&usrsctp_connect) connect = nullptr;
    decltype(&usrsctp_sendv) sendv = nullptr;
    decltype(&usrsctp_recvv) recvv = nullptr;
    decltype(&usrsctp_shutdown) shutdown = nullptr;
    decltype(&usrsctp_close) close = nullptr;
    decltype(&usrsctp_conninput) conninput = nullptr;
    decltype(&usrsctp_register_address) register_address = nullptr;
    decltype(&usrsctp_deregister_address) deregister_address = nullptr;
    decltype(&usrsctp_handle_timers) handle_timers = nullptr;

    using Output = std::function<void(const void *packet, std::size_t size)>;
    // A peer is there from introduce() to forget(); `output` sends it a packet.
    SctpPeer introduce(Output output) const;
    void forget(SctpPeer peer) const;
    void tick(TimePoint now) const; // now and then while there are associations, see SctpTunnel
};

const Usrsctp *usrsctp() noexcept; // null: not installed

inline sockaddr_conn sctp_address(SctpPeer peer, std::uint16_t port) noexcept {
    sockaddr_conn address{};
    address.sconn_family = AF_CONN;
    address.sconn_port = htons(port);
    address.sconn_addr = reinterpret_cast<void *>(peer); // NOLINT(performance-no-int-to-ptr): a number for us
    return address;
}

} // namespace offhook::sip

#endif
