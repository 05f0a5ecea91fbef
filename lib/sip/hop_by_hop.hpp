// The two requests that follow an INVITE hop by hop and take their headers from it.
#pragma once

#include "sip/draft.hpp"

namespace offhook::sip {

// ACK to a non-2xx `response` (RFC 3261 §17.1.1.3). `invite` is the request as sent, with its Via.
Draft ack_for(const Draft &invite, const Message &response);

// CANCEL (RFC 3261 §9.1). `reason`: value of a Reason header (RFC 3326), empty for none.
Draft cancel_for(const Draft &invite, std::string_view reason);

} // namespace offhook::sip
