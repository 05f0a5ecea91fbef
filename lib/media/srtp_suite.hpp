// The SRTP protection profiles that offhook speaks, and their keys as values.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace offhook::media {

enum class SrtpSuite : std::uint8_t {
    aes128_cm_sha1_80, // RFC 4568 §6.2.1
    aes128_cm_sha1_32, // RFC 4568 §6.2.2
    aes256_cm_sha1_80, // RFC 6188
    aead_aes128_gcm,   // RFC 7714
    aead_aes256_gcm,
};

struct SrtpSuiteInfo {
    SrtpSuite suite;
    std::string_view sdes_name; // in a=crypto, and as told to the user
    std::string_view
        dtls_name; // OpenSSL's name of the use_srtp profile; empty: DTLS has none (RFC 5764 §4.1.2)
    std::uint16_t dtls_id;
    std::uint8_t key_size, salt_size; // bytes

    [[nodiscard]] constexpr std::size_t size() const noexcept { return std::size_t{key_size} + salt_size; }
};

std::span<const SrtpSuiteInfo> srtp_suites() noexcept; // in our order of preference
const SrtpSuiteInfo &info(SrtpSuite suite) noexcept;
// By its name in a=crypto, ASCII case ignored, other spellings in use included; nullptr when unknown.
const SrtpSuiteInfo *srtp_suite_named(std::string_view sdes_name) noexcept;

// A master key with its salt behind it. Wiped on destruction; never printed.
class SrtpKey {
public:
    SrtpKey() = default;
    // `bytes`: exactly info(suite).size().
    SrtpKey(SrtpSuite suite, std::span<const std::uint8_t> bytes) noexcept;
    SrtpKey(const SrtpKey &) = default;
    SrtpKey &operator=(const SrtpKey &) = default;
    ~SrtpKey();

    static SrtpKey random(SrtpSuite suite);

    [[nodiscard]] SrtpSuite suite() const noexcept { return suite_; }
    [[nodiscard]] std::span<const std::uint8_t> bytes() const noexcept {
        return std::span(bytes_).first(info(suite_).size());
    }
    friend bool operator==(const SrtpKey &a, const SrtpKey &b) noexcept; // in constant time

private:
    static constexpr std::size_t longest = 46;
    SrtpSuite suite_ = SrtpSuite::aes128_cm_sha1_80;
    std::array<std::uint8_t, longest> bytes_{};
};

// What protects one session: ours for what we send, the peer's for what arrives.
struct SrtpKeys {
    SrtpKey send, receive;
    std::vector<std::uint8_t> receive_mki; // in each of the peer's packets (RFC 3711 §3.1); empty: none
    friend bool operator==(const SrtpKeys &, const SrtpKeys &) = default;
};

} // namespace offhook::media
