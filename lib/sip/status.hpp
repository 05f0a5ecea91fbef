#pragma once

#include <string_view>

#include "base/result.hpp"

namespace offhook::sip {

// The standard reason phrase ("Busy Here"); for unknown codes that of the class (RFC 3261 §8.1.3.2).
std::string_view reason_phrase(unsigned status) noexcept;

// What the user was doing: the same 403 is a refusal of the callee or of the registrar.
enum class Purpose { call, register_, other };

// cli.md's table: exit code for a final SIP status. `authenticated`: we had sent credentials.
int exit_code(unsigned status, Purpose purpose, bool authenticated = false) noexcept;

// The same for an error of ours (uses error.sip when it is set).
int exit_code(const Error &error, Purpose purpose = Purpose::call) noexcept;

// One plain sentence on what the status means for a person: "486" → "the callee is busy".
std::string_view explain(unsigned status) noexcept;

} // namespace offhook::sip
