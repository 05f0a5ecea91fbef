#include "bridge/web_phone.hpp"

#include <array>

// .incbin takes the files as they are; the Makefile names them as dependencies.
#define OFFHOOK_FILE(symbol, path)                                                                           \
    __asm__(".section .rodata\n"                                                                             \
            ".global offhook_" #symbol "_begin\n.global offhook_" #symbol "_end\n"                           \
            "offhook_" #symbol "_begin:\n.incbin \"" path "\"\noffhook_" #symbol                             \
            "_end:\n.byte 0\n.previous\n");                                                                  \
    extern "C" const char offhook_##symbol##_begin[], offhook_##symbol##_end[]

OFFHOOK_FILE(index, "lib/bridge/phone/index.html");
OFFHOOK_FILE(style, "lib/bridge/phone/style.css");
OFFHOOK_FILE(script, "lib/bridge/phone/phone.js");
OFFHOOK_FILE(sip, "lib/bridge/phone/sip.js");
OFFHOOK_FILE(icon, "lib/bridge/phone/icon.svg");

namespace offhook::bridge {

std::span<const WebPhoneFile> web_phone_files() noexcept {
    static const std::array<WebPhoneFile, 5> files{{
        {"index.html",
         {offhook_index_begin, static_cast<std::size_t>(offhook_index_end - offhook_index_begin)}},
        {"style.css",
         {offhook_style_begin, static_cast<std::size_t>(offhook_style_end - offhook_style_begin)}},
        {"phone.js",
         {offhook_script_begin, static_cast<std::size_t>(offhook_script_end - offhook_script_begin)}},
        {"sip.js", {offhook_sip_begin, static_cast<std::size_t>(offhook_sip_end - offhook_sip_begin)}},
        {"icon.svg", {offhook_icon_begin, static_cast<std::size_t>(offhook_icon_end - offhook_icon_begin)}},
    }};
    return files;
}

} // namespace offhook::bridge
