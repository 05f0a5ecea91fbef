// Does a message hold a session description? Nothing here reads it.
#pragma once

#include "sip/message.hpp"

namespace offhook::sip {

inline bool holds_sdp(const Message &message) {
    const std::string_view type = message.value(HeaderId::content_type);
    return !message.body().empty() && iequals(trim(type.substr(0, type.find(';'))), "application/sdp");
}

} // namespace offhook::sip
