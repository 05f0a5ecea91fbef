// Events as lines for people. Pure.
#pragma once

#include <string>
#include <vector>

#include "phone/event.hpp"

namespace offhook::cmd {

// "" for what a person need not know.
std::string narrate(const Event &event, bool verbose);
// "received  2100 packets, …" and "sent …".
std::string describe_media(const media::LegStats &stats);

} // namespace offhook::cmd
