#include "sip/usrsctp.hpp"

#ifdef HAVE_USRSCTP

#include <algorithm>
#include <unordered_map>

#include "base/shared_library.hpp"

namespace offhook::sip {

namespace {

// Like TCP_USER_TIMEOUT of our TCP connections: retransmissions after 1, 2, 4, 8 s, then it is over.
constexpr std::uint32_t retransmissions = 4, first_retransmission_ms = 1000;
constexpr Duration longest_tick{1'000};

std::unordered_map<SctpPeer, Usrsctp::Output> &outputs() {
    static std::unordered_map<SctpPeer, Usrsctp::Output> all;
    return all;
}

// Called from inside usrsctp, which must not be called back.
int send_packet(void *peer, void *packet, std::size_t size, std::uint8_t, std::uint8_t) noexcept {
    const auto found = outputs().find(reinterpret_cast<SctpPeer>(peer));
    if (found != outputs().end()) found->second(packet, size);
    return 0; // what is lost is sent again
}

void set(SharedLibrary &shared, const char *name, std::uint32_t value) noexcept {
    int (*function)(std::uint32_t) = nullptr;
    shared.bind(function, name);
    if (function != nullptr) (void)function(value);
}

// Peers have one address each, which never changes; a stranger's lost INIT is not worth 60 s.
void set_defaults(SharedLibrary &shared) noexcept {
    set(shared, "usrsctp_sysctl_set_sctp_auto_asconf", 0);
    set(shared, "usrsctp_sysctl_set_sctp_ecn_enable", 0);
    set(shared, "usrsctp_sysctl_set_sctp_rto_initial_default", first_retransmission_ms);
    set(shared, "usrsctp_sysctl_set_sctp_assoc_rtx_max_default", retransmissions);
    set(shared, "usrsctp_sysctl_set_sctp_path_rtx_max_default", retransmissions);
}

bool load(Usrsctp &library) noexcept {
    SharedLibrary shared("libusrsctp.so.2");
    shared.bind(library.init, "usrsctp_init_nothreads");
    shared.bind(library.socket, "usrsctp_socket");
    shared.bind(library.setsockopt, "usrsctp_setsockopt");
    shared.bind(library.getsockopt, "usrsctp_getsockopt");
    shared.bind(library.set_non_blocking, "usrsctp_set_non_blocking");
    shared.bind(library.set_upcall, "usrsctp_set_upcall");
    shared.bind(library.get_events, "usrsctp_get_events");
    shared.bind(library.bind, "usrsctp_bind");
    shared.bind(library.listen, "usrsctp_listen");
    shared.bind(library.accept, "usrsctp_accept");
    shared.bind(library.connect, "usrsctp_connect");
    shared.bind(library.sendv, "usrsctp_sendv");
    shared.bind(library.recvv, "usrsctp_recvv");
    shared.bind(library.shutdown, "usrsctp_shutdown");
    shared.bind(library.close, "usrsctp_close");
    shared.bind(library.conninput, "usrsctp_conninput");
    shared.bind(library.register_address, "usrsctp_register_address");
    shared.bind(library.deregister_address, "usrsctp_deregister_address");
    shared.bind(library.handle_timers, "usrsctp_handle_timers");
    if (!shared.complete()) return false;
    library.init(0, send_packet, nullptr);
    set_defaults(shared);
    return true;
}

} // namespace

const Usrsctp *usrsctp() noexcept {
    static Usrsctp library;
    static const bool loaded = load(library);
    return loaded ? &library : nullptr;
}

SctpPeer Usrsctp::introduce(Output output) const {
    static SctpPeer last = 0;
    const SctpPeer peer = ++last;
    outputs().emplace(peer, std::move(output));
    register_address(reinterpret_cast<void *>(peer)); // NOLINT(performance-no-int-to-ptr): a number for us
    return peer;
}

void Usrsctp::forget(SctpPeer peer) const {
    deregister_address(reinterpret_cast<void *>(peer)); // NOLINT(performance-no-int-to-ptr)
    outputs().erase(peer);
}

void Usrsctp::tick(TimePoint now) const {
    static TimePoint last = now;
    const auto elapsed = std::min(std::chrono::duration_cast<Duration>(now - last), longest_tick);
    if (elapsed <= Duration(0)) return;
    last = now;
    handle_timers(static_cast<std::uint32_t>(elapsed.count()));
}

} // namespace offhook::sip

#endif
