// Which transaction a message belongs to, as a map key: RFC 3261 §17.1.3 and §17.2.3.
#pragma once

#include <string>
#include <string_view>

#include "sip/message.hpp"

namespace offhook::sip {

std::string client_key(std::string_view branch, std::string_view method);

// The key of the server transaction a request makes, or (ACK, CANCEL) of the INVITE it refers to. Branches
// without the magic cookie are matched as RFC 2543 did: Request-URI, From tag, Call-ID, CSeq number, top Via.
// Errors: Errc::parse.
Result<std::string> server_key(const Message &request);

// The branch was made by RFC 3261 rules: cookie and something after it.
bool has_magic_cookie(std::string_view branch) noexcept;

} // namespace offhook::sip
