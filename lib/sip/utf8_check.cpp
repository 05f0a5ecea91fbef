#include "sip/utf8_check.hpp"

#include <cstring>

namespace offhook::sip {

namespace {

constexpr std::uint8_t first_continuation = 0x80, last_continuation = 0xbf;

// How many bytes at the front are plain ASCII, counted by eights.
std::size_t ascii_run(std::string_view bytes) noexcept {
    std::size_t at = 0;
    for (std::uint64_t word = 0; at + sizeof word <= bytes.size(); at += sizeof word) {
        std::memcpy(&word, bytes.data() + at, sizeof word);
        if ((word & 0x8080808080808080U) != 0) break;
    }
    return at;
}

} // namespace

// RFC 3629 §4: no overlong forms, no surrogates, nothing above U+10FFFF; all decided by the second byte.
bool Utf8Check::lead(unsigned char byte) noexcept {
    low_ = first_continuation;
    high_ = last_continuation;
    if (byte < 0x80) return true;
    if (byte < 0xc2 || byte > 0xf4) return false;
    needed_ = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    if (byte == 0xe0) low_ = 0xa0;
    if (byte == 0xed) high_ = 0x9f;
    if (byte == 0xf0) low_ = 0x90;
    if (byte == 0xf4) high_ = 0x8f;
    return true;
}

bool Utf8Check::push(std::string_view bytes) noexcept {
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        if (needed_ == 0) {
            at += ascii_run(bytes.substr(at));
            if (at == bytes.size()) break;
        }
        const auto byte = static_cast<unsigned char>(bytes[at]);
        if (needed_ == 0) {
            if (!lead(byte)) return false;
            continue;
        }
        if (byte < low_ || byte > high_) return false;
        --needed_;
        low_ = first_continuation;
        high_ = last_continuation;
    }
    return true;
}

} // namespace offhook::sip
