#pragma once

#include <string>

#include "base/result.hpp"
#include "phone/settings_reader.hpp"

namespace offhook::cmd {

// The password itself: as written, the first line of a file ("-": standard input) or of what a command prints
// (10 s at most). Errors: Errc::config, never with the password in them.
Result<std::string> resolve_password(const PasswordSource &source);

} // namespace offhook::cmd
