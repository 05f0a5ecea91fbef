#include "sip/framer.hpp"

#include "sip/message.hpp"

namespace offhook::sip {

namespace {

constexpr std::size_t max_message = 65536;

// Position behind the empty line that ends the headers, by the same rule as Message::parse: a line ends with
// LF, a CR before it is part of the end. `from` is where to go on; it is moved on when there is none yet.
std::optional<std::size_t> end_of_headers(std::string_view text, std::size_t &from) {
    while (true) {
        const std::size_t lf = text.find('\n', from);
        if (lf == std::string_view::npos) {
            from = text.size();
            return std::nullopt;
        }
        const std::size_t next = lf + 1;
        if (text.substr(next, 1) == "\n") return next + 1;
        if (text.substr(next, 2) == "\r\n") return next + 2;
        if (next == text.size() || (text[next] == '\r' && next + 1 == text.size())) {
            from = lf;
            return std::nullopt;
        }
        from = next;
    }
}

Failure lost(std::string_view why) {
    return fail(Errc::parse, "stream: " + std::string(why));
}

// The value of the header line at the front of `head`, folds included; `head` moves behind it.
std::string_view take_header(std::string_view &head) {
    std::size_t end = 0;
    do {
        const std::size_t lf = head.find('\n', end);
        end = lf == std::string_view::npos ? head.size() : lf + 1;
    } while (end < head.size() && (head[end] == ' ' || head[end] == '\t'));
    const auto line = head.substr(0, end);
    head.remove_prefix(end);
    return line;
}

// Content-Length of a whole head; 0 when there is none.
Result<std::size_t> content_length(std::string_view head) {
    std::optional<std::size_t> length;
    while (!head.empty()) {
        const auto line = take_header(head);
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos ||
            header_id(trim(line.substr(0, colon))) != HeaderId::content_length)
            continue;
        if (length) return lost("two Content-Length headers");
        const auto number = parse_number(trim(line.substr(colon + 1)));
        if (!number) return lost("Content-Length is not a number");
        if (*number > max_message) return lost("a message larger than 65536 bytes");
        length = static_cast<std::size_t>(*number);
    }
    return length.value_or(0);
}

} // namespace

void StreamFramer::push(std::string_view bytes) {
    // What was handed out goes before the buffer grows: at most one move per byte.
    if (start_ > 0 && start_ >= buffer_.size() - start_) {
        buffer_.erase(0, start_);
        scanned_ -= start_;
        start_ = 0;
    }
    buffer_ += bytes;
}

std::optional<StreamFramer::Item> StreamFramer::take(Item::Kind kind, std::size_t size) {
    Item item{kind, buffer_.substr(start_, size)};
    start_ += size;
    scanned_ = start_;
    needed_ = 0;
    return item;
}

Result<std::optional<StreamFramer::Item>> StreamFramer::next() {
    auto rest = std::string_view(buffer_).substr(start_);
    while (rest.starts_with('\n')) { // what an LF-only peer sends between messages
        ++start_;
        scanned_ = start_;
        rest.remove_prefix(1);
    }
    if (rest.starts_with("\r\n\r\n")) return take(Item::Kind::ping, 4);
    // A pong is not held back for more: half a ping that TCP cut in two counts as one.
    if (rest.starts_with("\r\n")) return take(Item::Kind::pong, 2);
    if (rest.empty() || rest == "\r") return std::nullopt;
    if (needed_ == 0) {
        std::size_t from = scanned_ - start_;
        const auto head = end_of_headers(rest, from);
        scanned_ = start_ + from;
        if (head.value_or(rest.size()) > max_message) return lost("headers larger than 65536 bytes");
        if (!head) return std::nullopt;
        const auto body = content_length(rest.substr(0, *head));
        if (!body) return fail(body.error());
        if (*head + *body > max_message) return lost("a message larger than 65536 bytes");
        needed_ = *head + *body;
    }
    if (rest.size() < needed_) return std::nullopt;
    return take(Item::Kind::message, needed_);
}

} // namespace offhook::sip
