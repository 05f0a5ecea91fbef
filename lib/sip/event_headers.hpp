// What NOTIFY and SUBSCRIBE carry: Event and Subscription-State (RFC 6665 §8.2), and the status line inside a
// message/sipfrag body (RFC 3420), by which a REFER's progress is told (RFC 3515 §2.4.5).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace offhook::sip {

// "dialog", "refer;id=93809824". Package names are case-sensitive tokens (RFC 6665 §8.4); ids are opaque.
struct EventName {
    std::string package;
    std::string id; // empty: none

    static Result<EventName> parse(std::string_view text); // Errc::parse, with 489 as its status
    [[nodiscard]] std::string encode() const;
    friend bool operator==(const EventName &, const EventName &) = default;
};

struct SubscriptionStatus {
    enum class Value : std::uint8_t { active, pending, terminated } value = Value::active;
    std::optional<std::uint32_t> expires{};     // seconds
    std::string reason{};                       // of the end: "deactivated", "noresource" …
    std::optional<std::uint32_t> retry_after{}; // seconds

    // An unknown state is read as "active" (RFC 6665 §4.1.3: extensions mean no end). Errors: Errc::parse.
    static Result<SubscriptionStatus> parse(std::string_view text);
    [[nodiscard]] std::string encode() const;
    friend bool operator==(const SubscriptionStatus &, const SubscriptionStatus &) = default;
};

struct SipFrag {
    unsigned status = 0; // 100..699
    std::string reason;
};
// The status line a sipfrag begins with. Errors: Errc::parse (anything else, or a status out of range).
Result<SipFrag> parse_sipfrag(std::string_view body);
std::string make_sipfrag(unsigned status, std::string_view reason = {}); // "SIP/2.0 200 OK\r\n"
bool is_sipfrag(std::string_view content_type) noexcept; // message/sipfrag, with or without version

} // namespace offhook::sip
