#include "bridge/web_phone.hpp"

#include <array>

// .incbin takes the files as they are; the Makefile names them as dependencies.
#define OFFHOOK_FILE(symbol, path)                                                                           \
    __asm__(".section .rodata\n"                                                                             \
            ".global offhook_" #symbol "_begin\n.global offhook_" #symbol "_end\n"                           \
            "offhook_" #symbol "_begin:\n.incbin \"lib/bridge/phone/" path "\"\noffhook_" #symbol            \
            "_end:\n.byte 0\n.previous\n");                                                                  \
    extern "C" const char offhook_##symbol##_begin[], offhook_##symbol##_end[]

OFFHOOK_FILE(index, "index.html");
OFFHOOK_FILE(style, "style.css");
OFFHOOK_FILE(icon, "icon.svg");
OFFHOOK_FILE(message, "message.js");
OFFHOOK_FILE(media, "media.js");
OFFHOOK_FILE(path, "path.js");
OFFHOOK_FILE(call, "call.js");
OFFHOOK_FILE(sip, "sip.js");
OFFHOOK_FILE(card, "card.js");
OFFHOOK_FILE(phone, "phone.js");

namespace offhook::bridge {

namespace {

WebPhoneFile file(std::string_view name, const char *begin, const char *end) noexcept {
    return {name, {begin, static_cast<std::size_t>(end - begin)}};
}

} // namespace

std::span<const WebPhoneFile> web_phone_files() noexcept {
    static const std::array<WebPhoneFile, 10> files{{
        file("index.html", offhook_index_begin, offhook_index_end),
        file("style.css", offhook_style_begin, offhook_style_end),
        file("icon.svg", offhook_icon_begin, offhook_icon_end),
        file("message.js", offhook_message_begin, offhook_message_end),
        file("media.js", offhook_media_begin, offhook_media_end),
        file("path.js", offhook_path_begin, offhook_path_end),
        file("call.js", offhook_call_begin, offhook_call_end),
        file("sip.js", offhook_sip_begin, offhook_sip_end),
        file("card.js", offhook_card_begin, offhook_card_end),
        file("phone.js", offhook_phone_begin, offhook_phone_end),
    }};
    return files;
}

} // namespace offhook::bridge
