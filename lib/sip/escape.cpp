#include "sip/escape.hpp"

#include "sip/grammar.hpp"

namespace offhook::sip {

std::string escape_header(std::string_view text) {
    constexpr std::string_view hex = "0123456789ABCDEF", mark = "-_.!~*'()";
    std::string out;
    for (const char c : text) {
        if (grammar::is(c, grammar::alpha | grammar::digit) || mark.find(c) != std::string_view::npos) {
            out += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        out += {'%', hex[byte >> 4U], hex[byte & 15U]};
    }
    return out;
}

} // namespace offhook::sip
