// Is a text UTF-8 (RFC 3629)? Asked piece by piece, so that a bad byte is found as soon as it arrives.
#pragma once

#include <cstdint>
#include <string_view>

namespace offhook::sip {

class Utf8Check {
public:
    // False from the first byte on that no UTF-8 text can have there.
    bool push(std::string_view bytes) noexcept;
    [[nodiscard]] bool complete() const noexcept { return needed_ == 0; } // not amid a character
    void reset() noexcept { *this = {}; }

private:
    bool lead(unsigned char byte) noexcept;

    std::uint8_t needed_ = 0;            // continuation bytes to come
    std::uint8_t low_ = 0, high_ = 0xff; // what the next of them may be
};

inline bool is_utf8(std::string_view text) noexcept {
    Utf8Check check;
    return check.push(text) && check.complete();
}

} // namespace offhook::sip
