#include "sip/grammar.hpp"

#include <algorithm>

#include <arpa/inet.h>

#include "sip/headers.hpp"

namespace offhook::sip::grammar {

std::string to_lower(std::string_view text) {
    std::string out(text);
    for (char &c : out)
        c = lower(c);
    return out;
}

std::string to_upper(std::string_view text) {
    std::string out(text);
    for (char &c : out)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c & ~0x20);
    return out;
}

bool all(std::string_view text, unsigned wanted) noexcept {
    return std::all_of(text.begin(), text.end(), [&](char c) { return is(c, wanted); });
}

bool all_or_escaped(std::string_view text, unsigned wanted) noexcept {
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (is(text[i], wanted)) continue;
        if (text[i] != '%' || text.size() - i < 3 || !is(text[i + 1], hex) || !is(text[i + 2], hex))
            return false;
        i += 2;
    }
    return true;
}

bool is_token(std::string_view text) noexcept {
    return !text.empty() && all(text, token);
}

namespace {

bool is_address(int family, std::string_view text) noexcept {
    std::array<char, INET6_ADDRSTRLEN> copy{};
    std::array<unsigned char, sizeof(struct in6_addr)> binary{};
    if (text.size() >= copy.size() || text.find('\0') != std::string_view::npos) return false;
    text.copy(copy.data(), text.size());
    return inet_pton(family, copy.data(), binary.data()) == 1;
}

bool is_host_name(std::string_view text) noexcept {
    if (text.ends_with('.')) text.remove_suffix(1);
    if (text.empty() || !all(text, host)) return false;
    if (text.front() == '.' || text.find("..") != std::string_view::npos) return false;
    // Digits and dots alone are an address or nothing (RFC 3261: the top label starts with a letter).
    return text.find_first_not_of("0123456789.") != std::string_view::npos || is_address(AF_INET, text);
}

} // namespace

std::optional<std::string_view> parse_host(std::string_view text) noexcept {
    if (text.starts_with('[')) {
        if (!text.ends_with(']')) return std::nullopt;
        const auto inner = text.substr(1, text.size() - 2);
        if (!is_address(AF_INET6, inner)) return std::nullopt;
        return inner;
    }
    if (!is_host_name(text)) return std::nullopt;
    return text;
}

std::optional<std::uint16_t> parse_port(std::string_view text) noexcept {
    const auto number = parse_number(text);
    if (!number || *number == 0 || *number > 65535) return std::nullopt;
    return static_cast<std::uint16_t>(*number);
}

bool parse_host_port(std::string_view text, std::string &host, std::uint16_t &port) {
    const std::size_t bracket = text.starts_with('[') ? text.find(']') : 0;
    if (bracket == std::string_view::npos) return false;
    const std::size_t colon = text.find(':', bracket);
    if (colon != std::string_view::npos) {
        const auto number = parse_port(trim(text.substr(colon + 1)));
        if (!number) return false;
        port = *number;
    }
    const auto name = parse_host(trim(text.substr(0, colon)));
    if (!name) return false;
    host = *name;
    return true;
}

std::string bracketed(std::string_view host) {
    if (host.find(':') == std::string_view::npos) return std::string(host);
    return "[" + std::string(host) + "]";
}

std::string unquote(std::string_view inner) {
    if (inner.find('\\') == std::string_view::npos) return std::string(inner);
    std::string out;
    out.reserve(inner.size());
    for (std::size_t i = 0; i < inner.size(); ++i) {
        if (inner[i] == '\\' && i + 1 < inner.size()) ++i;
        out += inner[i];
    }
    return out;
}

std::string quote(std::string_view text) {
    std::string out = "\"";
    out.reserve(text.size() + 2);
    for (char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
    }
    return out + '"';
}

std::string_view Scanner::take_until(std::string_view stops) noexcept {
    const std::size_t from = at_;
    at_ = std::min(text_.find_first_of(stops, at_), text_.size());
    return text_.substr(from, at_ - from);
}

std::optional<std::string_view> Scanner::take_quoted() noexcept {
    if (!accept('"')) return std::nullopt;
    const std::size_t from = at_;
    for (; at_ < text_.size(); ++at_) {
        if (text_[at_] == '"') return text_.substr(from, at_++ - from);
        if (text_[at_] == '\\' && ++at_ == text_.size()) break;
    }
    return std::nullopt;
}

bool parse_param(Scanner &scanner, Param &param) {
    scanner.skip_space();
    param.name = scanner.take(token);
    if (param.name.empty()) return false;
    scanner.skip_space();
    if (!scanner.accept('=')) return true;
    scanner.skip_space();
    param.has_value = true;
    if (scanner.peek() == '"') {
        const auto inner = scanner.take_quoted();
        if (!inner) return false;
        param.value = unquote(*inner);
        param.quoted = true;
    } else {
        param.value = scanner.take(value);
        if (param.value.empty()) return false;
    }
    scanner.skip_space();
    return true;
}

bool parse_params(Scanner &scanner, Params &params) {
    const auto rest = scanner.rest();
    const auto most = static_cast<std::size_t>(std::count(rest.begin(), rest.end(), ';'));
    params.items.reserve(params.items.size() + std::min(most, max_params));
    for (scanner.skip_space(); scanner.accept(';');) {
        Param param;
        if (params.items.size() == max_params || !parse_param(scanner, param)) return false;
        params.items.push_back(std::move(param));
    }
    return scanner.at_end();
}

Failure malformed(std::string_view what, std::string_view text) {
    constexpr std::size_t longest = 60;
    std::string shown(text.substr(0, longest));
    for (char &c : shown)
        if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = ' ';
    if (text.size() > longest) shown += "...";
    return fail(Errc::parse, std::string(what) + ": '" + shown + "'");
}

} // namespace offhook::sip::grammar
