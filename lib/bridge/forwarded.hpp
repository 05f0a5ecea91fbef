// Who stands behind a reverse proxy: X-Forwarded-For, and Forwarded (RFC 7239). Pure.
#pragma once

#include <optional>
#include <span>

#include "base/network.hpp"
#include "sip/http_head.hpp"

namespace offhook::bridge {

// The last address of the header that is none of `trusted`: what a trusted proxy has seen itself. The first
// one where all are; nothing where there is no such header. The port is that of the header, or 0. Only for
// requests that come from a trusted proxy. Errors: Errc::parse with status 400, in words: what is there is no
// list of addresses, or both headers are there and name different clients (proxies pass on the one that they
// do not write, so that may be the client's own word).
Result<std::optional<Address>> forwarded_client(const sip::HttpHead &request,
                                                std::span<const Network> trusted);

} // namespace offhook::bridge
