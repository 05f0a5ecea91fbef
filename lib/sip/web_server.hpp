// Who may open a WebSocket on our ws and wss listeners, and what other HTTP requests get there.
#pragma once

#include <optional>

#include "sip/http_head.hpp"
#include "sip/port_guest.hpp"
#include "sip/transport.hpp"

namespace offhook::sip {

class WebServer {
public:
    enum class Limit : std::uint8_t { connections, per_address, half_open };

    WebServer() = default;
    virtual ~WebServer() = default;
    WebServer(const WebServer &) = delete;
    WebServer &operator=(const WebServer &) = delete;

    // Whose request it is that came over `flow`: flow.remote, unless that is a reverse proxy which names
    // somebody else. Limits, messages and what is logged go by it from then on. Errors: with the HTTP status
    // to refuse it with.
    virtual Result<Address> client(const HttpHead &request, const Flow &flow);
    // Is this a reverse proxy with many behind it? The limits of one address are for whom client() names
    // then.
    [[nodiscard]] virtual bool is_proxy(const Address &) const { return false; }
    // Whose connection was not taken, or was ended for a newer one while it was silent: of all listeners.
    virtual void limit_reached(Limit, const Address &) {}
    // An upgrade that is right by RFC 6455 and RFC 7118: a refusal, or nothing to let it in. By default pages
    // of this very host and clients that are no browsers may. flow.connection is that of all its messages,
    // flow.remote the client.
    virtual std::optional<HttpResponse> refuse_upgrade(const HttpHead &request, const Flow &flow);
    // A request for anything else; the connection ends with the answer. By default 426.
    virtual HttpResponse answer(const HttpHead &request, const Flow &flow);

    // Whose the connections are that begin with neither TLS nor HTTP; outlives this. Null: nobody's.
    [[nodiscard]] PortGuest *guest() const noexcept { return guest_; }
    void set_guest(PortGuest *guest) noexcept { guest_ = guest; }

private:
    PortGuest *guest_ = nullptr;
};

} // namespace offhook::sip
