// Another protocol on the port of ws and wss listeners, told from TLS and HTTP by what its connections begin
// with.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/address.hpp"
#include "base/fd.hpp"

namespace offhook::sip {

class PortGuest {
public:
    enum class Verdict : std::uint8_t { more, take, refuse };

    PortGuest() = default;
    virtual ~PortGuest() = default;
    PortGuest(const PortGuest &) = delete;
    PortGuest &operator=(const PortGuest &) = delete;

    // Neither 22, with which TLS begins, nor a letter, with which HTTP does.
    [[nodiscard]] virtual bool begins_with(std::uint8_t first) const = 0;
    // `bytes`: all that has come. Until the verdict is there the connection has the limits of one that is in
    // its handshake; refused ones are closed.
    [[nodiscard]] virtual Verdict judge(std::string_view bytes) = 0;
    virtual void refused(const Address &) {} // after Verdict::refuse
    // After Verdict::take, with the same bytes. The socket does not block and is nobody else's.
    virtual void take(Fd socket, const Address &remote, std::string_view bytes) = 0;
};

} // namespace offhook::sip
