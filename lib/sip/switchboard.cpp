#include "sip/switchboard.hpp"

#include <algorithm>
#include <functional>

#include "base/random.hpp"
#include "sip/digest.hpp"
#include "sip/draft.hpp"
#include "sip/grammar.hpp"
#include "sip/headers.hpp"
#include "sip/response_route.hpp"
#include "sip/screen.hpp"
#include "sip/sctp_messages.hpp"
#include "sip/stun_ping.hpp"
#include "sip/websocket_framing.hpp"

namespace offhook::sip {

namespace {

constexpr std::string_view line_ends = "\r\n";
constexpr std::size_t half_open_share = 8; // at most an eighth of all connections
constexpr Duration upgrade{5'000};

// Only a connection whose certificate was checked for that very name may be used for it (CVE-2020-15260).
std::string reuse_key(const Hop &hop) {
    std::string key = std::string(uri_token(hop.kind)) + " " + hop.address.to_string();
    return is_secure(hop.kind) ? key + " " + hop.host : key;
}

// A stateless answer has the same To tag for each retransmission of the request (RFC 3261 §8.2.7).
std::string stateless_tag(const Message &request) {
    static const std::string salt = std::to_string(random_u64());
    std::string text = salt;
    text.append(request.value(HeaderId::via)).append(request.call_id()).append(request.value(HeaderId::cseq));
    return std::to_string(std::hash<std::string>{}(text));
}

// Content-Length alone says where a message ends; WebSocket, DTLS and SCTP messages have bounds of their own.
bool is_byte_stream(TransportKind kind) {
    return kind == TransportKind::tcp || kind == TransportKind::tls;
}

bool only_line_ends(std::string_view bytes) {
    return bytes.find_first_not_of(line_ends) == std::string_view::npos;
}

} // namespace

Transports::Self::Self(Loop &loop_, Transports::Listener &listener_)
    : loop(loop_), listener(listener_), sctp(loop_),
      keep_alive(
          loop_, [this](const Flow &flow, std::string_view bytes) { ping(flow, bytes); },
          [this](const Flow &flow) { keep_alive_failed(flow); }),
      invalid_host(random_token(8) + ".invalid") {}

Transports::Self::~Self() = default;

// Read at once where it is needed: what is checked now may be half-written when the next connection comes.
Result<> Transports::Self::set_tls(TlsOptions options) {
    TlsContext fresh(std::move(options));
    for (const auto &open : listeners)
        if (is_secure(open->kind()))
            if (auto ready = fresh.prepare_server(open->kind()); !ready) return ready;
    tls = std::move(fresh);
    // Connections made under other rules live on for their dialogs, but are not offered for anything new.
    std::erase_if(reusable_, [](const auto &entry) {
        return entry.first.starts_with("tls ") || entry.first.starts_with("wss ") ||
               entry.first.starts_with("dtls ");
    });
    return {};
}

Result<Address> Transports::Self::listen_udp(const Address &bind) {
    auto socket = UdpSocket::open(loop, bind, *this);
    if (!socket) return fail(socket.error());
    sockets.push_back(std::move(*socket));
    return sockets.back()->address();
}

Result<Address> Transports::Self::listen_stream(TransportKind kind, const Address &bind) {
    if (is_secure(kind))
        if (auto ready = tls.prepare_server(kind); !ready) return fail(ready.error());
    StreamListener::Accepted take = [this](StreamListener &from, std::unique_ptr<StreamSocket> socket,
                                           const Address &remote, std::string_view first) {
        accepted(from, std::move(socket), remote, first);
    };
    auto opened = kind == TransportKind::sctp ? sctp.listen(bind, std::move(take))
                                              : StreamListener::open(loop, kind, bind, std::move(take));
    if (!opened) return fail(opened.error());
    listeners.push_back(std::move(*opened));
    return listeners.back()->address();
}

// False when there is none for one more from there.
bool Transports::Self::make_room(const Address &remote) {
    if (connections.size() >= limits.connections) {
        web_server->limit_reached(WebServer::Limit::connections, remote);
        return false;
    }
    // Who is behind a proxy is known later only.
    if (!web_server->is_proxy(remote) && !make_room_there(remote)) return false;
    return half_open_.half_open() < limits.connections / half_open_share || end_silent(half_open_.oldest());
}

bool Transports::Self::make_room_there(const Address &remote) {
    if (half_open_.all(remote) >= limits.per_address) {
        web_server->limit_reached(WebServer::Limit::per_address, remote);
        return false;
    }
    return half_open_.half_open(remote) < limits.half_open_per_address ||
           end_silent(half_open_.oldest(remote));
}

// However young: whoever means it says something long before as many others have come.
bool Transports::Self::end_silent(std::optional<std::uint64_t> oldest) {
    StreamConnection *connection = oldest ? find(*oldest) : nullptr;
    if (connection == nullptr) return false;
    web_server->limit_reached(WebServer::Limit::half_open, connection->flow().remote);
    connection->abort({Errc::network, connection->where() + ": made way for another connection"});
    return true;
}

void Transports::Self::accepted(StreamListener &from, std::unique_ptr<StreamSocket> socket,
                                const Address &remote, std::string_view first) {
    if (const Duration wait = accept_rate_.taken(loop.now()); wait > Duration(0)) from.pause(wait);
    if (!make_room(remote)) return;
    StreamConnection::Peer peer{next_connection_++, from.kind(), remote, std::move(socket), nullptr, nullptr};
    if (from.kind() == TransportKind::sctp) peer.framing = std::make_unique<SctpFraming>();
    if (is_secure(from.kind())) {
        auto session = tls.server(from.kind());
        if (!session) return;
        peer.tls = std::move(*session);
    }
    StreamConnection::Limits of_connection;
    if (is_websocket(from.kind())) {
        peer.guest = web_server->guest();
        peer.framing = std::make_unique<WebSocketServerFraming>(
            *web_server, Flow{from.kind(), from.address(), remote, peer.id});
        of_connection.handshake = upgrade;
        of_connection.ping = limits.websocket_ping;
    }
    const auto id = peer.id;
    auto connection = StreamConnection::accept(loop, *this, std::move(peer), of_connection);
    if (!connection) return;
    half_open_.accepted(remote, id);
    connections.emplace(id, *connection);
    (*connection)->begin_with(first);
}

UdpSocket *Transports::Self::socket_of(const Address &local) const {
    UdpSocket *any = nullptr;
    for (const auto &socket : sockets) {
        if (socket->address() == local) return socket.get();
        const Address &bound = socket->address();
        if (bound.is_any() && bound.family() == local.family() && bound.port() == local.port())
            any = socket.get();
    }
    return any;
}

// The socket bound to the address the kernel would use, else one bound to any, else one that can get there at
// all (what is bound to loopback cannot leave it).
UdpSocket *Transports::Self::socket_towards(const Address &remote) const {
    const auto usable = [&](const auto &socket) {
        const Address &bound = socket->address();
        return bound.family() == remote.family() && (!bound.is_loopback() || remote.is_loopback());
    };
    const auto only = std::ranges::find_if(sockets, usable);
    if (only == sockets.end()) return nullptr;
    if (std::none_of(std::next(only), sockets.end(), usable)) return only->get(); // nothing to ask the kernel
    const auto source = local_address_towards(remote);
    UdpSocket *best = nullptr;
    int best_rank = 0;
    for (const auto &socket : sockets) {
        if (!usable(socket)) continue;
        const Address &bound = socket->address();
        int rank = 1;
        if (bound.is_any()) rank = 2;
        if (source && source->same_ip(bound)) rank = 3;
        if (rank <= best_rank) continue;
        best_rank = rank;
        best = socket.get();
    }
    return best;
}

Result<Flow> Transports::Self::open_udp(const Hop &hop) {
    UdpSocket *socket = socket_towards(hop.address);
    if (socket == nullptr)
        return fail(Errc::network,
                    "udp:" + hop.address.to_string() + ": no UDP socket of ours reaches this address");
    auto local = socket->source_towards(hop.address);
    if (!local) return fail(local.error());
    return Flow{TransportKind::udp, *local, hop.address, 0};
}

Result<Flow> Transports::Self::open_stream(const Hop &hop) {
    Hop named = hop;
    if (named.host.empty()) named.host = hop.address.ip();
    const std::string key = reuse_key(named);
    if (const auto known = reusable_.find(key); known != reusable_.end())
        if (const StreamConnection *connection = find(known->second);
            connection != nullptr && connection->usable())
            return connection->flow();
    if (connections.size() >= limits.connections) return fail(Errc::network, "too many connections");
    auto socket = socket_to(hop);
    if (!socket) return fail(socket.error());
    StreamConnection::Peer peer{next_connection_++, hop.kind, hop.address,
                                std::move(*socket), nullptr,  client_framing(named)};
    if (is_secure(hop.kind)) {
        auto session = tls.client(hop.kind, named.host);
        if (!session) return fail(session.error());
        peer.tls = std::move(*session);
    }
    auto connection = StreamConnection::connect(loop, *this, std::move(peer), {});
    if (!connection) return fail(connection.error());
    return remember(std::move(*connection), named);
}

Result<std::unique_ptr<StreamSocket>> Transports::Self::socket_to(const Hop &hop) {
    return hop.kind == TransportKind::sctp ? sctp.socket(hop.address)
                                           : StreamSocket::open(hop.kind, hop.address.family());
}

std::unique_ptr<Framing> Transports::Self::client_framing(const Hop &hop) const {
    if (hop.kind == TransportKind::sctp) return std::make_unique<SctpFraming>();
    if (!is_websocket(hop.kind)) return nullptr;
    const std::uint16_t port = hop.address.port();
    const bool usual = port == default_port(hop.kind);
    auto path = websocket_paths.find({hop.host, port});
    if (path == websocket_paths.end() && usual) path = websocket_paths.find({hop.host, 0});
    return std::make_unique<WebSocketClientFraming>(grammar::bracketed(hop.host) +
                                                        (usual ? "" : ":" + std::to_string(port)),
                                                    path == websocket_paths.end() ? "/" : path->second);
}

const StreamListener *Transports::Self::listener_for(const Flow &flow) const {
    const StreamListener *best = nullptr;
    for (const auto &candidate : listeners) {
        const Address &bound = candidate->address();
        if (candidate->kind() != flow.kind || bound.family() != flow.local.family()) continue;
        if (bound.same_ip(flow.local)) return candidate.get();
        if (best == nullptr || bound.is_any()) best = candidate.get();
    }
    return best;
}

bool Transports::Self::connected_to(std::uint64_t connection, std::string_view host) const {
    const auto hop = hops_.find(connection);
    return hop != hops_.end() && iequals(hop->second.host, host);
}

void Transports::Self::ping(const Flow &flow, std::string_view bytes) const {
    if (StreamConnection *connection = find(flow.connection); connection != nullptr && is_stream(flow.kind))
        (void)connection->ping();
    else
        (void)send(flow, bytes);
}

Result<Flow> Transports::Self::remember(std::shared_ptr<StreamConnection> connection, const Hop &hop) {
    const Flow flow = connection->flow();
    reusable_[reuse_key(hop)] = flow.connection;
    hops_[flow.connection] = hop;
    connections.emplace(flow.connection, std::move(connection));
    return flow;
}

StreamConnection *Transports::Self::find(std::uint64_t connection) const {
    const auto found = connections.find(connection);
    return found == connections.end() ? nullptr : found->second.get();
}

Result<> Transports::Self::send(const Flow &flow, std::string_view bytes) const {
    Result<> sent;
    if (is_stream(flow.kind)) {
        StreamConnection *connection = find(flow.connection);
        if (connection == nullptr)
            return fail(Errc::network, std::string(uri_token(flow.kind)) + ":" + flow.remote.to_string() +
                                           ": the connection is closed");
        sent = connection->send(bytes);
    } else {
        UdpSocket *socket = socket_of(flow.local);
        if (socket == nullptr)
            return fail(Errc::network, "udp:" + flow.local.to_string() + ": no such socket");
        sent = socket->send(flow.local, flow.remote, bytes);
    }
    if (sent && tap && !only_line_ends(bytes) && !is_stun(bytes)) tap(flow, true, bytes);
    return sent;
}

void Transports::Self::on_datagram(UdpSocket &socket, std::string_view bytes, const Address &local,
                                   const Address &remote) {
    if (only_line_ends(bytes)) return; // keep-alives, also the empty datagram
    if (is_stun(bytes)) return keep_alive.stun(local.is_set() ? local : socket.address(), remote, bytes);
    const Flow flow{TransportKind::udp, local.is_set() ? local : socket.address(), remote, 0};
    received(std::string(bytes), flow);
}

void Transports::Self::on_unreachable(UdpSocket &socket, const Address &remote, int err) {
    const Address local = socket.source_towards(remote).value_or(socket.address());
    listener.on_flow_failed({TransportKind::udp, local, remote, 0},
                            fail_errno(Errc::network, err, "udp:" + remote.to_string()).value());
}

void Transports::Self::on_item(StreamConnection &connection, Framing::Item item) {
    const Flow flow = connection.flow();
    if (connection.incoming()) half_open_.heard(flow.remote, flow.connection);
    switch (item.kind) {
    case Framing::Item::Kind::ping:
        (void)connection.send(line_ends);
        return;
    case Framing::Item::Kind::pong:
        keep_alive.pong(flow);
        return;
    case Framing::Item::Kind::message:
        received(std::move(item.bytes), flow);
        return;
    }
}

void Transports::Self::on_client(StreamConnection &connection, const Address &proxy) {
    const Flow flow = connection.flow();
    half_open_.closed(proxy, flow.connection);
    const bool room = make_room_there(flow.remote);
    half_open_.accepted(flow.remote, flow.connection);
    if (!room) connection.finish({Errc::network, connection.where() + ": too many connections from there"});
}

void Transports::Self::on_closed(StreamConnection &connection, const Error &error) {
    const Flow flow = connection.flow();
    // Strangers that never said anything are nobody's concern.
    const bool known = !connection.incoming() || connection.heard();
    keep_alive.forget(flow);
    if (connection.incoming()) half_open_.closed(flow.remote, flow.connection);
    if (const auto hop = hops_.find(flow.connection); hop != hops_.end()) {
        const auto reusable = reusable_.find(reuse_key(hop->second));
        if (reusable != reusable_.end() && reusable->second == flow.connection) reusable_.erase(reusable);
        hops_.erase(hop);
    }
    connections.erase(flow.connection);
    if (known) listener.on_flow_failed(flow, error);
}

void Transports::Self::keep_alive_failed(const Flow &flow) const {
    if (!is_stream(flow.kind))
        return listener.on_flow_failed(flow,
                                       {Errc::network, "udp:" + flow.remote.to_string() +
                                                           ": the keep-alive was not answered as before"});
    if (StreamConnection *connection = find(flow.connection))
        connection->abort({Errc::network, connection->where() + ": the keep-alive was not answered"});
}

void Transports::Self::received(std::string bytes, const Flow &flow) {
    if (tap) tap(flow, false, bytes);
    auto parsed = Message::parse(std::move(bytes));
    StreamConnection *connection = find(flow.connection);
    if (!parsed) {
        if (connection != nullptr && is_byte_stream(flow.kind)) // elsewhere the next message is not lost
            connection->finish({Errc::parse, connection->where() + ": " + parsed.error().what});
        return;
    }
    const Screening screening = screen(*parsed, is_byte_stream(flow.kind));
    Message message = std::move(*parsed);
    if (message.is_request() && (screening.verdict == Verdict::pass || screening.status != 0)) {
        auto stamped = stamp_source(message, flow.remote);
        if (!stamped) return; // no Via to answer along
        message = std::move(*stamped);
    }
    const Flow route = message.is_request() ? response_route(message, flow) : flow;
    if (screening.verdict == Verdict::pass) return listener.on_message(message, route);
    if (screening.status != 0) refuse(message, route, screening.status, screening.reason);
    if (screening.verdict == Verdict::close && connection != nullptr)
        connection->finish({Errc::parse, connection->where() + ": " + screening.reason});
}

void Transports::Self::refuse(const Message &request, const Flow &flow, unsigned status,
                              const std::string &reason) const {
    if (!request.is_request() || request.method() == Method::ack) return;
    (void)send(flow, Draft::response(request, status, reason, stateless_tag(request)).encode());
}

} // namespace offhook::sip
