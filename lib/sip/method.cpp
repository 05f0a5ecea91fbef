#include "sip/method.hpp"

#include <algorithm>
#include <array>

namespace offhook::sip {

namespace {

constexpr std::array<std::string_view, 14> names{"INVITE",    "ACK",    "BYE",     "CANCEL", "REGISTER",
                                                 "OPTIONS",   "INFO",   "PRACK",   "UPDATE", "REFER",
                                                 "SUBSCRIBE", "NOTIFY", "MESSAGE", "PUBLISH"};

} // namespace

Method parse_method(std::string_view token) noexcept {
    const auto *const found = std::find(names.begin(), names.end(), token);
    return found == names.end() ? Method::other : static_cast<Method>(found - names.begin());
}

std::string_view name(Method method) noexcept {
    return method == Method::other ? std::string_view{} : names[static_cast<std::size_t>(method)];
}

} // namespace offhook::sip
