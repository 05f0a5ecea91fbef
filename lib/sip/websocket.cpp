#include "sip/websocket.hpp"

#include <algorithm>
#include <cstring>

#include "base/random.hpp"

namespace offhook::sip {

namespace {

using Kind = WebSocket::Event::Kind;

constexpr unsigned fin_bit = 0x80, reserved_bits = 0x70, opcode_bits = 0x0f, mask_bit = 0x80,
                   length_bits = 0x7f;
constexpr std::uint64_t longest_control = 125, length_16 = 126, length_64 = 127;

unsigned byte(char c) noexcept {
    return static_cast<unsigned char>(c);
}

std::uint64_t big_endian(const char *at, std::size_t size) noexcept {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i)
        value = value << 8U | byte(at[i]);
    return value;
}

void append_big_endian(std::string &out, std::uint64_t value, std::size_t size) {
    for (std::size_t i = size; i-- > 0;)
        out.push_back(static_cast<char>(value >> (8 * i) & 0xffU));
}

// §5.3, eight bytes at a time; `mask` begins with the key byte for the first of them.
void apply_mask(std::span<char> data, const std::array<char, 4> &mask) noexcept {
    std::array<char, 8> twice{mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3]};
    std::uint64_t key = 0, word = 0;
    std::memcpy(&key, twice.data(), sizeof key);
    std::size_t at = 0;
    for (; at + sizeof word <= data.size(); at += sizeof word) {
        std::memcpy(&word, data.data() + at, sizeof word);
        word ^= key;
        std::memcpy(data.data() + at, &word, sizeof word);
    }
    for (; at < data.size(); ++at)
        data[at] = static_cast<char>(byte(data[at]) ^ byte(mask[at % 4]));
}

// Those of RFC 6455 §7.4.1 that may be on the wire, those of IANA's registry, and those of applications.
bool is_sendable(std::uint64_t code) noexcept {
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

} // namespace

std::optional<WebSocket::Event> WebSocket::next(std::span<char> &bytes) {
    forget_delivered();
    while (!ended_) {
        if (!in_frame_) {
            if (!read_header(bytes)) return std::nullopt;
            if (auto wrong = begin_frame()) return wrong;
        }
        const auto part =
            bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, bytes.size())));
        unmask(part);
        bytes = bytes.subspan(part.size());
        remaining_ -= part.size();
        const std::string_view payload(part.data(), part.size());
        if (remaining_ > 0) {
            if (!keep(payload)) return fail(close_code::not_utf8, "a text message that is not UTF-8");
            return std::nullopt;
        }
        in_frame_ = false;
        if (auto event = frame_ended(payload)) return event;
    }
    bytes = bytes.last(0);
    return std::nullopt;
}

void WebSocket::forget_delivered() {
    if (!delivered_) return;
    delivered_ = false;
    if (!control_.empty()) return std::string().swap(control_); // amid a message perhaps
    std::string().swap(message_);
}

std::size_t WebSocket::header_size() const noexcept {
    if (header_length_ < 2) return 2;
    const unsigned length = byte(header_[1]) & length_bits;
    const std::size_t extended = length == length_16 ? 2 : length == length_64 ? 8 : 0;
    return 2 + extended + ((byte(header_[1]) & mask_bit) != 0 ? 4 : 0);
}

// True when the header is complete.
bool WebSocket::read_header(std::span<char> &bytes) {
    while (header_length_ < header_size()) {
        if (bytes.empty()) return false;
        const std::size_t size = std::min<std::size_t>(header_size() - header_length_, bytes.size());
        std::copy_n(bytes.begin(), size, header_.begin() + header_length_);
        header_length_ = static_cast<std::uint8_t>(header_length_ + size);
        bytes = bytes.subspan(size);
    }
    return true;
}

// §5.2. The length is judged before anything is reckoned with it.
std::optional<WebSocket::Event> WebSocket::begin_frame() {
    const unsigned first = byte(header_[0]), second = byte(header_[1]);
    const std::size_t size = header_length_;
    const bool masked = (second & mask_bit) != 0;
    const std::size_t extended = size - 2 - (masked ? 4 : 0);
    remaining_ = extended == 0 ? second & length_bits : big_endian(&header_[2], extended);
    header_length_ = 0;
    fin_ = (first & fin_bit) != 0;
    opcode_ = static_cast<Opcode>(first & opcode_bits);
    if ((first & reserved_bits) != 0) return fail(close_code::protocol_error, "a reserved bit is set");
    if (masked != (role_ == Role::server))
        return fail(close_code::protocol_error,
                    masked ? "a masked frame from a server" : "a frame that is not masked");
    if ((extended == 2 && remaining_ <= longest_control) || (extended == 8 && remaining_ <= 0xffff))
        return fail(close_code::protocol_error, "a length in a longer form than it needs");
    if (remaining_ >> 63U != 0) return fail(close_code::protocol_error, "a length of 2^63 or more");
    mask_at_ = 0;
    mask_ = {};
    if (masked) std::copy_n(header_.begin() + static_cast<std::ptrdiff_t>(size) - 4, 4, mask_.begin());
    in_frame_ = true;
    if (!is_control()) return check_data_frame();
    if (opcode_ > Opcode::pong) return fail(close_code::protocol_error, "an unknown opcode");
    if (!fin_) return fail(close_code::protocol_error, "a control frame in fragments");
    if (remaining_ > longest_control)
        return fail(close_code::protocol_error, "a control frame longer than 125 bytes");
    return std::nullopt;
}

