#include "sip/web_server.hpp"

#include "sip/websocket_handshake.hpp"

namespace offhook::sip {

Result<Address> WebServer::client(const HttpHead &, const Flow &flow) {
    return flow.remote;
}

std::optional<HttpResponse> WebServer::refuse_upgrade(const HttpHead &request, const Flow &flow) {
    if (is_own_origin(request, is_secure(flow.kind))) return std::nullopt;
    return HttpResponse::text(403, "This page may not connect here (Origin).");
}

HttpResponse WebServer::answer(const HttpHead &, const Flow &) {
    auto response = HttpResponse::text(426, "SIP over WebSocket is spoken here.");
    response.headers = {{"Upgrade", "websocket"}, {"Sec-WebSocket-Version", "13"}};
    return response;
}

} // namespace offhook::sip
