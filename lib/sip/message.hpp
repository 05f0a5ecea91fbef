// A received SIP message: an index of views into its own bytes, made in linear time; header values are
// decoded only when asked for.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sip/headers.hpp"
#include "sip/method.hpp"

namespace offhook::sip {

enum class HeaderId : std::uint8_t {
    via,
    from,
    to,
    call_id,
    cseq,
    contact,
    max_forwards,
    content_length,
    content_type,
    content_encoding,
    content_disposition,
    route,
    record_route,
    require,
    proxy_require,
    supported,
    unsupported,
    allow,
    accept,
    accept_encoding,
    expires,
    min_expires,
    www_authenticate,
    proxy_authenticate,
    authorization,
    proxy_authorization,
    authentication_info,
    retry_after,
    reason,
    warning,
    date,
    user_agent,
    server,
    subject,
    alert_info,
    call_info,
    refer_to,
    referred_by,
    replaces,
    event,
    subscription_state,
    allow_events,
    rseq,
    rack,
    session_expires,
    min_se,
    path,
    service_route,
    p_asserted_identity,
    privacy,
    diversion,
    history_info,
    other
};

// By full or compact name (RFC 3261 §7.3.3), without case.
HeaderId header_id(std::string_view name) noexcept;

struct Header {
    HeaderId id = HeaderId::other;
    std::string_view name;  // as written
    std::string_view value; // unfolded (line folds became spaces), trimmed
};

// Copying is cheap (shared immutable bytes). Views stay valid as long as any copy lives.
class Message {
public:
    Message() = default;

    // One whole message: start line, headers, empty line (its absence at the very end is tolerated and
    // reported by complete()), body. The body is what follows, as far as Content-Length says; one that says
    // more than there is, is screen()'s to refuse. A header line that is none keeps an empty name, so that
    // screen() can refuse it too. Only the line structure is judged here. Limits: request line
    // 2 kB, header line 8 kB, 256 header lines, 64 KiB in all. Errors: Errc::parse.
    static Result<Message> parse(std::string bytes);

    [[nodiscard]] bool is_request() const noexcept { return status_ == 0; }
    [[nodiscard]] Method method() const noexcept { return method_; } // of a request; for a response, other
    [[nodiscard]] std::string_view method_token() const noexcept { return method_token_; }
    [[nodiscard]] std::string_view request_uri() const noexcept { return request_uri_; } // raw
    [[nodiscard]] std::string_view version() const noexcept { return version_; }         // "SIP/2.0"
    [[nodiscard]] unsigned status() const noexcept { return status_; } // 100..699 (0 for a request)
    [[nodiscard]] std::string_view reason() const noexcept { return reason_; }
    [[nodiscard]] bool complete() const noexcept { return complete_; } // an empty line ended the headers

    [[nodiscard]] std::span<const Header> headers() const noexcept;
    [[nodiscard]] const Header *find(HeaderId id) const noexcept;
    [[nodiscard]] const Header *find(std::string_view name) const noexcept; // any header, without case
    [[nodiscard]] bool has(HeaderId id) const noexcept { return find(id) != nullptr; }
    [[nodiscard]] std::string_view value(HeaderId id) const noexcept; // "" when absent
    [[nodiscard]] std::size_t count(HeaderId id) const noexcept;
    // All elements of all headers of that id, comma lists taken apart, in order.
    [[nodiscard]] std::vector<std::string_view> list(HeaderId id) const;
    [[nodiscard]] bool lists_token(HeaderId id, std::string_view token) const; // e.g. Supported: 100rel

    [[nodiscard]] std::string_view body() const noexcept { return body_; }
    [[nodiscard]] std::string_view bytes() const noexcept;

    // Decoders of what nearly everybody needs. Errors: Errc::parse (absent or malformed).
    [[nodiscard]] Result<Via> top_via() const;
    [[nodiscard]] Result<NameAddr> from() const;
    [[nodiscard]] Result<NameAddr> to() const;
    [[nodiscard]] Result<CSeq> cseq() const;
    [[nodiscard]] std::string_view call_id() const noexcept { return value(HeaderId::call_id); }
    [[nodiscard]] Result<Uri> uri() const; // the Request-URI
    [[nodiscard]] Result<std::vector<NameAddr>>
    addresses(HeaderId id) const; // Contact, Route, …; may be empty

private:
    Result<> set_start_line(std::string_view line);

    struct Index {
        std::string bytes;
        std::vector<Header> headers;
    };
    std::shared_ptr<const Index> index_;
    Method method_ = Method::other;
    bool complete_ = false;
    unsigned status_ = 0;
    std::string_view method_token_, request_uri_, version_, reason_, body_;
};

} // namespace offhook::sip
