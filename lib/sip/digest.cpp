#include "sip/digest.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/random.hpp"
#include "sip/grammar.hpp"

namespace offhook::sip {

namespace {

struct Algorithm {
    DigestAlgorithm id;
    std::string_view token;
    const char *hash; // OpenSSL's name
    bool session;
    int strength;
};

constexpr std::array algorithms{
    Algorithm{DigestAlgorithm::md5, "MD5", "MD5", false, 0},
    Algorithm{DigestAlgorithm::md5_sess, "MD5-sess", "MD5", true, 0},
    Algorithm{DigestAlgorithm::sha256, "SHA-256", "SHA2-256", false, 1},
    Algorithm{DigestAlgorithm::sha256_sess, "SHA-256-sess", "SHA2-256", true, 1},
    Algorithm{DigestAlgorithm::sha512_256, "SHA-512-256", "SHA2-512/256", false, 2},
    Algorithm{DigestAlgorithm::sha512_256_sess, "SHA-512-256-sess", "SHA2-512/256", true, 2},
};

const Algorithm &row(DigestAlgorithm algorithm) noexcept {
    return algorithms.at(static_cast<std::size_t>(algorithm));
}

// A CSPRNG or a hash that fails leaves nothing safe to do.
[[noreturn]] void crypto_failed(const char *what) {
    std::fprintf(stderr, "offhook: OpenSSL cannot give %s\n", what);
    std::abort();
}

// OpenSSL's implementation, looked up once: that costs more than hashing.
const EVP_MD *implementation(const Algorithm &algorithm) {
    using Owned = std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)>;
    thread_local std::vector<std::pair<std::string_view, Owned>> known;
    for (const auto &[name, hash] : known)
        if (name == algorithm.hash) return hash.get();
    Owned fetched(EVP_MD_fetch(nullptr, algorithm.hash, nullptr), EVP_MD_free);
    if (!fetched) crypto_failed("a digest algorithm");
    return known.emplace_back(algorithm.hash, std::move(fetched)).second.get();
}

// H(a:b:c…) in hex.
std::string hash(const Algorithm &algorithm, std::initializer_list<std::string_view> parts) {
    thread_local const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                                       EVP_MD_CTX_free);
    if (!context || EVP_DigestInit_ex(context.get(), implementation(algorithm), nullptr) != 1)
        crypto_failed("a digest algorithm");
    bool first = true;
    for (const auto part : parts) {
        if (!std::exchange(first, false)) EVP_DigestUpdate(context.get(), ":", 1);
        EVP_DigestUpdate(context.get(), part.data(), part.size());
    }
    std::array<unsigned char, EVP_MAX_MD_SIZE> result{};
    unsigned size = 0;
    if (EVP_DigestFinal_ex(context.get(), result.data(), &size) != 1) crypto_failed("a digest");
    return hex(std::span(result).first(size));
}

// What both sides hash; RFC 7616 §3.4.
struct Inputs {
    std::string_view realm, nonce, cnonce, nc, qop, method, uri, body;
};

// `a1`: H(user:realm:password) in hex.
std::string response_of(const Algorithm &algorithm, std::string a1, const Inputs &in) {
    if (algorithm.session) a1 = hash(algorithm, {a1, in.nonce, in.cnonce});
    const std::string a2 = in.qop == "auth-int"
                               ? hash(algorithm, {in.method, in.uri, hash(algorithm, {in.body})})
                               : hash(algorithm, {in.method, in.uri});
    if (in.qop.empty()) return hash(algorithm, {a1, in.nonce, a2}); // RFC 2069
    return hash(algorithm, {a1, in.nonce, in.nc, in.cnonce, in.qop, a2});
}

std::string response(const Algorithm &algorithm, const Credentials &credentials, const Inputs &in) {
    return response_of(algorithm, hash(algorithm, {credentials.user, in.realm, credentials.password}), in);
}

// `expected` makes the response that the right secret would have given.
template <class Expected>
bool proves(const AuthParams &authorization, std::string_view user, std::string_view method,
            std::string_view body, Expected expected) {
    const Params &given = authorization.params;
    const auto algorithm = parse_algorithm(given.get("algorithm"));
    if (!iequals(authorization.scheme, "Digest") || !algorithm) return false;
    const std::string qop = grammar::to_lower(given.get("qop"));
    if (!qop.empty() && qop != "auth" && qop != "auth-int") return false;
    const Inputs inputs{given.get("realm"),
                        given.get("nonce"),
                        given.get("cnonce"),
                        given.get("nc"),
                        qop,
                        method,
                        given.get("uri"),
                        body};
    const std::string right = expected(row(*algorithm), inputs);
    const std::string offered = grammar::to_lower(given.get("response"));
    return !right.empty() && offered.size() == right.size() &&
           CRYPTO_memcmp(offered.data(), right.data(), right.size()) == 0 && given.get("username") == user;
}

} // namespace

