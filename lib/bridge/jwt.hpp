// JSON Web Tokens as a proof of who somebody is (RFC 7519, RFC 7515, RFC 8725; with SIP: RFC 8898). Pure: the
// time is given.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <openssl/types.h>

#include "base/result.hpp"

namespace offhook::bridge {

// What a signature is checked with. The key alone decides about the algorithm, whatever a token says of
// itself: a secret is HS256, an RSA key RS256, a key on P-256 ES256.
class JwtKey {
public:
    static constexpr std::size_t shortest_secret = 32; // bytes, RFC 7518 §3.2

    // A public key in PEM ("-----BEGIN PUBLIC KEY-----"), or the bytes of a secret; one line end after it
    // does not count. Errors: config.
    static Result<JwtKey> read(std::string_view text);

    [[nodiscard]] std::string_view algorithm() const noexcept { return algorithm_; } // "HS256" …
    [[nodiscard]] bool secret() const noexcept { return !secret_.empty(); }
    // `signed_part`: header and payload as they stand in the token.
    [[nodiscard]] bool verify(std::string_view signed_part, std::string_view signature) const;

private:
    JwtKey() = default;
    [[nodiscard]] bool verify_public(std::string_view signed_part, std::string_view signature) const;

    std::string secret_;
    std::shared_ptr<EVP_PKEY> key_;
    std::string_view algorithm_ = "HS256";
};

struct JwtRules {
    static constexpr std::size_t largest_token = 8'000; // bytes
    static constexpr std::int64_t skew = 30; // seconds that the clock of whoever signs may be ahead

    JwtKey key;
    std::string issuer, audience; // empty: any
    std::string user_claim = "sub";
};

struct JwtProof {
    std::string user;
    std::int64_t until = 0; // seconds since 1970
};

// A token in compact form, without the scheme. It must have exp. Errors: authentication, in words that show
// nothing of it.
Result<JwtProof> check_jwt(std::string_view token, const JwtRules &rules, std::int64_t unix_now);

} // namespace offhook::bridge
