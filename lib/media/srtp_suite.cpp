#include "media/srtp_suite.hpp"

#include <algorithm>
#include <stdexcept>

#include <openssl/crypto.h>
#include <openssl/rand.h>

namespace offhook::media {

namespace {

// AES-GCM first: one pass, and the CPU's AES instructions do all of it. The short tag last: it is for peers
// that know nothing else.
constexpr std::array<SrtpSuiteInfo, 5> suites{{
    {SrtpSuite::aead_aes128_gcm, "AEAD_AES_128_GCM", "SRTP_AEAD_AES_128_GCM", 0x0007, 16, 12},
    {SrtpSuite::aead_aes256_gcm, "AEAD_AES_256_GCM", "SRTP_AEAD_AES_256_GCM", 0x0008, 32, 12},
    {SrtpSuite::aes128_cm_sha1_80, "AES_CM_128_HMAC_SHA1_80", "SRTP_AES128_CM_SHA1_80", 0x0001, 16, 14},
    {SrtpSuite::aes256_cm_sha1_80, "AES_256_CM_HMAC_SHA1_80", "", 0, 32, 14},
    {SrtpSuite::aes128_cm_sha1_32, "AES_CM_128_HMAC_SHA1_32", "SRTP_AES128_CM_SHA1_32", 0x0002, 16, 14},
}};

bool same(std::string_view a, std::string_view b) noexcept {
    const auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; };
    return std::ranges::equal(a, b, {}, upper, upper);
}

} // namespace

std::span<const SrtpSuiteInfo> srtp_suites() noexcept {
    return suites;
}

const SrtpSuiteInfo &info(SrtpSuite suite) noexcept {
    return *std::ranges::find(suites, suite, &SrtpSuiteInfo::suite);
}

const SrtpSuiteInfo *srtp_suite_named(std::string_view sdes_name) noexcept {
    if (same(sdes_name, "AES_CM_256_HMAC_SHA1_80")) sdes_name = "AES_256_CM_HMAC_SHA1_80"; // RFC 6188's draft
    const auto *const found =
        std::ranges::find_if(suites, [&](const auto &row) { return same(row.sdes_name, sdes_name); });
    return found == suites.end() ? nullptr : &*found;
}

SrtpKey::SrtpKey(SrtpSuite suite, std::span<const std::uint8_t> bytes) noexcept : suite_(suite) {
    std::ranges::copy(bytes.first(info(suite).size()), bytes_.begin());
}

SrtpKey::~SrtpKey() {
    OPENSSL_cleanse(bytes_.data(), bytes_.size());
}

SrtpKey SrtpKey::random(SrtpSuite suite) {
    SrtpKey key;
    key.suite_ = suite;
    // Without random numbers there is no secrecy to go on with.
    if (RAND_bytes(key.bytes_.data(), static_cast<int>(info(suite).size())) != 1)
        throw std::runtime_error("no random numbers for an SRTP key");
    return key;
}

bool operator==(const SrtpKey &a, const SrtpKey &b) noexcept {
    return a.suite_ == b.suite_ && CRYPTO_memcmp(a.bytes_.data(), b.bytes_.data(), a.bytes_.size()) == 0;
}

} // namespace offhook::media
