// Decoded header values. Each parse() takes one header value (or one element of a comma list) as
// Message hands it out: unfolded, without surrounding white space. Errors: Errc::parse.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sip/method.hpp"
#include "sip/uri.hpp"

namespace offhook::sip {

// From, To, Contact, Route, Record-Route, Refer-To, P-Asserted-Identity …: name-addr or addr-spec with
// header parameters (RFC 3261 §20.10: without <>, parameters belong to the header).
struct NameAddr {
    std::string display; // unquoted
    Uri uri;
    Params params;
    bool star = false; // "Contact: *"

    static Result<NameAddr> parse(std::string_view text);
    static Result<std::vector<NameAddr>> parse_list(std::string_view text); // comma separated, at least one
    [[nodiscard]] std::string encode() const;                               // always with <>
    [[nodiscard]] std::string_view tag() const noexcept { return params.get("tag"); }
};

// RFC 3261 §20.42, RFC 3581 (rport).
struct Via {
    std::string transport; // upper case as on the wire: "UDP", "TCP", "TLS", "WS", "WSS"
    std::string host;      // without brackets
    std::uint16_t port = 0;
    Params params; // branch, received, rport, ttl, maddr

    static Result<Via> parse(std::string_view text);
    static Result<std::vector<Via>> parse_list(std::string_view text);
    [[nodiscard]] std::string encode() const; // "SIP/2.0/UDP host:port;branch=…"
    [[nodiscard]] std::string_view branch() const noexcept { return params.get("branch"); }
};

struct CSeq {
    std::uint32_t number = 0; // < 2^31 (RFC 3261 §8.1.1.5)
    std::string method;       // token as written
    static Result<CSeq> parse(std::string_view text);
};

// WWW-Authenticate, Proxy-Authenticate, Authorization, Authentication-Info: scheme and auth-params.
struct AuthParams {
    std::string scheme; // "Digest"; empty for Authentication-Info
    Params params;      // values unquoted
    static Result<AuthParams> parse(std::string_view text);
};

// "600" or "600;param"; delta-seconds that overflow are clamped to 2^32-1 (RFC 3261 §20.19).
Result<std::uint32_t> parse_delta_seconds(std::string_view text);

// Decimal without sign, whole string, no overflow.
std::optional<std::uint64_t> parse_number(std::string_view text) noexcept;

// Splits at top-level commas (outside quotes and <>), trims white space; empty elements are dropped.
std::vector<std::string_view> split_list(std::string_view text);
std::string_view first_element(std::string_view text) noexcept; // the same, only the first; "" when none

bool iequals(std::string_view a, std::string_view b) noexcept; // ASCII, without case
std::string_view trim(std::string_view text) noexcept;         // SP, HTAB, CR, LF

} // namespace offhook::sip
