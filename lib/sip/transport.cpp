#include "sip/transport.hpp"

#include <algorithm>

#include <sys/socket.h>

#include "base/fd.hpp"
#include "sip/headers.hpp"
#include "sip/switchboard.hpp"

namespace offhook::sip {

namespace {

// The kernel lets nobody bind to an address that is not the host's own; this also knows all of 127.0.0.0/8.
bool is_of_this_host(const Address &address) {
    const Fd probe(socket(address.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const Address free_port = address.with_port(0);
    return probe && bind(probe.get(), free_port.sockaddr_ptr(), free_port.sockaddr_len()) == 0;
}

} // namespace

Transports::Transports(Loop &loop, Listener &listener) : self_(std::make_unique<Self>(loop, listener)) {}

Transports::~Transports() = default;

Result<Address> Transports::listen(TransportKind kind, const Address &bind) {
    return is_stream(kind) ? self_->listen_stream(kind, bind) : self_->listen_udp(bind);
}

Result<> Transports::set_tls(TlsOptions options) {
    return self_->set_tls(std::move(options));
}

Result<> Transports::replace_tls(TlsOptions options) {
    if (auto ready = TlsContext(options).prepare_client(TransportKind::tls); !ready) return ready;
    return set_tls(std::move(options));
}

void Transports::set_sctp(const SctpOptions &options) {
    self_->sctp.set_options(options);
}

void Transports::set_limits(const Limits &limits) {
    self_->limits = limits;
}

void Transports::set_web_server(WebServer *server) {
    self_->web_server = server != nullptr ? server : &self_->default_web_server;
}

void Transports::set_websocket_path(const std::string &host, std::uint16_t port, std::string path) {
    self_->websocket_paths[{host, port}] = std::move(path);
}

void Transports::set_tap(Tap tap) {
    self_->tap = std::move(tap);
}

void Transports::keep_alive(const Flow &flow, Duration interval, bool stun) {
    if (interval > Duration(0) && !alive(flow)) return;
    self_->keep_alive.set(flow, interval, stun);
}

Result<Flow> Transports::open(const Hop &hop) {
    if (!hop.address.is_set() || hop.address.port() == 0)
        return fail(Errc::invalid_argument, "no address and port to send to");
    return is_stream(hop.kind) ? self_->open_stream(hop) : self_->open_udp(hop);
}

void Transports::abandon(const Flow &flow) {
    if (StreamConnection *connection = self_->find(flow.connection);
        connection != nullptr && is_stream(flow.kind))
        connection->finish({Errc::network, connection->where() + ": given up for a new connection"});
}

Result<> Transports::send(const Flow &flow, std::string_view bytes) {
    return self_->send(flow, bytes);
}

bool Transports::alive(const Flow &flow) const {
    if (!is_stream(flow.kind)) return true;
    const StreamConnection *connection = self_->find(flow.connection);
    return connection != nullptr && connection->usable();
}

Address Transports::contact_address(const Flow &flow) const {
    if (!is_stream(flow.kind)) return flow.local;
    const StreamListener *best = self_->listener_for(flow);
    if (best == nullptr) return flow.local;
    return best->address().is_any() ? flow.local.with_port(best->address().port()) : best->address();
}

std::string Transports::sent_by(const Flow &flow) const {
    if (is_websocket(flow.kind) && self_->listener_for(flow) == nullptr) return self_->invalid_host;
    return contact_address(flow).to_string();
}

bool Transports::leads_to_host(const Flow &flow, std::string_view host) const {
    return is_stream(flow.kind) && self_->connected_to(flow.connection, host);
}

std::vector<Address> Transports::local_addresses(TransportKind kind) const {
    std::vector<Address> addresses;
    if (kind == TransportKind::udp)
        for (const auto &socket : self_->sockets)
            addresses.push_back(socket->address());
    for (const auto &listener : self_->listeners)
        if (listener->kind() == kind) addresses.push_back(listener->address());
    return addresses;
}

std::vector<Address> Transports::sctp_udp_addresses() const {
    return self_->sctp.udp_addresses();
}

bool Transports::is_local(std::string_view host, std::uint16_t port) const {
    const auto address = Address::parse(host, port);
    if (!address) return iequals(host, self_->invalid_host);
    const auto ours = [&](const Address &bound, TransportKind kind) {
        if (bound.family() != address->family()) return false;
        if (bound.port() != (port != 0 ? port : default_port(kind))) return false;
        return bound.is_any() ? is_of_this_host(*address) : bound.same_ip(*address);
    };
    return std::ranges::any_of(self_->sockets,
                               [&](const auto &s) { return ours(s->address(), TransportKind::udp); }) ||
           std::ranges::any_of(self_->listeners,
                               [&](const auto &l) { return ours(l->address(), l->kind()); }) ||
           std::ranges::any_of(self_->connections, [&](const auto &entry) {
               return ours(entry.second->flow().local, entry.second->flow().kind);
           });
}

} // namespace offhook::sip
