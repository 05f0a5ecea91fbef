#pragma once

#include <cstdint>
#include <string_view>

namespace offhook::sip {

// The methods offhook knows. Methods are case-sensitive (RFC 3261 §7.1); anything else is `other`.
enum class Method : std::uint8_t {
    invite,
    ack,
    bye,
    cancel,
    register_,
    options,
    info,
    prack,
    update,
    refer,
    subscribe,
    notify,
    message,
    publish,
    other
};

Method parse_method(std::string_view token) noexcept;
std::string_view name(Method method) noexcept; // "INVITE"; empty for other

} // namespace offhook::sip
