// Where an account sends everything first: a SIP proxy, or the URL of a WebSocket server.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "sip/uri.hpp"

namespace offhook {

struct OutboundProxy {
    sip::Uri uri;         // with lr; of a URL sip:HOST:PORT;transport=ws or wss
    bool as_route = true; // named in Route headers. A URL only says where to connect, as browsers' phones do
    std::string path;     // of a URL: "/ws"
};

// "sip:pbx.example.com;transport=tls", "sips:…", "wss://pbx.example.com:8089/ws". Errors: invalid_argument,
// with what was expected.
Result<OutboundProxy> parse_outbound_proxy(std::string_view text);

} // namespace offhook
