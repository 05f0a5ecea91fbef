#include "bridge/session_cookie.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <openssl/crypto.h>

#include "bridge/flow_token.hpp"
#include "sip/digest.hpp"
#include "sip/headers.hpp"

namespace offhook::bridge {

namespace {

constexpr std::size_t mac_size = 32, longest_value = 1'024;

Failure refused(std::string_view why) {
    return fail(Errc::authentication, "the cookie " + std::string(why));
}

bool plain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

// Empty: it is not written as it should be.
std::string unescape(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (plain(text[i])) {
            out += text[i];
            continue;
        }
        unsigned byte = 0;
        const char *end = text.data() + std::min(i + 3, text.size());
        if (text[i] != '%' || text.size() - i < 3 ||
            std::from_chars(text.data() + i + 1, end, byte, 16).ptr != end)
            return {};
        out += static_cast<char>(byte);
        i += 2;
    }
    return out;
}

} // namespace

Result<SessionProof> check_session(std::string_view value, std::string_view key, std::int64_t unix_now) {
    const auto second = value.rfind(':');
    const auto first = second == std::string_view::npos || second == 0 ? std::string_view::npos
                                                                       : value.rfind(':', second - 1);
    if (first == std::string_view::npos || value.size() > longest_value)
        return refused("is not USER:EXPIRES:MAC");
    const std::string code = mac(key, value.substr(0, second), mac_size);
    const std::string expected =
        sip::hex({reinterpret_cast<const unsigned char *>(code.data()), code.size()});
    const auto given = value.substr(second + 1);
    if (given.size() != expected.size() || CRYPTO_memcmp(given.data(), expected.data(), given.size()) != 0)
        return refused("has a wrong signature");
    SessionProof out;
    out.user = unescape(value.substr(0, first));
    const auto until = sip::parse_number(value.substr(first + 1, second - first - 1));
    if (out.user.empty() || !until || *until > std::uint64_t{1} << 48)
        return refused("is not USER:EXPIRES:MAC");
    out.until = static_cast<std::int64_t>(*until);
    if (out.until <= unix_now) return refused("has expired");
    return out;
}

std::string_view cookie_value(std::string_view header, std::string_view name, std::size_t which) {
    while (!header.empty()) {
        const auto end = std::min(header.find(';'), header.size());
        const auto pair = sip::trim(header.substr(0, end));
        header.remove_prefix(std::min(end + 1, header.size()));
        const auto equals = pair.find('=');
        if (equals == std::string_view::npos || pair.substr(0, equals) != name) continue;
        if (which-- == 0) return pair.substr(equals + 1);
    }
    return {};
}

} // namespace offhook::bridge
