// Request and response heads of HTTP/1.1 (RFC 9112), as much of it as WebSocket servers and clients and a few
// small pages need: strict, bounded, linear.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace offhook::sip {

struct HttpHead {
    std::string method, target; // of a request; the target as written: "/ws?x=1"
    unsigned status = 0;        // of a response
    std::string reason;
    unsigned minor = 1; // HTTP/1.minor
    std::vector<std::pair<std::string, std::string>> headers;

    // `text` up to and with the empty line. Errors: Errc::parse; `sip` is the HTTP status to answer with.
    static Result<HttpHead> parse_request(std::string_view text);
    static Result<HttpHead> parse_response(std::string_view text);

    [[nodiscard]] std::size_t count(std::string_view name) const noexcept; // names without case
    [[nodiscard]] std::string_view
    value(std::string_view name) const noexcept; // of the first; "" when absent
    [[nodiscard]] std::vector<std::string_view>
    list(std::string_view name) const; // the elements of all of them
    [[nodiscard]] bool has_token(std::string_view name,
                                 std::string_view token) const; // in that list, without case
    [[nodiscard]] std::string_view path() const noexcept;       // the target without its query
};

// Gathers a head as it comes in. Holds nothing before the first byte and nothing after the last.
class HttpHeadReader {
public:
    static constexpr std::size_t head_at_most = 16'384, first_line_at_most = 2'048, line_at_most = 8'192,
                                 lines_at_most = 64;

    // Takes what it needs from the front of `bytes`; the head once it is whole. Errors: Errc::parse, with
    // the HTTP status (400, 414, 431).
    Result<std::optional<std::string>> push(std::string_view &bytes);

private:
    Result<> end_of_line(std::string_view line);

    std::string text_;
    std::size_t line_start_ = 0, lines_ = 0;
};

struct HttpResponse {
    unsigned status = 200;
    std::string content_type, body;
    std::vector<std::pair<std::string, std::string>> headers;

    // The connection is closed after it. HEAD gets no body.
    [[nodiscard]] std::string encode(bool with_body = true) const;
    static HttpResponse text(unsigned status, std::string_view line); // a line of plain text
};

std::string_view http_reason(unsigned status) noexcept;

} // namespace offhook::sip
