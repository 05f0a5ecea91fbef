// The configuration file (TOML) as a tree in which everything knows where it was written.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.hpp"

namespace offhook {

struct ConfigOrigin {
    unsigned line = 0, column = 0; // from 1
    // "offhook.toml:14:9: text"
    [[nodiscard]] std::string message(std::string_view file, std::string_view text) const;
};

struct ConfigValue;
struct ConfigMember;
using ConfigTable = std::vector<ConfigMember>; // in the order of the file
using ConfigArray = std::vector<ConfigValue>;

struct ConfigValue {
    std::variant<bool, std::int64_t, double, std::string, ConfigArray, ConfigTable> value;
    ConfigOrigin origin;
    [[nodiscard]] const ConfigTable *table() const noexcept { return std::get_if<ConfigTable>(&value); }
    [[nodiscard]] std::string_view type_name() const noexcept; // "a string"
};

struct ConfigMember {
    std::string key;
    ConfigOrigin origin; // of the key
    ConfigValue value;
};

const ConfigMember *find(const ConfigTable &table, std::string_view key) noexcept;

// Errors: Errc::config, "offhook.toml:3:7: …".
Result<ConfigTable> parse_config(std::string_view text, std::string_view file);

struct ConfigFile {
    std::string path;
    ConfigTable root;
    bool others_may_read = false; // group or world: a password in it is not secret
};
// Errors: Errc::config (also when it cannot be read; at most 1 MiB).
Result<ConfigFile> load_config(const std::string &path);

} // namespace offhook
