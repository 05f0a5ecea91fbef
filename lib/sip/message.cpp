#include "sip/message.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "sip/grammar.hpp"

namespace offhook::sip {

namespace {

constexpr std::size_t max_bytes = 65536, max_request_line = 2048, max_header_line = 8192, max_headers = 256;

// What the position behind a line's LF says about the next line.
bool continues(std::string_view text, std::size_t at) {
    return at < text.size() && (text[at] == ' ' || text[at] == '\t');
}

// Takes lines off the front of our own copy of a message. CRLF ends a line, and a lone LF does too.
class Lines {
public:
    Lines(char *bytes, std::size_t size) noexcept : bytes_(bytes), size_(size) {}

    [[nodiscard]] bool at_end() const noexcept { return at_ == size_; }
    [[nodiscard]] std::string_view rest() const noexcept { return {bytes_ + at_, size_ - at_}; }
    void skip_empty() noexcept { // RFC 3261 §7.5
        while (!at_end() && (bytes_[at_] == '\r' || bytes_[at_] == '\n'))
            ++at_;
    }
    std::string_view take_line() noexcept {
        const std::size_t from = at_;
        return cut(from, find_end(from));
    }
    // The same, with the line ends of folds overwritten by spaces (RFC 3261 §7.3.1), so that values stay
    // views.
    std::string_view take_folded() noexcept {
        const std::size_t from = at_;
        std::size_t end = find_end(from);
        while (at_ > end && continues({bytes_, size_}, at_) && end > from && !is_empty(from, end)) {
            bytes_[end] = ' ';
            if (bytes_[end - 1] == '\r') bytes_[end - 1] = ' ';
            end = find_end(at_);
        }
        return cut(from, end);
    }

private:
    // Sets at_ behind the line end; returns the position of LF, or size_.
    std::size_t find_end(std::size_t from) noexcept {
        const void *const found = std::memchr(bytes_ + from, '\n', size_ - from);
        const std::size_t end =
            found != nullptr ? static_cast<std::size_t>(static_cast<const char *>(found) - bytes_) : size_;
        at_ = found != nullptr ? end + 1 : size_;
        return end;
    }
    [[nodiscard]] bool is_empty(std::size_t from, std::size_t end) const noexcept {
        return end == from + 1 && bytes_[from] == '\r';
    }
    [[nodiscard]] std::string_view cut(std::size_t from, std::size_t end) const noexcept {
        if (end > from && bytes_[end - 1] == '\r') --end;
        return {bytes_ + from, end - from};
    }

