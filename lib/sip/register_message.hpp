// What a REGISTER says and what its answer means: pure functions over messages.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sip/registration.hpp"

namespace offhook::sip {

struct RegisterIdentity {
    std::string call_id, from_tag;
    std::uint32_t cseq = 1;
};

// REGISTER without Via, Contact and Expires (RFC 3261 §10.2): as it stands a query.
Draft make_register(const Registration::Options &options, const RegisterIdentity &identity);

// Where it is sent first.
Uri register_next_hop(const Registration::Options &options);

// "sip:user@host:port;transport=tcp" of Transports::sent_by(), with `ob` when RFC 5626 outbound is used.
std::string contact_uri(const Registration::Options &options, TransportKind kind, std::string_view sent_by);
// The Contact header value for it, with +sip.instance and reg-id.
std::string contact_value(const Registration::Options &options, const std::string &uri);

// Seconds our binding was granted: from our own Contact in the response (parameters do not count in the
// comparison), else the Expires header, else what was asked for.
std::uint32_t granted_expires(const Message &response, const Uri &own, std::uint32_t asked);

// The public GRUU it gave our own Contact (RFC 5627 §4.2), when that is a SIP URI. Empty: none.
std::string public_gruu(const Message &response, const Uri &own);

// The registrar keeps the flow of this registration (RFC 5626 §6).
bool requires_outbound(const Message &response);

// Our address as the registrar saw it, when it is neither of `local`.
std::optional<Address> seen_address(const Message &response, const std::vector<Address> &local);

} // namespace offhook::sip
