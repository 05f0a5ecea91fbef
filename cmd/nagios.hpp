#pragma once

#include <optional>
#include <string>

#include "phone/event.hpp"

namespace offhook::cmd {

// 0 OK; 1 WARNING for a phone that rings but does not take the call (10, 11, 12); 3 UNKNOWN for what says
// nothing of the service (1, 2, 31, interrupted); 2 CRITICAL for the rest.
int nagios_code(int exit) noexcept;
// "SIP CRITICAL - 503 Service Unavailable | setup=0.120s …"
std::string nagios_line(int exit, const std::string &what, const std::optional<event::CallEnded> &call);

// "SIP OK - …| rta=0.001s;;;0" for any other figures; `state` is 0 to 3.
std::string nagios_state_line(int state, const std::string &what, const std::string &performance);

} // namespace offhook::cmd
