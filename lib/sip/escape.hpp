// Escaping for the headers of a URI ("sip:a@b?Replaces=…").
#pragma once

#include <string>
#include <string_view>

namespace offhook::sip {

// Everything but what RFC 3261 calls unreserved, so that no character of it means anything in a URI.
std::string escape_header(std::string_view text);

} // namespace offhook::sip