    char *bytes_;
    std::size_t size_;
    std::size_t at_ = 0;
};

// A line without a colon or with a name that is no token keeps an empty name: screen() refuses it with a
// 400, which an error here could not.
Header make_header(std::string_view line) noexcept {
    Header header;
    const std::size_t colon = line.find(':');
    auto name = line.substr(0, colon == std::string_view::npos ? 0 : colon);
    while (!name.empty() && (name.back() == ' ' || name.back() == '\t'))
        name.remove_suffix(1);
    if (!grammar::is_token(name)) {
        header.value = trim(line);
        return header;
    }
    header.id = header_id(name);
    header.name = name;
    header.value = trim(line.substr(colon + 1));
    return header;
}

struct StatusLine {
    std::string_view version, reason;
    unsigned status = 0;
};

Result<StatusLine> parse_status_line(std::string_view line) {
    StatusLine parsed;
    const std::size_t space = std::min(line.find(' '), line.size());
    parsed.version = line.substr(0, space);
    const auto rest = line.substr(std::min(space + 1, line.size()));
    const auto code = rest.substr(0, rest.find(' '));
    const auto number = parse_number(code);
    if (code.size() != 3 || !number || *number < 100 || *number > 699)
        return grammar::malformed("status line: expected a code from 100 to 699", line);
    parsed.status = static_cast<unsigned>(*number);
    parsed.reason = rest.substr(std::min<std::size_t>(4, rest.size()));
    return parsed;
}

struct RequestLine {
    std::string_view method, uri, version;
};

// Everything between the first and the last space is the Request-URI; screen() judges it, so that a
// malformed one can be answered.
Result<RequestLine> parse_request_line(std::string_view line) {
    const std::size_t first = line.find(' ');
    const std::size_t last = line.rfind(' ');
    if (first == std::string_view::npos || !grammar::is_token(line.substr(0, first)))
        return grammar::malformed("neither a SIP request nor a response", line);
    RequestLine parsed;
    parsed.method = line.substr(0, first);
    parsed.uri = line.substr(first + 1, std::max(last, first + 1) - first - 1);
    parsed.version = line.substr(last + 1);
    return parsed;
}

Failure too_large(std::string_view what, std::size_t limit) {
    return fail(Errc::parse, std::string(what) + " is larger than " + std::to_string(limit) + " bytes");
}

// True when an empty line ended them.
Result<bool> index_headers(Lines &lines, std::vector<Header> &headers) {
    headers.reserve(24);
    while (!lines.at_end()) {
        const auto line = lines.take_folded();
        if (line.empty()) return true;
        if (line.size() > max_header_line) return too_large("a header line", max_header_line);
        if (headers.size() == max_headers) return fail(Errc::parse, "more than 256 header lines");
        headers.push_back(make_header(line));
    }
    return false;
}

} // namespace

Result<Message> Message::parse(std::string bytes) {
    if (bytes.size() > max_bytes) return too_large("the message", max_bytes);
    auto index = std::make_shared<Index>();
    index->bytes = std::move(bytes);
    Lines lines(index->bytes.data(), index->bytes.size());
    lines.skip_empty();
    Message message;
    const auto start = lines.take_line();
    if (start.size() > max_request_line) return too_large("the start line", max_request_line);
    if (auto done = message.set_start_line(start); !done) return fail(done.error());
    const auto complete = index_headers(lines, index->headers);
    if (!complete) return fail(complete.error());
    message.complete_ = *complete;
    message.body_ = lines.rest();
    // Octets behind the declared body are not ours to read (RFC 3261 §18.3).
    for (const auto &header : index->headers) {
        if (header.id != HeaderId::content_length) continue;
        message.body_ = message.body_.substr(0, parse_number(header.value).value_or(message.body_.size()));
        break;
    }
    message.index_ = std::move(index);
    return message;
}

Result<> Message::set_start_line(std::string_view line) {
    if (line.size() >= 4 && iequals(line.substr(0, 4), "SIP/")) {
        auto parsed = parse_status_line(line);
        if (!parsed) return fail(parsed.error());
        version_ = parsed->version;
        status_ = parsed->status;
        reason_ = parsed->reason;
        return {};
    }
    auto parsed = parse_request_line(line);
    if (!parsed) return fail(parsed.error());
    method_token_ = parsed->method;
    method_ = parse_method(method_token_);
    request_uri_ = parsed->uri;
    version_ = parsed->version;
    return {};
}

std::span<const Header> Message::headers() const noexcept {
    return index_ ? std::span<const Header>(index_->headers) : std::span<const Header>{};
}

std::string_view Message::bytes() const noexcept {
    return index_ ? std::string_view(index_->bytes) : std::string_view{};
}

const Header *Message::find(HeaderId id) const noexcept {
    for (const auto &header : headers())
        if (header.id == id) return &header;
    return nullptr;
}

const Header *Message::find(std::string_view name) const noexcept {
    if (const HeaderId id = header_id(name); id != HeaderId::other) return find(id);
    for (const auto &header : headers())
        if (header.id == HeaderId::other && iequals(header.name, name)) return &header;
    return nullptr;
}

std::string_view Message::value(HeaderId id) const noexcept {
    const Header *const found = find(id);
    return found != nullptr ? found->value : std::string_view{};
}

std::size_t Message::count(HeaderId id) const noexcept {
    const auto all = headers();
    return static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [&](const Header &header) { return header.id == id; }));
}

std::vector<std::string_view> Message::list(HeaderId id) const {
    std::vector<std::string_view> elements;
    for (const auto &header : headers()) {
        if (header.id != id) continue;
        auto more = split_list(header.value);
        if (elements.empty())
            elements = std::move(more);
        else
            elements.insert(elements.end(), more.begin(), more.end());
    }
    return elements;
}

bool Message::lists_token(HeaderId id, std::string_view token) const {
    const auto elements = list(id);
    return std::any_of(elements.begin(), elements.end(),
                       [&](std::string_view element) { return iequals(element, token); });
}

namespace {

template <class T>
Result<T> decode(const Message &message, HeaderId id, std::string_view name) {
    const Header *const header = message.find(id);
    if (header == nullptr) return fail(Errc::parse, std::string(name) + " is missing");
    return T::parse(header->value);
}

} // namespace

Result<Via> Message::top_via() const {
    const Header *const header = find(HeaderId::via);
    if (header == nullptr) return fail(Errc::parse, "Via is missing");
    // Only the first element is decoded: the others are not ours.
    return Via::parse(first_element(header->value));
}

Result<NameAddr> Message::from() const {
    return decode<NameAddr>(*this, HeaderId::from, "From");
}

Result<NameAddr> Message::to() const {
    return decode<NameAddr>(*this, HeaderId::to, "To");
}

Result<CSeq> Message::cseq() const {
    return decode<CSeq>(*this, HeaderId::cseq, "CSeq");
}

Result<Uri> Message::uri() const {
    return Uri::parse(request_uri_);
}

Result<std::vector<NameAddr>> Message::addresses(HeaderId id) const {
    std::vector<NameAddr> all;
    for (const auto &header : headers()) {
        if (header.id != id) continue;
        auto some = NameAddr::parse_list(header.value);
        if (!some) return fail(some.error());
        std::move(some->begin(), some->end(), std::back_inserter(all));
    }
    return all;
}

} // namespace offhook::sip
