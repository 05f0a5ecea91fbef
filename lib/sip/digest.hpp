// HTTP Digest for SIP: RFC 3261 §22, RFC 7616, RFC 8760. MD5, SHA-256, SHA-512-256, each with -sess.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "sip/headers.hpp"

namespace offhook::sip {

enum class DigestAlgorithm : std::uint8_t { md5, md5_sess, sha256, sha256_sess, sha512_256, sha512_256_sess };

std::optional<DigestAlgorithm> parse_algorithm(std::string_view token) noexcept; // "" is MD5
std::string_view name(DigestAlgorithm algorithm) noexcept;

struct Challenge {
    std::string realm, nonce, opaque;
    DigestAlgorithm algorithm = DigestAlgorithm::md5;
    bool qop_auth = false, qop_auth_int = false, stale = false;
    bool proxy = false; // Proxy-Authenticate

    static Result<Challenge> parse(std::string_view header_value,
                                   bool proxy); // not_supported: scheme, algorithm, qop
};

struct Credentials {
    std::string user, password;
};

// Of the challenges of one response the strongest algorithm we know (RFC 8760 §2.4), per realm.
std::optional<Challenge> strongest(std::span<const Challenge> challenges, std::string_view realm = {});

// The nonce count and cnonce of one client towards one nonce.
struct ClientNonce {
    std::string cnonce;
    std::uint32_t count = 0;
};

// The value of Authorization / Proxy-Authorization. Increments nonce.count; makes a cnonce when empty.
std::string authorize(const Challenge &challenge, const Credentials &credentials, std::string_view method,
                      std::string_view uri, std::string_view body, ClientNonce &nonce);

// Server side: true when `authorization` proves the password for method and uri; compares in constant time.
bool verify(const AuthParams &authorization, const Credentials &credentials, std::string_view method,
            std::string_view body = {});
// The same for a server that keeps only MD5(user:realm:password) in lower-case hex: MD5 alone.
bool verify_ha1(const AuthParams &authorization, std::string_view user, std::string_view ha1,
                std::string_view method, std::string_view body = {});

std::string hex(std::span<const unsigned char> bytes); // two lower-case digits for each
std::string random_token(std::size_t bytes = 12); // lower-case hex from a CSPRNG; tags, branches, Call-IDs

} // namespace offhook::sip
