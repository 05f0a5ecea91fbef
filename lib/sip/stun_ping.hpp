// The two STUN messages of RFC 5626 §3.5.2 keep-alives: a bare Binding request and its response (RFC 5389).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/address.hpp"

namespace offhook::sip {

struct StunResponse {
    std::string id;                // transaction ID, 12 bytes
    std::optional<Address> mapped; // XOR-MAPPED-ADDRESS or MAPPED-ADDRESS of a success
};

// Can a datagram be STUN rather than SIP? Its first two bits are 0 and the magic cookie is there.
bool is_stun(std::string_view datagram) noexcept;
std::string stun_transaction_id();
std::string stun_binding_request(std::string_view id);
// A Binding response, success or error; nothing when it is none or is malformed.
std::optional<StunResponse> parse_stun_response(std::string_view datagram);

} // namespace offhook::sip
