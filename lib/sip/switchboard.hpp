// What is behind Transports: the sockets, listeners and connections, and who gets what from them.
#pragma once

#include <map>
#include <unordered_map>

#include "sip/accept_rate.hpp"
#include "sip/half_open.hpp"
#include "sip/keep_alive.hpp"
#include "sip/sctp.hpp"
#include "sip/stream_connection.hpp"
#include "sip/stream_listener.hpp"
#include "sip/tls_context.hpp"
#include "sip/transport.hpp"
#include "sip/udp_socket.hpp"
#include "sip/web_server.hpp"

namespace offhook::sip {

struct Transports::Self final : UdpSocket::Listener, StreamConnection::Listener {
    Self(Loop &loop_, Transports::Listener &listener_);
    ~Self();
    Self(const Self &) = delete;
    Self &operator=(const Self &) = delete;

    Result<Address> listen_udp(const Address &bind);
    Result<Address> listen_stream(TransportKind kind, const Address &bind);
    Result<Flow> open_udp(const Hop &hop);
    Result<Flow> open_stream(const Hop &hop);
    Result<> send(const Flow &flow, std::string_view bytes) const;
    Result<> set_tls(TlsOptions options);
    [[nodiscard]] StreamConnection *find(std::uint64_t connection) const;
    [[nodiscard]] UdpSocket *socket_of(const Address &local) const;
    [[nodiscard]] const StreamListener *listener_for(const Flow &flow) const;
    [[nodiscard]] bool connected_to(std::uint64_t connection, std::string_view host) const;

    Loop &loop;
    Transports::Listener &listener;
    Tap tap;
    TlsContext tls;
    Sctp sctp;
    std::vector<std::unique_ptr<UdpSocket>> sockets;
    std::vector<std::unique_ptr<StreamListener>> listeners;
    std::unordered_map<std::uint64_t, std::shared_ptr<StreamConnection>> connections;
    KeepAlive keep_alive;
    Limits limits;
    WebServer default_web_server;
    WebServer *web_server = &default_web_server;
    std::map<std::pair<std::string, std::uint16_t>, std::string> websocket_paths;
    const std::string invalid_host; // of our WebSocket connections

private:
    void on_datagram(UdpSocket &socket, std::string_view bytes, const Address &local,
                     const Address &remote) override;
    void on_unreachable(UdpSocket &socket, const Address &remote, int err) override;
    void on_item(StreamConnection &connection, Framing::Item item) override;
    void on_client(StreamConnection &connection, const Address &proxy) override;
    void on_closed(StreamConnection &connection, const Error &error) override;

    void accepted(StreamListener &from, std::unique_ptr<StreamSocket> socket, const Address &remote,
                  std::string_view first);
    bool make_room(const Address &remote);
    bool make_room_there(const Address &remote);
    bool end_silent(std::optional<std::uint64_t> oldest);
    [[nodiscard]] Result<std::unique_ptr<StreamSocket>> socket_to(const Hop &hop);
    [[nodiscard]] std::unique_ptr<Framing> client_framing(const Hop &hop) const;
    void ping(const Flow &flow, std::string_view bytes) const;
    [[nodiscard]] UdpSocket *socket_towards(const Address &remote) const;
    Result<Flow> remember(std::shared_ptr<StreamConnection> connection, const Hop &hop);
    void received(std::string bytes, const Flow &flow);
    void refuse(const Message &request, const Flow &flow, unsigned status, const std::string &reason) const;
    void keep_alive_failed(const Flow &flow) const;

    std::unordered_map<std::string, std::uint64_t> reusable_; // "tls 192.0.2.1:5061 pbx.example.com"
    std::unordered_map<std::uint64_t, Hop> hops_;             // what our own connections were made for
    HalfOpen half_open_;
    AcceptRate accept_rate_;
    std::uint64_t next_connection_ = 1;
};

} // namespace offhook::sip
