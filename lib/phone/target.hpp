// What a user may type to say whom to call (cli.md, TARGET), turned into a URI. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "phone/settings.hpp"
#include "sip/uri.hpp"

namespace offhook {

struct Target {
    sip::Uri uri;        // sip or sips; a tel: URI and a number became sip:NUMBER@DOMAIN;user=phone
    std::string account; // the account a contact asks for; empty: none
};

// In this order: a URI with scheme, a contact's name, user@host, an address or host (with a dot, a port, or
// "localhost"), and at last a user or number of `domain` (host[:port] of the account; empty: none).
// Errors: invalid_argument, in one line.
Result<Target> parse_target(std::string_view text, std::span<const ContactSettings> contacts,
                            std::string_view domain);

// "+49 (30) 123-456" → "+4930123456"; everything that is not a number of digits and visual separators
// (RFC 3966 §5.1.1) stays as it is.
std::string strip_separators(std::string_view text);

} // namespace offhook