std::optional<WebSocket::Event> WebSocket::check_data_frame() noexcept {
    const bool first = opcode_ != Opcode::continuation;
    if (opcode_ > Opcode::binary) return fail(close_code::protocol_error, "an unknown opcode");
    if (first && message_kind_ != Opcode::continuation)
        return fail(close_code::protocol_error, "a new message amid another");
    if (!first && message_kind_ == Opcode::continuation)
        return fail(close_code::protocol_error, "a continuation of no message");
    if (first) {
        message_kind_ = opcode_;
        fragments_ = 0;
        utf8_.reset();
    }
    if (++fragments_ > limits_.fragments) return fail(close_code::policy, "a message in too many fragments");
    if (remaining_ > limits_.message - message_.size())
        return fail(close_code::too_big, "a message that is too long");
    return std::nullopt;
}

void WebSocket::unmask(std::span<char> part) noexcept {
    if (role_ != Role::server || part.empty()) return;
    std::array<char, 4> turned{};
    for (std::size_t i = 0; i < 4; ++i)
        turned.at(i) = mask_.at((mask_at_ + i) % 4);
    apply_mask(part, turned);
    mask_at_ = static_cast<std::uint8_t>((mask_at_ + part.size()) % 4);
}

// Part of a frame whose rest is still to come. False when it cannot be text.
bool WebSocket::keep(std::string_view part) {
    if (is_control()) {
        control_ += part;
        return true;
    }
    message_ += part;
    return message_kind_ != Opcode::text || utf8_.push(part);
}

std::optional<WebSocket::Event> WebSocket::frame_ended(std::string_view part) {
    if (!is_control()) return data_ended(part);
    std::string_view payload = part;
    if (!control_.empty()) {
        control_ += part;
        payload = control_;
        delivered_ = true;
    }
    if (opcode_ == Opcode::close) return close_frame(payload);
    return Event{opcode_ == Opcode::ping ? Kind::ping : Kind::pong, payload};
}

std::optional<WebSocket::Event> WebSocket::data_ended(std::string_view part) {
    const bool text = message_kind_ == Opcode::text;
    if (text && (!utf8_.push(part) || (fin_ && !utf8_.complete())))
        return fail(close_code::not_utf8, "a text message that is not UTF-8");
    const bool whole = fin_ && message_.empty();
    if (!whole) message_ += part;
    if (!fin_) return std::nullopt;
    message_kind_ = Opcode::continuation;
    delivered_ = !whole;
    return Event{text ? Kind::text : Kind::binary, whole ? part : std::string_view(message_)};
}

std::optional<WebSocket::Event> WebSocket::close_frame(std::string_view payload) {
    if (payload.empty()) {
        ended_ = true;
        return Event{Kind::close, {}, close_code::none};
    }
    if (payload.size() == 1) return fail(close_code::protocol_error, "half a close code");
    const std::uint64_t code = big_endian(payload.data(), 2);
    if (!is_sendable(code)) return fail(close_code::protocol_error, "an impossible close code");
    if (!is_utf8(payload.substr(2))) return fail(close_code::not_utf8, "a close reason that is not UTF-8");
    ended_ = true;
    return Event{Kind::close, payload.substr(2), static_cast<std::uint16_t>(code)};
}

WebSocket::Event WebSocket::fail(std::uint16_t code, std::string_view why) noexcept {
    ended_ = true;
    return {Kind::failed, why, code};
}

void WebSocket::append(std::string &out, Opcode opcode, std::string_view payload) const {
    const unsigned mask = role_ == Role::client ? mask_bit : 0;
    const std::uint64_t size = payload.size();
    const std::size_t extended = size <= longest_control ? 0 : size <= 0xffff ? 2 : 8;
    out.reserve(out.size() + longest_header + payload.size());
    out.push_back(static_cast<char>(fin_bit | static_cast<unsigned>(opcode)));
    out.push_back(static_cast<char>(mask | static_cast<unsigned>(extended == 0   ? size
                                                                 : extended == 2 ? length_16
                                                                                 : length_64)));
    append_big_endian(out, size, extended);
    if (mask == 0) {
        out += payload;
        return;
    }
    const std::uint32_t random = random_u32();
    std::array<char, 4> key{};
    std::memcpy(key.data(), &random, sizeof random);
    out.append(key.data(), key.size());
    const std::size_t start = out.size();
    out += payload;
    apply_mask(std::span(out).subspan(start), key);
}

void WebSocket::append_close(std::string &out, std::uint16_t code, std::string_view reason) const {
    std::string payload;
    if (code != close_code::none) {
        append_big_endian(payload, code, 2);
        reason = reason.substr(0, longest_control - 2);
        while (!is_utf8(reason)) // cut amid a character
            reason.remove_suffix(1);
        payload += reason;
    }
    append(out, Opcode::close, payload);
}

} // namespace offhook::sip
