// SIP over SCTP (RFC 4168), experimental. Where the kernel has SCTP its one-to-one sockets are used;
// elsewhere Debian's usrsctp in this process, whose packets travel in UDP (RFC 6951).
#pragma once

#include <memory>
#include <vector>

#include "sip/stream_listener.hpp"
#include "sip/stream_socket.hpp"
#include "sip/transport.hpp"

namespace offhook::sip {

bool kernel_has_sctp() noexcept;
bool has_usrsctp() noexcept; // built in and installed; loads it
std::unique_ptr<StreamSocket> kernel_sctp_socket(Fd fd);

class SctpTunnel;

// The associations and listeners of one Transports.
class Sctp {
public:
    explicit Sctp(Loop &loop);
    ~Sctp();
    Sctp(const Sctp &) = delete;
    Sctp &operator=(const Sctp &) = delete;

    void set_options(const SctpOptions &options) { options_ = options; }
    [[nodiscard]] const std::vector<Address> &udp_addresses() const { return udp_addresses_; } // of listeners

    // Errors: Errc::network, also when there is neither the kernel's SCTP nor usrsctp.
    Result<std::unique_ptr<StreamListener>> listen(const Address &bind, StreamListener::Accepted accepted);
    Result<std::unique_ptr<StreamSocket>> socket(const Address &remote); // to connect to `remote`

private:
    [[nodiscard]] bool in_kernel() const { return !options_.udp_port && kernel_has_sctp(); }
    [[nodiscard]] Result<std::shared_ptr<SctpTunnel>> tunnel_towards(const Address &remote);

    Loop &loop_;
    SctpOptions options_;
    std::vector<std::shared_ptr<SctpTunnel>> tunnels_;
    std::vector<Address> udp_addresses_;
};

} // namespace offhook::sip
