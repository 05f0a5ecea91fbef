// From options, environment and configuration file to settings: flag > environment > file > default.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "cmd/options.hpp"
#include "phone/settings_reader.hpp"

namespace offhook::cmd {

struct Setup {
    PhoneSettings phone;
    std::string account; // chosen by name; empty: by target
    std::vector<std::string> tts_command;
    std::vector<std::string> warnings;
};

// --config, OFFHOOK_CONFIG, $XDG_CONFIG_HOME/offhook/offhook.toml, /etc/offhook/offhook.toml; none of the
// last two is needed. Errors: Errc::config.
Result<std::optional<ConfigFile>> load_configuration(const GlobalOptions &options);

// Everything merged and checked. Reads passwords. Errors: config, invalid_argument, not_supported.
Result<Setup> prepare(const GlobalOptions &options);

// The account a call to `target` uses: the chosen one, the contact's, the one of the target's domain, the
// first.
const AccountSettings *account_for(const Setup &setup, const std::string &target);
// The chosen account or the first. Errors: invalid_argument when there is none.
Result<AccountSettings *> needed_account(Setup &setup);

} // namespace offhook::cmd
