#include "bridge/forwarded.hpp"

#include <algorithm>

#include "sip/headers.hpp"

namespace offhook::bridge {

namespace {

constexpr std::size_t most_entries = 32;

Failure bad(std::string_view header) {
    Error error{Errc::parse, "The header " + std::string(header) + " is not understood."};
    error.sip = 400;
    return tl::unexpected(error);
}

// "192.0.2.1", "192.0.2.1:4711", "2001:db8::1", "[2001:db8::1]:4711".
std::optional<Address> node(std::string_view text) {
    std::string_view host = text, port;
    const auto bracket = text.find(']');
    if (text.starts_with('[') && bracket != std::string_view::npos) {
        host = text.substr(1, bracket - 1);
        port = text.substr(bracket + 1);
    } else if (std::ranges::count(text, ':') == 1) {
        host = text.substr(0, text.find(':'));
        port = text.substr(host.size());
    }
    const auto number = port.empty()            ? std::optional<std::uint64_t>(0)
                        : port.starts_with(':') ? sip::parse_number(port.substr(1))
                                                : std::nullopt;
    if (!number || *number > UINT16_MAX || host.find_first_of("[]%") != std::string_view::npos)
        return std::nullopt;
    const auto address = Address::parse(host, static_cast<std::uint16_t>(*number));
    return address ? std::optional(*address) : std::nullopt;
}

// The value of for= in one element of Forwarded: a token or a quoted string, which has no escapes in an
// address.
std::optional<std::string_view> for_of(std::string_view element) {
    std::optional<std::string_view> found;
    while (!element.empty()) {
        const auto semicolon = element.find(';');
        const std::string_view pair = sip::trim(element.substr(0, semicolon));
        element = semicolon == std::string_view::npos ? "" : element.substr(semicolon + 1);
        const auto equals = pair.find('=');
        if (equals == std::string_view::npos) return std::nullopt;
        if (!sip::iequals(pair.substr(0, equals), "for")) continue;
        std::string_view value = pair.substr(equals + 1);
        if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
            value = value.substr(1, value.size() - 2);
        if (found) return std::nullopt;
        found = value;
    }
    return found;
}

// From the end, as each proxy adds itself there what it has seen. What stands before the first untrusted one
// is hearsay and not even read.
Result<std::optional<Address>> client_in(const sip::HttpHead &request, std::string_view header,
                                         std::span<const Network> trusted) {
    const auto entries = request.list(header);
    if (entries.empty()) return request.count(header) == 0 ? Result<std::optional<Address>>() : bad(header);
    if (entries.size() > most_entries) return bad(header);
    std::optional<Address> client;
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
        const auto text = header == "Forwarded" ? for_of(*entry) : std::optional(*entry);
        client = text ? node(*text) : std::nullopt;
        if (!client) return bad(header);
        if (std::ranges::none_of(trusted, [&](const Network &one) { return one.contains(*client); })) break;
    }
    return client;
}

} // namespace

Result<std::optional<Address>> forwarded_client(const sip::HttpHead &request,
                                                std::span<const Network> trusted) {
    auto one = client_in(request, "X-Forwarded-For", trusted);
    auto other = client_in(request, "Forwarded", trusted);
    if (!one || !*one) return one ? other : one;
    if (!other) return other;
    if (*other && !(*one)->same_ip(**other)) return bad("Forwarded");
    return one;
}

} // namespace offhook::bridge
