// Associations and listeners of usrsctp, in the shape that StreamConnection and Transports know.
#pragma once

#ifdef HAVE_USRSCTP

#include <memory>

#include "sip/sctp_messages.hpp"
#include "sip/sctp_tunnel.hpp"
#include "sip/stream_listener.hpp"
#include "sip/stream_socket.hpp"

namespace offhook::sip {

// One association. usrsctp tells us from inside its own functions that something has happened; what is to be
// done about it is done from the loop.
class UserSctpSocket final : public StreamSocket, SctpTunnel::User {
public:
    // To connect from `local` (its port is chosen); errors: Errc::network.
    static Result<std::unique_ptr<StreamSocket>> open(Loop &loop, const Usrsctp &library,
                                                      std::shared_ptr<SctpTunnel> tunnel, SctpPeer peer,
                                                      const Address &local);
    UserSctpSocket(Loop &loop, const Usrsctp &library, std::shared_ptr<SctpTunnel> tunnel, SctpPeer peer,
                   struct socket *socket, const Address &local);
    ~UserSctpSocket() override { shut(); }
    UserSctpSocket(const UserSctpSocket &) = delete;
    UserSctpSocket &operator=(const UserSctpSocket &) = delete;

    int connect(const Address &remote) override;
    int connected() override;
    [[nodiscard]] Address local() const override { return local_; }
    ssize_t receive(std::span<char> into) override;
    ssize_t send(std::string_view bytes) override;
    void shut_down() override;
    Result<> watch(bool writing, Ready ready) override;
    void close() override { shut(); }

private:
    void on_unreachable(int err) override;
    void shut();
    void happened(); // look at the events soon
    void look();

    const Usrsctp &library_;
    std::shared_ptr<SctpTunnel> tunnel_;
    SctpPeer peer_;
    struct socket *socket_;
    Address local_;
    SctpReceived received_;
    std::shared_ptr<Ready> ready_;
    int error_ = 0; // an ICMP error
    Timer news_;
};

// Takes up the associations that peers behind one tunnel begin. Listeners of other tunnels on the same SCTP
// port share usrsctp's socket.
class UserSctpListener final : public StreamListener {
public:
    // Errors: Errc::network.
    static Result<std::unique_ptr<StreamListener>> open(Loop &loop, const Usrsctp &library,
                                                        std::shared_ptr<SctpTunnel> tunnel,
                                                        const Address &bind, Accepted accepted);
    ~UserSctpListener() override { tunnel_->set_arrived({}); }
    UserSctpListener(const UserSctpListener &) = delete;
    UserSctpListener &operator=(const UserSctpListener &) = delete;

private:
    class Port;

    UserSctpListener(Loop &loop, const Usrsctp &library, std::shared_ptr<SctpTunnel> tunnel,
                     std::shared_ptr<Port> port, const Address &address, Accepted accepted);
    void accept_all();

    Loop &loop_;
    const Usrsctp &library_;
    std::shared_ptr<SctpTunnel> tunnel_;
    std::shared_ptr<Port> port_;
    Accepted accepted_;
};

} // namespace offhook::sip

#endif
