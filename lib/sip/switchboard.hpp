// What is behind Transports: the sockets, listeners and connections, and who gets what from them.
#pragma once

#include <unordered_map>

#include "sip/keep_alive.hpp"
#include "sip/stream_connection.hpp"
#include "sip/stream_listener.hpp"
#include "sip/tls_context.hpp"
#include "sip/transport.hpp"
#include "sip/udp_socket.hpp"

namespace offhook::sip {

struct Transports::Self final : UdpSocket::Listener, StreamConnection::Listener {
    static constexpr std::size_t connections_at_most = 1024;
    static constexpr std::size_t half_open_per_address = 10;

    Self(Loop &loop_, Transports::Listener &listener_);
    ~Self();
    Self(const Self &) = delete;
    Self &operator=(const Self &) = delete;

    Result<Address> listen_udp(const Address &bind);
    Result<Address> listen_stream(TransportKind kind, const Address &bind);
    Result<Flow> open_udp(const Hop &hop);
    Result<Flow> open_stream(const Hop &hop);
    Result<> send(const Flow &flow, std::string_view bytes) const;
    void set_tls(TlsOptions options);
    [[nodiscard]] StreamConnection *find(std::uint64_t connection) const;
    [[nodiscard]] UdpSocket *socket_of(const Address &local) const;

    Loop &loop;
    Transports::Listener &listener;
    Tap tap;
    TlsContext tls;
    std::vector<std::unique_ptr<UdpSocket>> sockets;
    std::vector<std::unique_ptr<StreamListener>> listeners;
    std::unordered_map<std::uint64_t, std::shared_ptr<StreamConnection>> connections;
    KeepAlive keep_alive;

private:
    void on_datagram(UdpSocket &socket, std::string_view bytes, const Address &local,
                     const Address &remote) override;
    void on_unreachable(UdpSocket &socket, const Address &remote, int err) override;
    void on_item(StreamConnection &connection, StreamFramer::Item item) override;
    void on_closed(StreamConnection &connection, const Error &error) override;

    void accepted(StreamListener &from, Fd fd, const Address &remote);
    [[nodiscard]] std::size_t half_open(const Address &remote) const;
    [[nodiscard]] UdpSocket *socket_towards(const Address &remote) const;
    Result<Flow> remember(std::shared_ptr<StreamConnection> connection, const std::string &key);
    void received(std::string bytes, const Flow &flow);
    void refuse(const Message &request, const Flow &flow, unsigned status, const std::string &reason);
    void keep_alive_failed(const Flow &flow) const;

    std::unordered_map<std::string, std::uint64_t> reusable_; // "tls 192.0.2.1:5061 pbx.example.com"
    std::unordered_map<std::uint64_t, std::string> keys_;     // the other way round
    std::uint64_t next_connection_ = 1;
};

} // namespace offhook::sip
