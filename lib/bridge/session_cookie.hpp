// The cookie by which a web application says who its visitor is, at the handshake of the WebSocket. Pure.
//
//   offhook_session=USER:EXPIRES:MAC
//
// USER is the user's name, with %XX for everything but letters, digits and -_.~; EXPIRES the seconds since
// 1970 in decimal digits; MAC the 64 lower-case hexadecimal digits of HMAC-SHA256 over "USER:EXPIRES" as
// written.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace offhook::bridge {

inline constexpr std::string_view session_cookie_name = "offhook_session";

struct SessionProof {
    std::string user;
    std::int64_t until = 0; // seconds since 1970
};

// Without the name. Errors: authentication.
Result<SessionProof> check_session(std::string_view value, std::string_view key, std::int64_t unix_now);
// The value of that name in a Cookie header (RFC 6265 §4.2.1), the `which`th of several; "" when there is
// none.
std::string_view cookie_value(std::string_view header, std::string_view name, std::size_t which = 0);

} // namespace offhook::bridge
