// The server's duties on the top Via of a request: RFC 3261 §18.2.1 and §18.2.2, RFC 3581.
#pragma once

#include "base/address.hpp"
#include "sip/message.hpp"
#include "sip/transport.hpp"

namespace offhook::sip {

// `request` with `received` and `rport` filled in, unchanged when nothing is due. Errors: Errc::parse (Via).
Result<Message> stamp_source(const Message &request, const Address &source);

// Where responses to a stamped request go: over UDP to the source address and either the source port (rport)
// or the sent-by port; on streams back along the connection. `maddr` is ignored: it would let a stranger
// direct our responses at a third party.
Flow response_route(const Message &request, const Flow &arrived);

} // namespace offhook::sip