std::optional<DigestAlgorithm> parse_algorithm(std::string_view token) noexcept {
    if (token.empty()) return DigestAlgorithm::md5;
    for (const auto &algorithm : algorithms)
        if (iequals(algorithm.token, token)) return algorithm.id;
    return std::nullopt;
}

std::string_view name(DigestAlgorithm algorithm) noexcept {
    return row(algorithm).token;
}

Result<Challenge> Challenge::parse(std::string_view header_value, bool proxy) {
    const auto auth = AuthParams::parse(header_value);
    if (!auth) return fail(auth.error());
    if (!iequals(auth->scheme, "Digest"))
        return fail(Errc::not_supported,
                    "the server asks for " + auth->scheme + " authentication; only Digest is known");
    const auto algorithm = parse_algorithm(auth->params.get("algorithm"));
    if (!algorithm)
        return fail(Errc::not_supported,
                    "unknown digest algorithm '" + std::string(auth->params.get("algorithm")) + "'");
    if (!auth->params.has("realm") || auth->params.get("nonce").empty())
        return grammar::malformed("Digest challenge: realm or nonce is missing", header_value);
    Challenge challenge;
    challenge.realm = auth->params.get("realm");
    challenge.nonce = auth->params.get("nonce");
    challenge.opaque = auth->params.get("opaque");
    challenge.algorithm = *algorithm;
    challenge.stale = iequals(auth->params.get("stale"), "true");
    challenge.proxy = proxy;
    const auto options = split_list(auth->params.get("qop"));
    for (const auto option : options) {
        challenge.qop_auth |= iequals(option, "auth");
        challenge.qop_auth_int |= iequals(option, "auth-int");
    }
    if (!options.empty() && !challenge.qop_auth && !challenge.qop_auth_int)
        return fail(Errc::not_supported,
                    "unknown quality of protection '" + std::string(auth->params.get("qop")) + "'");
    return challenge;
}

std::optional<Challenge> strongest(std::span<const Challenge> challenges, std::string_view realm) {
    const Challenge *best = nullptr;
    for (const auto &challenge : challenges) {
        if (!realm.empty() && challenge.realm != realm) continue;
        // Of equals the first: it is the one the server prefers.
        if (best == nullptr || row(challenge.algorithm).strength > row(best->algorithm).strength)
            best = &challenge;
    }
    return best != nullptr ? std::optional(*best) : std::nullopt;
}

std::string authorize(const Challenge &challenge, const Credentials &credentials, std::string_view method,
                      std::string_view uri, std::string_view body, ClientNonce &nonce) {
    const Algorithm &algorithm = row(challenge.algorithm);
    // auth-int only where nothing else is offered: many a middle box rewrites bodies.
    const std::string_view qop = challenge.qop_auth ? "auth" : challenge.qop_auth_int ? "auth-int" : "";
    if (nonce.cnonce.empty()) nonce.cnonce = random_token();
    ++nonce.count;
    std::array<char, 9> nc{};
    std::snprintf(nc.data(), nc.size(), "%08x", static_cast<unsigned>(nonce.count));
    const Inputs inputs{challenge.realm, challenge.nonce, nonce.cnonce, nc.data(), qop, method, uri, body};

    std::string out = "Digest username=" + grammar::quote(credentials.user);
    out += ", realm=" + grammar::quote(challenge.realm) + ", nonce=" + grammar::quote(challenge.nonce);
    out += ", uri=" + grammar::quote(uri);
    out += ", response=\"" + response(algorithm, credentials, inputs) + "\", algorithm=";
    out += algorithm.token;
    if (!challenge.opaque.empty()) out += ", opaque=" + grammar::quote(challenge.opaque);
    if (!qop.empty()) out.append(", qop=").append(qop).append(", nc=").append(nc.data());
    if (!qop.empty() || algorithm.session) out += ", cnonce=" + grammar::quote(nonce.cnonce);
    return out;
}

bool verify(const AuthParams &authorization, const Credentials &credentials, std::string_view method,
            std::string_view body) {
    return proves(
        authorization, credentials.user, method, body,
        [&](const Algorithm &algorithm, const Inputs &in) { return response(algorithm, credentials, in); });
}

bool verify_ha1(const AuthParams &authorization, std::string_view user, std::string_view ha1,
                std::string_view method, std::string_view body) {
    return proves(authorization, user, method, body, [&](const Algorithm &algorithm, const Inputs &in) {
        return algorithm.strength == 0 ? response_of(algorithm, std::string(ha1), in) : std::string();
    });
}

std::string hex(std::span<const unsigned char> bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const auto byte : bytes)
        out += {digits[byte >> 4U], digits[byte & 15U]};
    return out;
}

std::string random_token(std::size_t bytes) {
    std::vector<unsigned char> random(bytes);
    random_bytes(random);
    return hex(random);
}

} // namespace offhook::sip
