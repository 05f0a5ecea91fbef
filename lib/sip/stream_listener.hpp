// A listening TCP socket, or for DTLS a UDP socket that gives each new peer a connected one. Running out of
// descriptors pauses it instead of spinning.
#pragma once

#include <functional>
#include <memory>

#include "base/address.hpp"
#include "base/fd.hpp"
#include "base/loop.hpp"
#include "sip/transport.hpp"

namespace offhook::sip {

class StreamListener {
public:
    // `first`: the datagram that DTLS peers begin with, already read; else empty.
    using Accepted =
        std::function<void(StreamListener &listener, Fd fd, const Address &remote, std::string_view first)>;

    // Errors: Errc::network.
    static Result<std::unique_ptr<StreamListener>> open(Loop &loop, TransportKind kind, const Address &bind,
                                                        Accepted accepted);
    ~StreamListener() = default;
    StreamListener(const StreamListener &) = delete;
    StreamListener &operator=(const StreamListener &) = delete;

    [[nodiscard]] TransportKind kind() const { return kind_; }
    [[nodiscard]] const Address &address() const { return address_; }

private:
    StreamListener(Loop &loop, TransportKind kind, Fd fd, const Address &address, Accepted accepted);
    Result<> watch();
    void accept_some();
    bool accept_one();
    bool accept_peer();
    [[nodiscard]] Fd connected_socket(const Address &remote) const;
    bool out_of_descriptors_now(int err);

    TransportKind kind_;
    Fd fd_;
    Address address_;
    Accepted accepted_;
    Timer pause_;
    FdWatch watch_;
};

} // namespace offhook::sip
