#include "sip/event_headers.hpp"

#include "sip/grammar.hpp"
#include "sip/headers.hpp"
#include "sip/status.hpp"

namespace offhook::sip {

namespace {

// token *( SEMI generic-param )
bool parse_token_and_params(std::string_view text, std::string &token, Params &params) {
    grammar::Scanner scanner(trim(text));
    token = scanner.take(grammar::token);
    scanner.skip_space();
    return !token.empty() && grammar::parse_params(scanner, params);
}

std::optional<std::uint32_t> seconds(const Params &params, std::string_view name) {
    if (!params.has(name)) return std::nullopt;
    const auto value = parse_delta_seconds(params.get(name));
    return value ? std::optional(*value) : std::nullopt;
}

} // namespace

Result<EventName> EventName::parse(std::string_view text) {
    EventName event;
    Params params;
    if (!parse_token_and_params(text, event.package, params)) {
        Error error = grammar::malformed("Event: expected a package", text).value();
        error.sip = 489;
        return fail(std::move(error));
    }
    event.id = params.get("id");
    return event;
}

std::string EventName::encode() const {
    return id.empty() ? package : package + ";id=" + id;
}

Result<SubscriptionStatus> SubscriptionStatus::parse(std::string_view text) {
    std::string word;
    Params params;
    if (!parse_token_and_params(text, word, params))
        return grammar::malformed("Subscription-State: expected a state", text);
    SubscriptionStatus status;
    if (iequals(word, "pending")) status.value = Value::pending;
    if (iequals(word, "terminated")) status.value = Value::terminated;
    status.expires = seconds(params, "expires");
    status.retry_after = seconds(params, "retry-after");
    status.reason = params.get("reason");
    return status;
}

std::string SubscriptionStatus::encode() const {
    std::string text = value == Value::active ? "active" : value == Value::pending ? "pending" : "terminated";
    if (!reason.empty()) text += ";reason=" + reason;
    if (expires && value != Value::terminated) text += ";expires=" + std::to_string(*expires);
    if (retry_after) text += ";retry-after=" + std::to_string(*retry_after);
    return text;
}

Result<SipFrag> parse_sipfrag(std::string_view body) {
    const std::string_view line = trim(body.substr(0, body.find_first_of("\r\n")));
    constexpr std::string_view version = "SIP/2.0 ";
    const auto wrong = [&] { return grammar::malformed("sipfrag: expected a status line", line); };
    if (line.size() < version.size() + 3 || !iequals(line.substr(0, version.size()), version)) return wrong();
    const std::string_view rest = line.substr(version.size());
    const auto status = parse_number(rest.substr(0, 3));
    if (!status || *status < 100 || *status > 699 || (rest.size() > 3 && rest[3] != ' ')) return wrong();
    return SipFrag{static_cast<unsigned>(*status), std::string(trim(rest.substr(3)))};
}

std::string make_sipfrag(unsigned status, std::string_view reason) {
    std::string line = "SIP/2.0 " + std::to_string(status) + " ";
    for (const char c : reason.empty() ? reason_phrase(status) : reason)
        line += c == '\r' || c == '\n' ? ' ' : c;
    return line + "\r\n";
}

bool is_sipfrag(std::string_view content_type) noexcept {
    return iequals(trim(content_type.substr(0, content_type.find(';'))), "message/sipfrag");
}

} // namespace offhook::sip
