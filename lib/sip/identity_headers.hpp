// Who a call is really from and which way it came: P-Asserted-Identity (RFC 3325), Privacy (RFC 3323),
// Diversion (RFC 5806), History-Info (RFC 7044). Whether they may be believed is for the reader to know.
#pragma once

#include <string>
#include <vector>

#include "sip/message.hpp"

namespace offhook::sip {

struct Diversion {
    NameAddr from;      // who was called at first, or on the way
    std::string reason; // "user-busy", "cause=302" …, as written; may be empty
};

struct CallerFacts {
    std::vector<NameAddr> asserted;    // at most a sip: and a tel: one
    bool wants_privacy = false;        // Privacy: anything but none
    std::vector<Diversion> diversions; // the latest first; at most 8
};

// Malformed headers count as absent.
CallerFacts caller_facts(const Message &request);

} // namespace offhook::sip
