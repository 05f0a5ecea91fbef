// One UDP socket on the loop. An own socket rather than libre's, because the kernel's error queue tells which
// remote address refused, and IP_PKTINFO which local address a datagram came to.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/address.hpp"
#include "base/fd.hpp"
#include "base/loop.hpp"
#include "base/result.hpp"

namespace offhook::sip {

class UdpSocket {
public:
    struct Listener {
        // `local` is the address the datagram was sent to, also when the socket is bound to any address.
        virtual void on_datagram(UdpSocket &socket, std::string_view bytes, const Address &local,
                                 const Address &remote) = 0;
        // An ICMP error for something sent to `remote` (RFC 3261 §18.4); `err` is an errno value.
        virtual void on_unreachable(UdpSocket &socket, const Address &remote, int err) = 0;

    protected:
        ~Listener() = default;
    };

    // Errors: Errc::network.
    static Result<std::unique_ptr<UdpSocket>> open(Loop &loop, const Address &bind, Listener &listener);
    ~UdpSocket() = default;
    UdpSocket(const UdpSocket &) = delete;
    UdpSocket &operator=(const UdpSocket &) = delete;

    // As bound, with the port that was chosen.
    [[nodiscard]] const Address &address() const { return address_; }
    // The source address of what is sent to `remote`. Errors: Errc::network, no route.
    [[nodiscard]] Result<Address> source_towards(const Address &remote) const;
    // `local` picks the source address of a socket bound to any; no listener is called meanwhile.
    Result<> send(const Address &local, const Address &remote, std::string_view bytes);

private:
    struct Refusal {
        Address remote;
        int err = 0;
    };

    UdpSocket(Loop &loop, Fd fd, const Address &address, Listener &listener);
    Result<> watch();
    void ready(int flags);
    bool receive_one();
    void drain_errors();
    bool take_error();
    void report_refusals();
    int send_once(const Address &local, const Address &remote, std::string_view bytes) const;

    Fd fd_;
    Address address_;
    Listener &listener_;
    std::vector<Refusal> refusals_;
    std::vector<char> buffer_;
    Timer report_;
    FdWatch watch_;
};

} // namespace offhook::sip
