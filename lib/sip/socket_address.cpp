#include "sip/socket_address.hpp"

#include "sip/headers.hpp"

namespace offhook::sip {

std::optional<Address> parse_socket(std::string_view text) {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const auto port = parse_number(text.substr(colon + 1));
    if (!port || *port > 65535) return std::nullopt;
    const auto address = Address::parse(text.substr(0, colon), static_cast<std::uint16_t>(*port));
    return address ? std::optional(*address) : std::nullopt;
}

} // namespace offhook::sip
