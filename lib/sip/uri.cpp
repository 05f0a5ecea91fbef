#include "sip/uri.hpp"

#include <algorithm>
#include <array>

#include "sip/grammar.hpp"
#include "sip/headers.hpp"

namespace offhook::sip {

using grammar::malformed;

const Param *Params::find(std::string_view name) const noexcept {
    for (const auto &item : items)
        if (iequals(item.name, name)) return &item;
    return nullptr;
}

std::string_view Params::get(std::string_view name) const noexcept {
    const Param *const found = find(name);
    return found != nullptr ? std::string_view(found->value) : std::string_view{};
}

void Params::set(std::string_view name, std::string_view value) {
    for (auto &item : items) {
        if (!iequals(item.name, name)) continue;
        item.value = value;
        item.has_value = true;
        return;
    }
    items.push_back({std::string(name), std::string(value), true, false});
}

void Params::set_flag(std::string_view name) {
    erase(name);
    items.push_back({std::string(name), {}, false, false});
}

void Params::erase(std::string_view name) {
    std::erase_if(items, [&](const Param &item) { return iequals(item.name, name); });
}

std::string Params::encode() const {
    std::string out;
    for (const auto &item : items) {
        out += ';';
        out += item.name;
        if (!item.has_value) continue;
        out += '=';
        const bool plain = !item.quoted && !item.value.empty() && grammar::all(item.value, grammar::value);
        out += plain ? item.value : grammar::quote(item.value);
    }
    return out;
}

namespace {

Result<> parse_user(std::string_view text, Uri &uri) {
    const std::size_t colon = text.find(':');
    const auto user = text.substr(0, colon);
    if (user.empty() || !grammar::all_or_escaped(user, grammar::user))
        return malformed("URI: the user part is malformed", text);
    uri.user = user;
    if (colon == std::string_view::npos) return {};
    const auto password = text.substr(colon + 1);
    if (!grammar::all_or_escaped(password, grammar::password))
        return malformed("URI: the password is malformed", "");
    uri.password = password;
    return {};
}

Result<> parse_uri_params(std::string_view text, Params &params) {
    while (!text.empty()) {
        if (params.items.size() == grammar::max_params) return malformed("URI: too many parameters", "");
        const std::size_t end = std::min(text.find(';', 1), text.size());
        const auto piece = text.substr(1, end - 1);
        text.remove_prefix(end);
        const std::size_t equals = piece.find('=');
        const bool has_value = equals != std::string_view::npos;
        const auto name = piece.substr(0, equals);
        const auto value = has_value ? piece.substr(equals + 1) : std::string_view{};
        if (name.empty() || !grammar::all_or_escaped(name, grammar::uri_param) ||
            (has_value && value.empty()) || !grammar::all_or_escaped(value, grammar::uri_param))
            return malformed("URI: a parameter is malformed", piece);
        params.items.push_back({std::string(name), std::string(value), has_value, false});
    }
    return {};
}

// header *( "&" header ), header = hname "=" hvalue
Result<> parse_uri_headers(std::string_view text, Uri &uri) {
    uri.headers = text;
    for (std::size_t from = 0; from <= text.size();) {
        const std::size_t end = std::min(text.find('&', from), text.size());
        const auto piece = text.substr(from, end - from);
        from = end + 1;
        const std::size_t equals = piece.find('=');
        if (equals == 0 || equals == std::string_view::npos ||
            !grammar::all_or_escaped(piece.substr(0, equals), grammar::uri_header) ||
            !grammar::all_or_escaped(piece.substr(equals + 1), grammar::uri_header))
            return malformed("URI: a header after '?' is malformed", piece);
    }
    return {};
}

Result<Uri> parse_sip(std::string_view rest, Uri uri) {
    // '@' may stand nowhere else unescaped, while the user part may hold ';', '?' and '/'.
    if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
        if (auto done = parse_user(rest.substr(0, at), uri); !done) return fail(done.error());
        rest.remove_prefix(at + 1);
    }
    const std::size_t question = rest.find('?');
    if (question != std::string_view::npos)
        if (auto done = parse_uri_headers(rest.substr(question + 1), uri); !done) return fail(done.error());
    rest = rest.substr(0, question);
    const std::size_t params = std::min(rest.find(';'), rest.size());
    const auto host_port = rest.substr(0, params);
    if (host_port.find_first_of(" \t\r\n") != std::string_view::npos ||
        !grammar::parse_host_port(host_port, uri.host, uri.port))
        return malformed("URI: expected a host name or address with an optional port", host_port);
    if (auto done = parse_uri_params(rest.substr(params), uri.params); !done) return fail(done.error());
    return uri;
}

Result<Uri> parse_tel(std::string_view rest, Uri uri) {
    const std::size_t params = std::min(rest.find(';'), rest.size());
    const auto number = rest.substr(0, params);
    const auto digits = number.substr(number.starts_with('+') ? 1 : 0);
    const std::string_view allowed =
        number.starts_with('+') ? "0123456789-.()" : "0123456789abcdefABCDEF*#-.()";
    if (digits.find_first_not_of(allowed) != std::string_view::npos ||
        digits.find_first_not_of("-.()") == std::string_view::npos)
        return malformed("tel URI: expected a telephone number", number);
    uri.user = number;
    if (auto done = parse_uri_params(rest.substr(params), uri.params); !done) return fail(done.error());
    return uri;
}

bool is_scheme(std::string_view text) {
    return !text.empty() && grammar::is(text.front(), grammar::alpha) &&
           std::all_of(text.begin(), text.end(), [](char c) {
               return grammar::is(c, grammar::alpha | grammar::digit) || c == '+' || c == '-' || c == '.';
           });
}

} // namespace

