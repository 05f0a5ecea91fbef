// The built-in web phone: the files of lib/bridge/phone/, compiled in.
#pragma once

#include <span>
#include <string_view>

namespace offhook::bridge {

struct WebPhoneFile {
    std::string_view name, content; // "index.html"
};
std::span<const WebPhoneFile> web_phone_files() noexcept;

} // namespace offhook::bridge
