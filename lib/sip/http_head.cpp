#include "sip/http_head.hpp"

#include <algorithm>
#include <array>

#include "sip/grammar.hpp"
#include "sip/headers.hpp"

namespace offhook::sip {

namespace {

Failure refuse(unsigned status, std::string_view why) {
    return fail(Errc::parse, "HTTP: " + std::string(why), status);
}

bool is_printable(std::string_view text) { // field-content: no control characters but the tab
    return std::ranges::none_of(text, [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return (byte < 0x20 && c != '\t') || byte == 0x7f;
    });
}

bool is_visible(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

std::string_view take_line(std::string_view &text) {
    const std::size_t end = text.find("\r\n");
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(text.size(), line.size() + 2));
    return line;
}

// "HTTP/1.1"; the minor version.
std::optional<unsigned> minor_version(std::string_view text) {
    if (text.size() != 8 || !text.starts_with("HTTP/1.") || text[7] < '0' || text[7] > '9')
        return std::nullopt;
    return static_cast<unsigned>(text[7] - '0');
}

Result<> parse_headers(std::string_view rest, HttpHead &head) {
    while (!rest.empty()) {
        const auto line = take_line(rest);
        if (line.empty()) break;
        const std::size_t colon = line.find(':');
        // A name with white space before its colon, or a folded line, is read differently by others.
        if (colon == std::string_view::npos || !grammar::is_token(line.substr(0, colon)))
            return refuse(400, "a malformed header line");
        const auto value = trim(line.substr(colon + 1));
        if (!is_printable(value)) return refuse(400, "a control character in a header");
        head.headers.emplace_back(line.substr(0, colon), value);
    }
    return {};
}

// What a request needs to be read in one way only (RFC 9112 §3.2, §6.3).
Result<> check_request(const HttpHead &head) {
    if (head.count("Host") > 1 || (head.minor >= 1 && head.count("Host") == 0))
        return refuse(400, "not exactly one Host header");
    if (head.count("Transfer-Encoding") > 0) return refuse(501, "a request with a coded body");
    if (head.count("Content-Length") > 1) return refuse(400, "two Content-Length headers");
    if (head.count("Content-Length") == 1) {
        const auto length = parse_number(head.value("Content-Length"));
        if (!length) return refuse(400, "Content-Length is not a number");
        if (*length > 0) return refuse(413, "a request with a body");
    }
    return {};
}

} // namespace

Result<HttpHead> HttpHead::parse_request(std::string_view text) {
    const auto line = take_line(text);
    const std::size_t first = line.find(' '), last = line.rfind(' ');
    if (first == std::string_view::npos || last == first) return refuse(400, "no request line");
    HttpHead head;
    head.method = line.substr(0, first);
    head.target = line.substr(first + 1, last - first - 1);
    const auto version = line.substr(last + 1);
    if (!grammar::is_token(head.method) || !is_visible(head.target))
        return refuse(400, "a malformed request line");
    if (!version.starts_with("HTTP/")) return refuse(400, "not an HTTP request");
    const auto minor = minor_version(version);
    if (!minor) return refuse(505, "not HTTP/1.1");
    if (!head.target.starts_with('/')) return refuse(400, "a request target that is no path");
    head.minor = *minor;
    if (auto parsed = parse_headers(text, head); !parsed) return fail(parsed.error());
    if (auto checked = check_request(head); !checked) return fail(checked.error());
    return head;
}

Result<HttpHead> HttpHead::parse_response(std::string_view text) {
    const auto line = take_line(text);
    const auto minor = minor_version(line.substr(0, 8));
    if (!minor || line.size() < 12 || line[8] != ' ') return refuse(0, "not an HTTP response");
    const auto status = parse_number(line.substr(9, 3));
    if (!status || *status < 100 || (line.size() > 12 && line[12] != ' '))
        return refuse(0, "not an HTTP response");
    HttpHead head;
    head.minor = *minor;
    head.status = static_cast<unsigned>(*status);
    if (line.size() > 13) head.reason = line.substr(13);
    if (auto parsed = parse_headers(text, head); !parsed) return fail(parsed.error());
    return head;
}

std::size_t HttpHead::count(std::string_view name) const noexcept {
    return static_cast<std::size_t>(
        std::ranges::count_if(headers, [&](const auto &header) { return iequals(header.first, name); }));
}

std::string_view HttpHead::value(std::string_view name) const noexcept {
    const auto found =
        std::ranges::find_if(headers, [&](const auto &header) { return iequals(header.first, name); });
    return found == headers.end() ? std::string_view{} : std::string_view(found->second);
}

std::vector<std::string_view> HttpHead::list(std::string_view name) const {
    std::vector<std::string_view> elements;
    for (const auto &[key, value] : headers) {
        if (!iequals(key, name)) continue;
        for (std::string_view rest = value; !rest.empty();) {
            const std::size_t comma = rest.find(',');
            if (const auto element = trim(rest.substr(0, comma)); !element.empty())
                elements.push_back(element);
            rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
        }
    }
    return elements;
}

bool HttpHead::has_token(std::string_view name, std::string_view token) const {
    const auto elements = list(name);
    return std::ranges::any_of(elements, [&](std::string_view element) { return iequals(element, token); });
}

std::string_view HttpHead::path() const noexcept {
    return std::string_view(target).substr(0, target.find_first_of("?#"));
}

Result<> HttpHeadReader::end_of_line(std::string_view line) {
    if (!line.ends_with('\r')) return refuse(400, "a line that does not end in CRLF");
    if (line.substr(0, line.size() - 1).find('\r') != std::string_view::npos)
        return refuse(400, "a stray CR");
    if (line.find('\0') != std::string_view::npos) return refuse(400, "a NUL byte");
    if (++lines_ > lines_at_most + 2) return refuse(431, "more than 64 header lines");
    return {};
}

Result<std::optional<std::string>> HttpHeadReader::push(std::string_view &bytes) {
    while (!bytes.empty()) {
        const std::size_t lf = bytes.find('\n');
        const auto part = bytes.substr(0, lf == std::string_view::npos ? lf : lf + 1);
        const std::size_t length = text_.size() - line_start_ + part.size();
        if (lines_ == 0 && length > first_line_at_most) return refuse(414, "a request line longer than 2 kB");
        if (length > line_at_most) return refuse(431, "a header line longer than 8 kB");
        if (text_.size() + part.size() > head_at_most) return refuse(431, "headers longer than 16 kB");
        text_ += part;
        bytes.remove_prefix(part.size());
        if (lf == std::string_view::npos) break;
        const auto line = std::string_view(text_).substr(line_start_, text_.size() - 1 - line_start_);
        if (auto checked = end_of_line(line); !checked) return fail(checked.error());
        const bool empty = line == "\r";
        if (empty && lines_ == 1) return refuse(400, "an empty request line");
        line_start_ = text_.size();
        if (empty) return std::exchange(text_, {});
    }
    return std::nullopt;
}

std::string_view http_reason(unsigned status) noexcept {
    struct Row {
        unsigned status;
        std::string_view reason;
    };
    static constexpr std::array rows{
        Row{101, "Switching Protocols"},
        Row{200, "OK"},
        Row{304, "Not Modified"},
        Row{400, "Bad Request"},
        Row{401, "Unauthorized"},
        Row{403, "Forbidden"},
        Row{404, "Not Found"},
        Row{405, "Method Not Allowed"},
        Row{408, "Request Timeout"},
        Row{413, "Content Too Large"},
        Row{414, "URI Too Long"},
        Row{426, "Upgrade Required"},
        Row{429, "Too Many Requests"},
        Row{431, "Request Header Fields Too Large"},
        Row{500, "Internal Server Error"},
        Row{501, "Not Implemented"},
        Row{503, "Service Unavailable"},
        Row{505, "HTTP Version Not Supported"},
    };
    const auto *const found = std::ranges::find(rows, status, &Row::status);
    return found == rows.end() ? std::string_view("Unknown") : found->reason;
}

std::string HttpResponse::encode(bool with_body) const {
    std::string out = "HTTP/1.1 " + std::to_string(status) + " " + std::string(http_reason(status)) + "\r\n";
    for (const auto &[name, value] : headers)
        out += name + ": " + value + "\r\n";
    if (!content_type.empty()) out += "Content-Type: " + content_type + "\r\n";
    out += "Content-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n";
    if (with_body) out += body;
    return out;
}

HttpResponse HttpResponse::text(unsigned status, std::string_view line) {
    return {status, "text/plain; charset=utf-8", std::string(line) + "\n", {}};
}

} // namespace offhook::sip
