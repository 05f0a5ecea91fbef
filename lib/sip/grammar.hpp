// Character classes of RFC 3261 §25.1 and the scanner that the decoders of this directory share.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "sip/uri.hpp"

namespace offhook::sip::grammar {

enum Class : std::uint16_t {
    alpha = 1,
    digit = 2,
    token = 4,
    user = 8,       // user, without escapes
    password = 16,  //
    uri_param = 32, // paramchar
    uri_header = 64,
    host = 128,   // host name; '_' is beyond the grammar but common in private networks
    value = 256,  // unquoted generic-param value: token, host, and what phones really send
    opaque = 512, // what may stand in a URI of another scheme
    hex = 1024,
};

consteval std::array<std::uint16_t, 256> make_classes() {
    std::array<std::uint16_t, 256> classes{};
    auto add = [&](std::string_view chars, unsigned bits) {
        for (char c : chars)
            classes[static_cast<unsigned char>(c)] |= static_cast<std::uint16_t>(bits);
    };
    constexpr unsigned everywhere = token | user | password | uri_param | uri_header | value | opaque;
    add("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", alpha | host | everywhere);
    add("0123456789", digit | hex | host | everywhere);
    add("abcdefABCDEF", hex);
    add("-_.!~*'()", user | password | uri_param | uri_header | value | opaque); // unreserved
    add("-.!%*_+`'~", token | value);
    add("-._", host);
    add("&=+$,;?/", user);
    add("&=+$,", password);
    add("[]/:&+$", uri_param);
    add("[]/?:+$", uri_header);
    add("[]:/=&$?#|^{}", value);
    add(";/?:@&=+$,%#[]", opaque);
    return classes;
}
inline constexpr std::array<std::uint16_t, 256> classes = make_classes();

constexpr bool is(char c, unsigned wanted) noexcept {
    return (classes[static_cast<unsigned char>(c)] & wanted) != 0;
}
constexpr bool is_space(char c) noexcept {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}
constexpr char lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}
std::string to_lower(std::string_view text);
std::string to_upper(std::string_view text);
bool all(std::string_view text, unsigned wanted) noexcept; // every byte is of that class; true when empty
// The same with %HH escapes allowed.
bool all_or_escaped(std::string_view text, unsigned wanted) noexcept;
bool is_token(std::string_view text) noexcept; // not empty

// host of RFC 3261 §25.1 without its port: name, IPv4, or IPv6 in brackets. The result has no brackets.
std::optional<std::string_view> parse_host(std::string_view text) noexcept;
std::optional<std::uint16_t> parse_port(std::string_view text) noexcept; // 1..65535
// "host", "host:port", "[v6]:port"; white space around the colon (RFC 3261 COLON). False when malformed.
bool parse_host_port(std::string_view text, std::string &host, std::uint16_t &port);
std::string bracketed(std::string_view host); // "[::1]" for IPv6, else as it is

// Backslash escapes resolved; `inner` is what stands between the quotes.
std::string unquote(std::string_view inner);
std::string quote(std::string_view text); // with the quotes; CR, LF and NUL become spaces

// Walks over one header value. Never reads past the end, never goes back.
class Scanner {
public:
    explicit Scanner(std::string_view text) noexcept : text_(text) {}

    [[nodiscard]] bool at_end() const noexcept { return at_ == text_.size(); }
    [[nodiscard]] char peek() const noexcept { return at_end() ? '\0' : text_[at_]; }
    [[nodiscard]] std::string_view rest() const noexcept { return text_.substr(at_); }
    void skip_space() noexcept {
        while (!at_end() && is_space(text_[at_]))
            ++at_;
    }
    bool accept(char c) noexcept { // without surrounding white space
        if (at_end() || text_[at_] != c) return false;
        ++at_;
        return true;
    }
    std::string_view take(unsigned wanted) noexcept { // the longest run of that class
        const std::size_t from = at_;
        while (!at_end() && is(text_[at_], wanted))
            ++at_;
        return text_.substr(from, at_ - from);
    }
    std::string_view take_until(std::string_view stops) noexcept; // up to one of them or the end
    // The inside of a quoted-string, escapes kept; nothing unless at '"' and closed.
    std::optional<std::string_view> take_quoted() noexcept;

private:
    std::string_view text_;
    std::size_t at_ = 0;
};

// token [ EQUAL ( token / host / quoted-string ) ], white space around allowed. False when malformed.
bool parse_param(Scanner &scanner, Param &param);
// More parameters than anybody needs; keeps look-ups and comparisons of hostile input cheap.
inline constexpr std::size_t max_params = 64;
// *( SEMI generic-param ) to the end. False when malformed or too many.
bool parse_params(Scanner &scanner, Params &params);

// "From: expected …, found “…”" with the text shortened and made printable.
Failure malformed(std::string_view what, std::string_view text);

} // namespace offhook::sip::grammar
