// Who may open a WebSocket on our ws and wss listeners, and what other HTTP requests get there.
#pragma once

#include <optional>

#include "sip/http_head.hpp"
#include "sip/port_guest.hpp"
#include "sip/transport.hpp"

namespace offhook::sip {

class WebServer {
public:
    WebServer() = default;
    virtual ~WebServer() = default;
    WebServer(const WebServer &) = delete;
    WebServer &operator=(const WebServer &) = delete;

    // An upgrade that is right by RFC 6455 and RFC 7118: a refusal, or nothing to let it in. By default pages
    // of this very host and clients that are no browsers may. flow.connection is that of all its messages.
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
