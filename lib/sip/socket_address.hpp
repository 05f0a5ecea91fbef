// Numeric address and port as one text.
#pragma once

#include <optional>
#include <string_view>

#include "base/address.hpp"

namespace offhook::sip {

// "192.0.2.1:5060", "[2001:db8::1]:5060"; nothing for names, and for ports that are missing or above 65535.
std::optional<Address> parse_socket(std::string_view text);

} // namespace offhook::sip
