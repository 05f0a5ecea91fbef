// One UDP socket that carries SCTP packets (RFC 6951) and the peers behind it. Keeps usrsctp's time while
// there is somebody to talk to.
#pragma once

#ifdef HAVE_USRSCTP

#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "sip/udp_socket.hpp"
#include "sip/usrsctp.hpp"

namespace offhook::sip {

class SctpTunnel final : UdpSocket::Listener {
public:
    // A user of one peer's packets: learns that nobody is there.
    struct User {
        virtual void on_unreachable(int err) = 0; // an errno value

    protected:
        ~User() = default;
    };
    using Arrived = std::function<void()>; // a packet was taken in: there may be new associations

    // Errors: Errc::network.
    static Result<std::shared_ptr<SctpTunnel>> open(Loop &loop, const Usrsctp &library, const Address &bind);
    ~SctpTunnel();
    SctpTunnel(const SctpTunnel &) = delete;
    SctpTunnel &operator=(const SctpTunnel &) = delete;

    [[nodiscard]] const Address &address() const { return socket_->address(); } // of the UDP socket
    [[nodiscard]] Result<Address> source_towards(const Address &remote) const {
        return socket_->source_towards(remote);
    }
    // The peer at that UDP address, known or new.
    SctpPeer peer_at(const Address &remote);
    [[nodiscard]] const Address *address_of(SctpPeer peer) const; // null: not behind this tunnel
    void add_user(SctpPeer peer, User &user);
    void remove_user(SctpPeer peer, const User &user);
    void set_arrived(Arrived arrived) { arrived_ = std::move(arrived); }
    // Where SCTP address `remote` was heard from: its UDP port may be any.
    void learn(const Address &remote, const Address &udp);
    [[nodiscard]] const Address *learned(const Address &remote) const;

private:
    struct Peer {
        Address remote;
        TimePoint heard{};
        std::vector<User *> users;
    };

    SctpTunnel(Loop &loop, const Usrsctp &library) : loop_(loop), library_(library), tick_(loop) {}
    void on_datagram(UdpSocket &socket, std::string_view bytes, const Address &local,
                     const Address &remote) override;
    void on_unreachable(UdpSocket &socket, const Address &remote, int err) override;
    void send(const Address &remote, const void *packet, std::size_t size);
    void forget_oldest_stranger();
    void keep_time();
    [[nodiscard]] bool in_use() const;

    Loop &loop_;
    const Usrsctp &library_;
    std::unique_ptr<UdpSocket> socket_;
    std::unordered_map<Address, SctpPeer> by_address_;
    std::unordered_map<SctpPeer, Peer> peers_;
    std::unordered_map<Address, Address> learned_;
    Arrived arrived_;
    TimePoint quiet_at_{};
    Timer tick_;
};

} // namespace offhook::sip

#endif
