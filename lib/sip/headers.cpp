#include "sip/headers.hpp"

#include <algorithm>
#include <limits>

#include "sip/grammar.hpp"

namespace offhook::sip {

using grammar::malformed;
using grammar::Scanner;

bool iequals(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
               return x == y || grammar::lower(x) == grammar::lower(y);
           });
}

std::string_view trim(std::string_view text) noexcept {
    while (!text.empty() && grammar::is_space(text.front()))
        text.remove_prefix(1);
    while (!text.empty() && grammar::is_space(text.back()))
        text.remove_suffix(1);
    return text;
}

std::optional<std::uint64_t> parse_number(std::string_view text) noexcept {
    if (text.empty()) return std::nullopt;
    constexpr auto max = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t number = 0;
    for (char c : text) {
        if (c < '0' || c > '9') return std::nullopt;
        const auto digit = static_cast<std::uint64_t>(c - '0');
        if (number > (max - digit) / 10) return std::nullopt;
        number = number * 10 + digit;
    }
    return number;
}

Result<std::uint32_t> parse_delta_seconds(std::string_view text) {
    Scanner scanner(trim(text));
    const auto digits = scanner.take(grammar::digit);
    scanner.skip_space();
    // Retry-After may go on with a comment or parameters.
    if (digits.empty() || (!scanner.at_end() && scanner.peek() != ';' && scanner.peek() != '('))
        return malformed("expected a number of seconds", text);
    constexpr std::uint64_t max = std::numeric_limits<std::uint32_t>::max();
    return static_cast<std::uint32_t>(std::min(parse_number(digits).value_or(max), max));
}

namespace {

// Takes one element and its comma off the front; empty ones too.
std::string_view take_element(std::string_view &text) noexcept {
    if (text.find(',') == std::string_view::npos) return trim(std::exchange(text, {}));
    bool quoted = false;
    bool bracketed = false;
    std::size_t i = 0;
    for (; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '"') {
            quoted = !quoted;
        } else if (quoted) {
            if (c == '\\') ++i;
        } else if (c == '<' || c == '>') {
            bracketed = c == '<';
        } else if (c == ',' && !bracketed) {
            break;
        }
    }
    const auto element = trim(text.substr(0, i));
    text.remove_prefix(std::min(i + 1, text.size()));
    return element;
}

} // namespace

std::vector<std::string_view> split_list(std::string_view text) {
    std::vector<std::string_view> elements;
    while (!text.empty())
        if (const auto element = take_element(text); !element.empty()) elements.push_back(element);
    return elements;
}

std::string_view first_element(std::string_view text) noexcept {
    std::string_view element;
    while (element.empty() && !text.empty())
        element = take_element(text);
    return element;
}

namespace {

template <class T>
Result<std::vector<T>> decode_list(std::string_view text, std::string_view what) {
    std::vector<T> values;
    for (const auto element : split_list(text)) {
        auto value = T::parse(element);
        if (!value) return fail(value.error());
        values.push_back(std::move(*value));
    }
    if (values.empty()) return malformed(what, text);
    return values;
}

// Grammar wants tokens; phones send names with any letters. What would make the value ambiguous is refused.
bool is_display(std::string_view text) {
    return text.find_first_of("\",;<>") == std::string_view::npos &&
           std::none_of(text.begin(), text.end(), [](char c) {
               return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == 0x7f;
           });
}

Result<Uri> parse_bare_uri(std::string_view text) {
    auto uri = Uri::parse(text);
    // RFC 3261 §20: a URI with ',' or '?' has to stand in <>.
    if (uri && (!uri->headers.empty() || text.find(',') != std::string_view::npos))
        return malformed("address: a URI with '?' or ',' must stand in <>", text);
    return uri;
}

// `scanner` stands at '<'.
Result<Uri> parse_bracketed_uri(Scanner &scanner) {
    scanner.accept('<');
    const auto text = scanner.take_until(">");
    if (!scanner.accept('>')) return malformed("address: '>' is missing", text);
    return Uri::parse(text);
}

} // namespace

