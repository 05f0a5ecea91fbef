// What a StreamConnection reads from and writes to: a socket of the kernel, or an SCTP association that lives
// in this process. Owned by its connection.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include <sys/types.h>

#include "base/address.hpp"
#include "base/fd.hpp"
#include "base/loop.hpp"
#include "base/result.hpp"
#include "sip/transport.hpp"

namespace offhook::sip {

class StreamSocket {
public:
    using Ready = std::function<void(int flags)>; // FdWatch::Flags

    StreamSocket() = default;
    virtual ~StreamSocket() = default;
    StreamSocket(const StreamSocket &) = delete;
    StreamSocket &operator=(const StreamSocket &) = delete;

    // A socket of the kernel to connect with. Errors: Errc::network.
    static Result<std::unique_ptr<StreamSocket>> open(TransportKind kind, int family);
    static std::unique_ptr<StreamSocket> adopt(TransportKind kind, Fd fd); // one that accept() gave

    // 0 or an errno value; EINPROGRESS: `ready` tells when to ask connected().
    virtual int connect(const Address &remote) = 0;
    virtual int connected() = 0; // 0, EINPROGRESS, or what the attempt failed with
    [[nodiscard]] virtual Address local() const = 0;
    // As recv(2) and send(2), never blocking: -1 and errno. Of SCTP whole messages, see sctp_messages.hpp.
    virtual ssize_t receive(std::span<char> into) = 0;
    virtual ssize_t send(std::string_view bytes) = 0;
    virtual void shut_down() = 0; // nothing more will be sent
    // `ready` whenever there is something to read, and with `writing` when there is room to write. May
    // destroy the socket.
    virtual Result<> watch(bool writing, Ready ready) = 0;
    virtual void close() = 0; // no `ready` after this
    // The socket for somebody else, no `ready` after this; nothing where it is not the kernel's.
    virtual Fd release() { return {}; }
};

// What SOCK_STREAM or the like to ask the kernel for.
struct SocketType {
    int type, protocol;
};
SocketType socket_type(TransportKind kind) noexcept;

} // namespace offhook::sip
