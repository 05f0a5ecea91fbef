#include "bridge/jwt.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/json.hpp"
#include "bridge/flow_token.hpp"

namespace offhook::bridge {

namespace {

constexpr std::size_t hmac_size = 32, half_of_es256 = 32;
constexpr int least_rsa_bits = 2048;
constexpr std::size_t longest_user = 256;

Failure refused(std::string why) {
    return fail(Errc::authentication, "the token " + std::move(why));
}

bool is_p256(const EVP_PKEY *key) {
    std::array<char, 64> group{};
    std::size_t size = 0;
    return EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group.data(), group.size(),
                                          &size) == 1 &&
           std::string_view(group.data(), size) == "prime256v1";
}

// JWS has the two numbers side by side (RFC 7518 §3.4), OpenSSL wants them in DER.
std::string der_signature(std::string_view raw) {
    const auto number = [&](std::size_t at) {
        return BN_bin2bn(reinterpret_cast<const unsigned char *>(raw.data()) + at, half_of_es256, nullptr);
    };
    const std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> pair(ECDSA_SIG_new(), ECDSA_SIG_free);
    if (!pair || ECDSA_SIG_set0(pair.get(), number(0), number(half_of_es256)) != 1) return {};
    unsigned char *bytes = nullptr;
    const int size = i2d_ECDSA_SIG(pair.get(), &bytes);
    std::string out;
    if (size > 0) out.assign(reinterpret_cast<const char *>(bytes), static_cast<std::size_t>(size));
    OPENSSL_free(bytes);
    return out;
}

std::string_view without_line_end(std::string_view text) {
    if (text.ends_with('\n')) text.remove_suffix(1);
    if (text.ends_with('\r')) text.remove_suffix(1);
    return text;
}

struct Parts {
    std::string_view signed_part, header, payload, signature;
};

std::optional<Parts> split_token(std::string_view token) {
    const auto first = token.find('.');
    const auto second = first == std::string_view::npos ? first : token.find('.', first + 1);
    if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos) return {};
    return Parts{token.substr(0, second), token.substr(0, first), token.substr(first + 1, second - first - 1),
                 token.substr(second + 1)};
}

std::optional<Json> object_in(std::string_view part) {
    const auto text = from_base64url(part);
    auto json = text ? Json::parse(*text) : fail(Errc::parse, "");
    if (!json || !json->is_object()) return {};
    return std::move(*json);
}

std::string_view text_of(const Json &object, std::string_view key) {
    const Json *value = object.find(key);
    const std::string *text = value != nullptr ? value->as_string() : nullptr;
    return text != nullptr ? std::string_view(*text) : std::string_view();
}

// NumericDate may have a fraction (RFC 7519 §2). Nothing: not there, or no time.
std::optional<std::int64_t> time_of(const Json &object, std::string_view key) {
    const Json *value = object.find(key);
    if (value == nullptr) return {};
    if (const auto *whole = value->as_int()) return *whole;
    const double *real = value->as_double();
    if (real == nullptr || !(std::fabs(*real) < 1e15)) return {};
    return static_cast<std::int64_t>(std::floor(*real));
}

// One string or a list of them (RFC 7519 §4.1.3).
bool is_for(const Json &claims, std::string_view audience) {
    if (text_of(claims, "aud") == audience) return true;
    const Json *value = claims.find("aud");
    const auto *list = value != nullptr ? value->as_array() : nullptr;
    return list != nullptr && std::ranges::any_of(*list, [&](const Json &one) {
               return one.as_string() != nullptr && *one.as_string() == audience;
           });
}

Result<JwtProof> check_claims(const Json &claims, const JwtRules &rules, std::int64_t unix_now) {
    const auto until = time_of(claims, "exp");
    if (!until) return refused("has no exp");
    if (*until <= unix_now) return refused("has expired");
    const auto from = time_of(claims, "nbf");
    if (claims.find("nbf") != nullptr && (!from || *from > unix_now + JwtRules::skew))
        return refused("is not valid yet (nbf)");
    if (!rules.issuer.empty() && text_of(claims, "iss") != rules.issuer)
        return refused("is of another issuer (iss)");
    if (!rules.audience.empty() && !is_for(claims, rules.audience))
        return refused("is for another audience (aud)");
    const std::string_view user = text_of(claims, rules.user_claim);
    if (user.empty() || user.size() > longest_user)
        return refused("names no user (" + rules.user_claim + ")");
    return JwtProof{std::string(user), *until};
}

} // namespace

Result<JwtKey> JwtKey::read(std::string_view text) {
    JwtKey out;
    if (text.find("-----BEGIN ") == std::string_view::npos) {
        out.secret_ = without_line_end(text);
        if (out.secret_.size() < shortest_secret)
            return fail(Errc::config, "the secret has " + std::to_string(out.secret_.size()) +
                                          " bytes (expected at least " + std::to_string(shortest_secret) +
                                          ")");
        return out;
    }
    const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
        BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free);
    out.key_ = {PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr), EVP_PKEY_free};
    ERR_clear_error();
    if (!out.key_) return fail(Errc::config, "no public key (expected -----BEGIN PUBLIC KEY-----)");
    const bool rsa = EVP_PKEY_is_a(out.key_.get(), "RSA") == 1;
    if (rsa && EVP_PKEY_get_bits(out.key_.get()) < least_rsa_bits)
        return fail(Errc::config, "the RSA key is too short (expected at least 2048 bits)");
    if (!rsa && !(EVP_PKEY_is_a(out.key_.get(), "EC") == 1 && is_p256(out.key_.get())))
        return fail(Errc::config, "neither an RSA key nor one on the curve P-256");
    out.algorithm_ = rsa ? "RS256" : "ES256";
    return out;
}

bool JwtKey::verify(std::string_view signed_part, std::string_view signature) const {
    if (key_) return verify_public(signed_part, signature);
    const std::string expected = mac(secret_, signed_part, hmac_size);
    return signature.size() == hmac_size && CRYPTO_memcmp(expected.data(), signature.data(), hmac_size) == 0;
}

bool JwtKey::verify_public(std::string_view signed_part, std::string_view signature) const {
    std::string bytes(signature);
    if (algorithm_ == "ES256") {
        if (signature.size() != 2 * half_of_es256) return false;
        bytes = der_signature(signature);
    }
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    const bool right =
        context && EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get()) == 1 &&
        EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char *>(bytes.data()), bytes.size(),
                         reinterpret_cast<const unsigned char *>(signed_part.data()),
                         signed_part.size()) == 1;
    ERR_clear_error(); // the queue is TLS's, too
    return right;
}

Result<JwtProof> check_jwt(std::string_view token, const JwtRules &rules, std::int64_t unix_now) {
    if (token.size() > JwtRules::largest_token) return refused("is too long");
    const auto parts = split_token(token);
    const auto header = parts ? object_in(parts->header) : std::nullopt;
    const auto signature = parts ? from_base64url(parts->signature) : std::nullopt;
    if (!header || !signature) return refused("is no JWT");
    if (text_of(*header, "alg") != rules.key.algorithm())
        return refused("is not signed with " + std::string(rules.key.algorithm()));
    if (header->find("crit") != nullptr) return refused("has extensions that are not understood (crit)");
    // Nothing of the payload is looked at before it is known whose it is.
    if (!rules.key.verify(parts->signed_part, *signature)) return refused("has a wrong signature");
    const auto claims = object_in(parts->payload);
    if (!claims) return refused("has no claims");
    return check_claims(*claims, rules, unix_now);
}

} // namespace offhook::bridge
