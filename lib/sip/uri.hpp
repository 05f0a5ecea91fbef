// SIP, SIPS and tel URIs (RFC 3261 §19.1, RFC 3966).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace offhook::sip {

struct Param {
    std::string name;  // as written; compare without case
    std::string value; // unquoted; empty when the parameter has none
    bool has_value = false;
    bool quoted = false;
};

// Ordered parameters; look-up without case (RFC 3261 §7.3.1).
class Params {
public:
    [[nodiscard]] const Param *find(std::string_view name) const noexcept;
    [[nodiscard]] bool has(std::string_view name) const noexcept { return find(name) != nullptr; }
    [[nodiscard]] std::string_view get(std::string_view name) const noexcept; // "" when absent
    void set(std::string_view name, std::string_view value);                  // adds or replaces
    void set_flag(std::string_view name);                                     // ";lr"
    void erase(std::string_view name);
    [[nodiscard]] std::string encode() const; // ";lr;transport=tcp", quoting what needs it
    [[nodiscard]] bool empty() const noexcept { return items.empty(); }

    std::vector<Param> items;
};

struct Uri {
    std::string scheme; // lower case: "sip", "sips", "tel"; others kept so that 416 can be answered
    std::string user;   // still escaped, as written; for tel the number
    std::string password;
    std::string host;       // without brackets for IPv6; empty for tel
    std::uint16_t port = 0; // 0 = none given
    Params params;
    std::string headers; // what follows '?', raw; never becomes a header by itself

    // Strict grammar of RFC 3261 §25.1, with no surrounding <> and no white space.
    // Errors: Errc::parse, with what and where.
    static Result<Uri> parse(std::string_view text);

    [[nodiscard]] bool is_sip() const noexcept { return scheme == "sip" || scheme == "sips"; }
    [[nodiscard]] bool is_sips() const noexcept { return scheme == "sips"; }
    [[nodiscard]] std::string encode() const;
    [[nodiscard]] std::string host_port() const;    // "[::1]:5060", "example.com"
    [[nodiscard]] std::string user_decoded() const; // %HH resolved (bytes, may hold NUL)

    // RFC 3261 §19.1.4.
    [[nodiscard]] bool equals(const Uri &other) const;
};

// "a%20b" → "a b". Malformed escapes stay as they are.
std::string unescape(std::string_view text);
// Escapes what the user part may not hold (RFC 3261 §25.1 `user`).
std::string escape_user(std::string_view text);

} // namespace offhook::sip
