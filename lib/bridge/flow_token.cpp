#include "bridge/flow_token.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "sip/digest.hpp"

namespace offhook::bridge {

namespace {

constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr char version = 1;
constexpr std::size_t payload_size = 1 + 4 + 6 + 8, mac_size = 10;

// By character: its value, or 255.
consteval std::array<std::uint8_t, 256> make_values() {
    std::array<std::uint8_t, 256> values{};
    values.fill(255);
    for (std::size_t i = 0; i < letters.size(); ++i)
        values[static_cast<unsigned char>(letters[i])] = static_cast<std::uint8_t>(i);
    return values;
}
constexpr std::array<std::uint8_t, 256> values = make_values();

void put(std::string &out, std::uint64_t value, int bytes) {
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
        out += static_cast<char>(value >> shift & 255);
}

[[noreturn]] void crypto_failed() {
    (void)std::fputs("offhook: OpenSSL cannot give HMAC-SHA256\n", stderr);
    std::abort();
}

using Mac = std::unique_ptr<EVP_MAC_CTX, decltype(&EVP_MAC_CTX_free)>;

Mac new_mac(std::string_view key) {
    EVP_MAC *hmac = EVP_MAC_fetch(nullptr, OSSL_MAC_NAME_HMAC, nullptr);
    Mac context(hmac != nullptr ? EVP_MAC_CTX_new(hmac) : nullptr, EVP_MAC_CTX_free);
    EVP_MAC_free(hmac); // the context holds it
    std::string digest = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
        OSSL_PARAM_construct_end()};
    if (!context || EVP_MAC_init(context.get(), reinterpret_cast<const unsigned char *>(key.data()),
                                 key.size(), parameters) != 1)
        crypto_failed();
    return context;
}

// A context that has taken in the key already: that costs ten times what a token does. A process has two
// keys.
EVP_MAC_CTX *keyed(std::string_view key) {
    constexpr std::size_t most = 8;
    thread_local std::vector<std::pair<std::string, Mac>> known;
    for (const auto &[text, context] : known)
        if (text == key) return context.get();
    if (known.size() == most) known.clear();
    return known.emplace_back(key, new_mac(key)).second.get();
}

std::uint64_t take(std::string_view &in, std::size_t bytes) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i)
        value = value << 8 | static_cast<unsigned char>(in[i]);
    in.remove_prefix(bytes);
    return value;
}

} // namespace

std::uint64_t device_hash(std::string_view device) noexcept {
    std::uint64_t hash = 14695981039346656037ULL;
    for (const char c : device)
        hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    return hash;
}

std::string base64url(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size() * 4 / 3 + 3);
    std::uint32_t bits = 0;
    int have = 0;
    for (const char c : bytes) {
        bits = bits << 8 | static_cast<unsigned char>(c);
        for (have += 8; have >= 6; have -= 6)
            out += letters[bits >> (have - 6) & 63];
    }
    if (have > 0) out += letters[bits << (6 - have) & 63];
    return out;
}

std::optional<std::string> from_base64url(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    std::uint32_t bits = 0;
    int have = 0;
    for (const char c : text) {
        const std::uint8_t value = values[static_cast<unsigned char>(c)];
        if (value == 255) return {};
        bits = bits << 6 | value;
        if ((have += 6) < 8) continue;
        have -= 8;
        out += static_cast<char>(bits >> have & 255);
    }
    // One text for one value: no stray bits at the end.
    if (have >= 6 || (bits & ((1U << have) - 1)) != 0) return {};
    return out;
}

std::string mac(std::string_view key, std::string_view text, std::size_t size) {
    EVP_MAC_CTX *context = keyed(key);
    std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
    std::size_t length = 0;
    if (EVP_MAC_init(context, nullptr, 0, nullptr) != 1 ||
        EVP_MAC_update(context, reinterpret_cast<const unsigned char *>(text.data()), text.size()) != 1 ||
        EVP_MAC_final(context, out.data(), &length, out.size()) != 1)
        crypto_failed();
    return {reinterpret_cast<const char *>(out.data()), std::min(size, length)};
}

TokenKey::TokenKey(std::string secret)
    : secret_(secret.empty() ? sip::random_token(32) : std::move(secret)) {}

std::string TokenKey::seal(const FlowToken &token) const {
    std::string bytes(1, version);
    put(bytes, token.epoch, 4);
    put(bytes, token.connection, 6);
    put(bytes, token.device, 8);
    return base64url(bytes + mac(secret_, bytes, mac_size));
}

std::optional<FlowToken> TokenKey::open(std::string_view text) const {
    const auto bytes = from_base64url(text);
    if (!bytes || bytes->size() != payload_size + mac_size || bytes->front() != version) return {};
    std::string_view rest = *bytes;
    const std::string expected = mac(secret_, rest.substr(0, payload_size), mac_size);
    if (CRYPTO_memcmp(expected.data(), rest.data() + payload_size, mac_size) != 0) return {};
    rest.remove_prefix(1);
    FlowToken token;
    token.epoch = static_cast<std::uint32_t>(take(rest, 4));
    token.connection = take(rest, 6);
    token.device = take(rest, 8);
    return token;
}

} // namespace offhook::bridge