Result<Uri> Uri::parse(std::string_view text) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos || !is_scheme(text.substr(0, colon)))
        return malformed("URI: expected a scheme such as sip:", text);
    Uri uri;
    uri.scheme = grammar::to_lower(text.substr(0, colon));
    const auto rest = text.substr(colon + 1);
    if (uri.is_sip()) return parse_sip(rest, std::move(uri));
    if (uri.scheme == "tel") return parse_tel(rest, std::move(uri));
    if (rest.empty() || !grammar::all(rest, grammar::opaque)) return malformed("URI: malformed", text);
    uri.user = rest;
    return uri;
}

std::string Uri::host_port() const {
    std::string out = grammar::bracketed(host);
    if (port != 0) out += ":" + std::to_string(port);
    return out;
}

std::string Uri::encode() const {
    std::string out = scheme + ':' + user;
    if (is_sip()) {
        if (!password.empty()) out += ':' + password;
        if (!user.empty()) out += '@';
        out += host_port();
    }
    for (const auto &param : params.items) {
        out += ';' + param.name;
        if (param.has_value) out += '=' + param.value;
    }
    if (!headers.empty()) out += '?' + headers;
    return out;
}

std::string Uri::user_decoded() const {
    return unescape(user);
}

namespace {

// These four must be in both or in none (RFC 3261 §19.1.4); others count only when both have them.
constexpr std::array<std::string_view, 4> decisive{"user", "ttl", "method", "maddr"};

bool covers(const Params &a, const Params &b) {
    return std::all_of(a.items.begin(), a.items.end(), [&](const Param &param) {
        // Of a name that is there twice, the first counts on both sides.
        if (const Param *const other = b.find(param.name))
            return iequals(unescape(a.find(param.name)->value), unescape(other->value));
        return std::none_of(decisive.begin(), decisive.end(),
                            [&](std::string_view name) { return iequals(name, param.name); });
    });
}

// Header components in any order, names without case.
std::vector<std::string> sorted_headers(std::string_view headers) {
    std::vector<std::string> all;
    while (!headers.empty()) {
        const std::size_t end = std::min(headers.find('&'), headers.size());
        const auto piece = headers.substr(0, end);
        headers.remove_prefix(std::min(end + 1, headers.size()));
        const std::size_t equals = std::min(piece.find('='), piece.size());
        all.push_back(grammar::to_lower(unescape(piece.substr(0, equals))) + unescape(piece.substr(equals)));
    }
    std::sort(all.begin(), all.end());
    return all;
}

// RFC 3966 §4: visual separators do not count.
std::string without_separators(std::string_view number) {
    std::string out;
    for (char c : number)
        if (std::string_view("-.()").find(c) == std::string_view::npos) out += grammar::lower(c);
    return out;
}

} // namespace

bool Uri::equals(const Uri &other) const {
    if (scheme != other.scheme) return false;
    if (scheme == "tel")
        return without_separators(user) == without_separators(other.user) && covers(params, other.params) &&
               covers(other.params, params);
    return user_decoded() == other.user_decoded() && unescape(password) == unescape(other.password) &&
           iequals(host, other.host) && port == other.port && covers(params, other.params) &&
           covers(other.params, params) && sorted_headers(headers) == sorted_headers(other.headers);
}

namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = grammar::lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

} // namespace

std::string unescape(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool room = text[i] == '%' && text.size() - i > 2;
        const int high = room ? hex_digit(text[i + 1]) : -1;
        const int low = room ? hex_digit(text[i + 2]) : -1;
        if (high < 0 || low < 0) {
            out += text[i];
            continue;
        }
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

std::string escape_user(std::string_view text) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string out;
    for (char c : text) {
        if (grammar::is(c, grammar::user)) {
            out += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        out += {'%', digits[byte >> 4], digits[byte & 15]};
    }
    return out;
}

} // namespace offhook::sip
