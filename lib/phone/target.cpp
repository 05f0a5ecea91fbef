#include "phone/target.hpp"

#include <algorithm>

#include "sip/headers.hpp"

namespace offhook {

namespace {

constexpr std::string_view separators = "-.() ";

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// A telephone number as people write it: starts like one, at least one digit, nothing else than separators.
bool looks_like_number(std::string_view text) {
    if (text.empty() || !(is_digit(text[0]) || text[0] == '+' || text[0] == '(')) return false;
    const auto rest = text.substr(text[0] == '+' ? 1 : 0);
    return std::ranges::any_of(rest, is_digit) && std::ranges::all_of(rest, [](char c) {
               return is_digit(c) || c == '*' || c == '#' || separators.find(c) != std::string_view::npos;
           });
}

std::string in_quotes(std::string_view text) {
    return "\"" + std::string(text) + "\"";
}

Failure cannot_call(std::string_view text, std::string_view why) {
    return fail(Errc::invalid_argument, "cannot call " + in_quotes(text) + ": " + std::string(why));
}

bool is_ipv4(std::string_view host) {
    return Address::parse(host).has_value();
}

bool is_port(std::string_view text) {
    const auto port = sip::parse_number(text);
    return port && *port > 0 && *port <= 65535;
}

// "host", "host:port", "[v6]", "[v6]:port": something that is not a user of the account's domain.
bool looks_like_host(std::string_view text) {
    if (text.starts_with('[')) return true;
    const auto colon = text.rfind(':');
    const auto host = text.substr(0, colon);
    if (colon != std::string_view::npos) return is_port(text.substr(colon + 1)) && !host.empty();
    if (sip::iequals(host, "localhost") || is_ipv4(host)) return true;
    return host.find('.') != std::string_view::npos && !looks_like_number(host);
}

Result<Target> from_uri(std::string_view text, std::string_view written) {
    auto uri = sip::Uri::parse(text);
    if (!uri) return cannot_call(written, uri.error().what);
    if (!uri->headers.empty())
        return cannot_call(written,
                           "a URI with headers (\"?" + uri->headers + "\") is not called; use --header");
    if (!uri->is_sip())
        return cannot_call(written, "the scheme \"" + uri->scheme + "\" is not one of sip, sips and tel");
    if (!uri->password.empty())
        return cannot_call(written, "a password in a URI is not sent (RFC 3261 §19.1.1)");
    const auto transport = uri->params.get("transport");
    if (uri->is_sips() && (sip::iequals(transport, "udp") || sip::iequals(transport, "sctp")))
        return cannot_call(written, "sips needs TLS, and transport=" + std::string(transport) + " has none");
    return Target{std::move(*uri), {}};
}

Result<Target> from_number(std::string_view number, std::string_view domain, std::string_view written) {
    if (domain.empty())
        return cannot_call(written,
                           "a user or number needs an account with a domain (--aor), or write USER@HOST");
    const auto stripped = strip_separators(number);
    return from_uri("sip:" + sip::escape_user(stripped) + "@" + std::string(domain) +
                        (stripped.starts_with('+') ? ";user=phone" : ""),
                    written);
}

Result<Target> from_tel(std::string_view text, std::string_view domain) {
    auto tel = sip::Uri::parse(text);
    if (!tel) return cannot_call(text, tel.error().what);
    return from_number(tel->user, domain, text);
}

std::string_view scheme_of(std::string_view text) {
    for (const std::string_view scheme : {"sip:", "sips:", "tel:"})
        if (sip::iequals(text.substr(0, scheme.size()), scheme)) return scheme;
    return {};
}

Result<Target> without_contacts(std::string_view text, std::string_view domain) {
    if (const auto scheme = scheme_of(text); scheme == "tel:")
        return from_tel(text, domain);
    else if (!scheme.empty())
        return from_uri(text, text);
    if (text.find("://") != std::string_view::npos)
        return cannot_call(text, "only sip:, sips: and tel: URIs can be called");
    if (text.find('@') != std::string_view::npos) return from_uri("sip:" + std::string(text), text);
    if (const auto ip = Address::parse(text); ip && ip->family() == AF_INET6)
        return from_uri("sip:" + ip->uri_host(), text);
    if (looks_like_host(text)) return from_uri("sip:" + std::string(text), text);
    return from_number(text, domain, text);
}

} // namespace

std::string strip_separators(std::string_view text) {
    std::string out(text);
    if (looks_like_number(text))
        std::erase_if(out, [](char c) { return separators.find(c) != std::string_view::npos; });
    return out;
}

Result<Target> parse_target(std::string_view text, std::span<const ContactSettings> contacts,
                            std::string_view domain) {
    text = sip::trim(text);
    if (text.empty())
        return fail(Errc::invalid_argument, "the target is empty: a URI, number, host or contact");
    const auto contact =
        std::ranges::find_if(contacts, [&](const ContactSettings &c) { return sip::iequals(c.name, text); });
    if (contact == contacts.end()) return without_contacts(text, domain);
    auto target = without_contacts(sip::trim(contact->uri), domain);
    if (!target)
        return fail(target.error().code, "contact " + in_quotes(contact->name) + ": " + target.error().what);
    target->account = contact->account;
    return target;
}

} // namespace offhook
