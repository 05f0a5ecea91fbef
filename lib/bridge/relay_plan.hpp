// What an exchange of descriptions means for the packets.
#pragma once

#include <vector>

#include "bridge/interwork.hpp"
#include "bridge/relay.hpp"

namespace offhook::bridge {

std::vector<Relay::LinePlan> plan_of(const Interwork &interwork); // of each media line

} // namespace offhook::bridge