Result<NameAddr> NameAddr::parse(std::string_view text) {
    NameAddr address;
    text = trim(text);
    if (text == "*") {
        address.star = true;
        return address;
    }
    Scanner scanner(text);
    Result<Uri> uri;
    if (scanner.peek() == '"') {
        const auto inner = scanner.take_quoted();
        if (!inner) return malformed("address: the quote is not closed", text);
        address.display = grammar::unquote(*inner);
        scanner.skip_space();
        if (scanner.peek() != '<') return malformed("address: expected '<' after the name", text);
        uri = parse_bracketed_uri(scanner);
    } else {
        const auto before = scanner.take_until("<;");
        if (scanner.peek() == '<') {
            if (!is_display(before)) return malformed("address: the name needs quotes", text);
            address.display = trim(before);
            uri = parse_bracketed_uri(scanner);
        } else {
            uri = parse_bare_uri(trim(before));
        }
    }
    if (!uri) return fail(uri.error());
    address.uri = std::move(*uri);
    if (!grammar::parse_params(scanner, address.params))
        return malformed("address: malformed parameters", scanner.rest());
    return address;
}

Result<std::vector<NameAddr>> NameAddr::parse_list(std::string_view text) {
    return decode_list<NameAddr>(text, "expected an address");
}

std::string NameAddr::encode() const {
    if (star) return "*";
    std::string out;
    if (!display.empty()) out = grammar::quote(display) + ' ';
    return out + '<' + uri.encode() + '>' + params.encode();
}

Result<Via> Via::parse(std::string_view text) {
    Scanner scanner(trim(text));
    const auto next = [&] { // token [LWS "/" LWS]
        const auto token = scanner.take(grammar::token);
        scanner.skip_space();
        return token;
    };
    const auto slash = [&] {
        const bool found = scanner.accept('/');
        scanner.skip_space();
        return found;
    };
    Via via;
    const auto protocol = next();
    if (!iequals(protocol, "SIP") || !slash()) return malformed("Via: expected SIP/2.0/TRANSPORT", text);
    // The version is judged with the start line: a 505 has to find its way back.
    if (next().empty() || !slash()) return malformed("Via: expected SIP/2.0/TRANSPORT", text);
    via.transport = grammar::to_upper(next());
    const auto sent_by = trim(scanner.take_until(";"));
    if (via.transport.empty() || !grammar::parse_host_port(sent_by, via.host, via.port))
        return malformed("Via: expected a transport, then a host name or address", text);
    if (!grammar::parse_params(scanner, via.params))
        return malformed("Via: malformed parameters", scanner.rest());
    return via;
}

Result<std::vector<Via>> Via::parse_list(std::string_view text) {
    return decode_list<Via>(text, "expected a Via");
}

std::string Via::encode() const {
    std::string out = "SIP/2.0/" + transport + ' ' + grammar::bracketed(host);
    if (port != 0) out += ':' + std::to_string(port);
    return out + params.encode();
}

Result<CSeq> CSeq::parse(std::string_view text) {
    Scanner scanner(trim(text));
    const auto number = parse_number(scanner.take(grammar::digit));
    if (!number || *number >= (std::uint64_t{1} << 31))
        return malformed("CSeq: expected a number below 2^31", text);
    const bool separated = grammar::is_space(scanner.peek());
    scanner.skip_space();
    const auto method = scanner.rest();
    if (!separated || !grammar::is_token(method)) return malformed("CSeq: expected a method", text);
    return CSeq{static_cast<std::uint32_t>(*number), std::string(method)};
}

namespace {

bool parse_auth_params(Scanner scanner, Params &params) {
    params.items.reserve(12); // what a browser's Authorization has
    while (true) {
        scanner.skip_space();
        if (scanner.at_end()) return true;
        if (scanner.accept(',')) continue; // empty list elements are allowed (RFC 7235 §1.2)
        Param param;
        if (params.items.size() == grammar::max_params) return false;
        if (!grammar::parse_param(scanner, param) || !param.has_value) return false;
        params.items.push_back(std::move(param));
        if (!scanner.at_end() && scanner.peek() != ',') return false;
    }
}

} // namespace

Result<AuthParams> AuthParams::parse(std::string_view text) {
    text = trim(text);
    AuthParams auth;
    Scanner scanner(text);
    const auto first = scanner.take(grammar::token);
    scanner.skip_space();
    if (first.empty()) return malformed("expected an authentication scheme", text);
    if (scanner.peek() == '=') { // Authentication-Info has no scheme
        if (!parse_auth_params(Scanner(text), auth.params)) return malformed("malformed parameters", text);
        return auth;
    }
    auth.scheme = first;
    if (parse_auth_params(scanner, auth.params)) return auth;
    // Other schemes may carry something else (RFC 7235 token68); only Digest concerns us.
    if (iequals(auth.scheme, "Digest")) return malformed("malformed Digest parameters", text);
    auth.params.items.clear();
    return auth;
}

} // namespace offhook::sip
