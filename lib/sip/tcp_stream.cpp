#include "sip/tcp_stream.hpp"

#include <algorithm>
#include <utility>

namespace offhook::sip {

namespace {

constexpr std::size_t most_early_bytes = std::size_t{256} * 1024, most_early_segments = 256;
constexpr std::size_t longest_start_line = 2048;

// The front of a start line whose rest is in the next segment.
bool may_become_sip(std::string_view bytes) noexcept {
    const auto start = bytes.find_first_not_of("\r\n");
    if (start == std::string_view::npos) return bytes.size() < 16;
    bytes.remove_prefix(start);
    if (bytes.size() > longest_start_line || bytes.find('\n') != std::string_view::npos) return false;
    const auto space = bytes.find(' ');
    const auto method = bytes.substr(0, space);
    constexpr std::size_t longest_method = 32;
    const bool token = std::all_of(method.begin(), method.end(), [](unsigned char c) {
        return c > 0x20 && c < 0x7f &&
               std::string_view("()<>@,;:\\\"/[]?={}").find(static_cast<char>(c)) == std::string_view::npos;
    });
    if (std::string_view("SIP/2.0 ").starts_with(bytes)) return true;
    if (!token || method.size() > longest_method) return false;
    if (space == std::string_view::npos) return true;
    const auto uri = bytes.substr(space + 1);
    const auto begins = [uri](std::string_view scheme) {
        return uri.starts_with(scheme) || scheme.starts_with(uri);
    };
    return begins("sip:") || begins("sips:") || begins("tel:");
}

bool is_tls_record(std::string_view bytes) noexcept { // a handshake record of any version
    return bytes.size() >= 3 && bytes[0] == 0x16 && bytes[1] == 0x03;
}

} // namespace

bool looks_like_sip(std::string_view bytes) noexcept {
    const auto start = bytes.find_first_not_of("\r\n");
    if (start == std::string_view::npos) return false;
    bytes.remove_prefix(start);
    if (bytes.starts_with("SIP/2.0 ")) return true;
    const auto line = bytes.substr(0, std::min(bytes.find('\n'), longest_start_line));
    const auto space = line.find(' ');
    if (space == 0 || space == std::string_view::npos) return false;
    const auto method = line.substr(0, space);
    return line.find(" SIP/", space) != std::string_view::npos &&
           method.find_first_of(":/\t\r") == std::string_view::npos;
}

void TcpStream::add(const TcpSegment &segment, const OnMessage &message) {
    const std::uint32_t first = segment.sequence + (segment.syn ? 1U : 0U);
    if (segment.syn && (!next_ || *next_ != first)) { // a new connection with the same ports
        flush(message);
        *this = TcpStream();
        next_ = first;
    }
    if (segment.payload.empty()) return;
    if (!next_) next_ = first; // the capture began in the middle
    const auto distance = static_cast<std::int32_t>(first - *next_);
    if (distance <= 0) {
        const auto known = static_cast<std::size_t>(-std::int64_t{distance});
        if (known < segment.payload.size()) deliver(segment.payload.substr(known), message);
        return drain(message);
    }
    const auto [at, fresh] = early_.emplace(position_ + distance, segment.payload);
    if (fresh) early_bytes_ += at->second.size();
    while (early_bytes_ > most_early_bytes || early_.size() > most_early_segments)
        skip_gap(message); // what is missing was not captured
}

void TcpStream::drain(const OnMessage &message) {
    while (!early_.empty() && early_.begin()->first <= position_) {
        const auto node = early_.extract(early_.begin());
        early_bytes_ -= node.mapped().size();
        const auto known = static_cast<std::size_t>(position_ - node.key());
        if (known < node.mapped().size()) deliver(std::string_view(node.mapped()).substr(known), message);
    }
}

void TcpStream::skip_gap(const OnMessage &message) {
    if (early_.empty()) return;
    const auto gap = early_.begin()->first - position_;
    framer_.reset();
    start_.clear();
    position_ += gap;
    next_ = *next_ + static_cast<std::uint32_t>(gap);
    drain(message);
}

void TcpStream::flush(const OnMessage &message) {
    while (!early_.empty())
        skip_gap(message);
}

void TcpStream::deliver(std::string_view bytes, const OnMessage &message) {
    position_ += static_cast<std::int64_t>(bytes.size());
    next_ = *next_ + static_cast<std::uint32_t>(bytes.size());
    if (!framer_) {
        tls_ = tls_ || is_tls_record(bytes);
        start_ += bytes;
        const bool sip = looks_like_sip(start_);
        if (!sip && !may_become_sip(start_)) start_.clear();
        if (!sip) return;
        framer_.emplace();
        framer_->push(std::exchange(start_, {}));
    } else {
        framer_->push(bytes);
    }
    while (true) {
        auto item = framer_->next();
        if (!item) return framer_.reset(); // not at a message any more
        if (!*item) return;
        if ((*item)->kind == StreamFramer::Item::Kind::message) message(std::move((*item)->bytes));
    }
}

} // namespace offhook::sip
