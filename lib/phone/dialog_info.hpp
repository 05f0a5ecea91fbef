// What we tell of our calls to those who may watch them (RFC 4235): a whole document each time.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "phone/event.hpp"

namespace offhook {

// application/dialog-info+xml, state="full". `entity`: the watched address; `version` grows by one a NOTIFY.
// Tags and Call-ID are left out: with them a watcher could take a call over (Replaces).
std::string dialog_info(std::string_view entity, std::uint32_t version, std::span<const CallView> calls);

} // namespace offhook
