// What gives Transports new connections: a listening TCP or SCTP socket, or for DTLS a UDP socket that gives
// each new peer a connected one.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "base/address.hpp"
#include "base/loop.hpp"
#include "sip/stream_socket.hpp"
#include "sip/transport.hpp"

namespace offhook::sip {

class StreamListener {
public:
    // `first`: the datagram that DTLS peers begin with, already read; else empty.
    using Accepted = std::function<void(StreamListener &listener, std::unique_ptr<StreamSocket> socket,
                                        const Address &remote, std::string_view first)>;

    // On a socket of the kernel. Errors: Errc::network.
    static Result<std::unique_ptr<StreamListener>> open(Loop &loop, TransportKind kind, const Address &bind,
                                                        Accepted accepted);
    virtual ~StreamListener() = default;
    StreamListener(const StreamListener &) = delete;
    StreamListener &operator=(const StreamListener &) = delete;

    // Takes nothing for so long; whoever comes waits in the kernel.
    virtual void pause(Duration) {}
    [[nodiscard]] TransportKind kind() const { return kind_; }
    [[nodiscard]] const Address &address() const { return address_; }

protected:
    StreamListener(TransportKind kind, const Address &address) : kind_(kind), address_(address) {}

private:
    TransportKind kind_;
    Address address_;
};

} // namespace offhook::sip
