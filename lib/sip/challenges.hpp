#pragma once

#include <vector>

#include "sip/digest.hpp"
#include "sip/message.hpp"

namespace offhook::sip {

// The Digest challenges of a 401 or 407 that can be answered, in order.
std::vector<Challenge> challenges_of(const Message &response);

} // namespace offhook::sip
