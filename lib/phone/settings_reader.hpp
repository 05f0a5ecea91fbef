// From a configuration file to settings. Knows every key; an unknown one is an error.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/config.hpp"
#include "phone/settings.hpp"

namespace offhook {

// Where an account's password comes from; at most one is set. Resolved only for the accounts that are used.
struct PasswordSource {
    std::string password;
    std::string file;                 // its first line
    std::vector<std::string> command; // argv; the first line it prints
    [[nodiscard]] bool empty() const { return password.empty() && file.empty() && command.empty(); }
};

struct FileSettings {
    PhoneSettings phone; // passwords are still empty
    std::string default_account;
    std::map<std::string, PasswordSource> passwords; // by account
    std::vector<std::string> tts_command{"espeak-ng", "--stdout"};
};

struct SettingsReport {
    FileSettings settings;
    std::vector<std::string> errors, warnings; // "FILE:LINE:COLUMN: what", in the order of the file
};

// Always gives the settings that could be read; usable only when `errors` is empty.
SettingsReport read_settings(const ConfigFile &file);

} // namespace offhook
