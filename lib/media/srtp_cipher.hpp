// What SRTP and SRTCP do to bytes: session keys (RFC 3711 §4.3), AES in counter mode with HMAC-SHA1, AES-GCM
// (RFC 7714). OpenSSL contexts are kept for as long as the key is: setting one up costs more than a packet.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include <openssl/evp.h>

#include "base/touched.hpp"
#include "media/srtp_suite.hpp"

namespace offhook::media {

using MutableBytes = std::span<std::uint8_t>;
using ConstBytes = std::span<const std::uint8_t>;

// One of the two protocols under one master key, one way.
class SrtpCipher {
public:
    enum class Protocol : std::uint8_t { rtp, rtcp };
    static constexpr std::size_t longest_tag = 16;
    using Tag = std::array<std::uint8_t, longest_tag>;

    SrtpCipher(const SrtpKey &key, Protocol protocol, bool encrypts);
    SrtpCipher(const SrtpCipher &) = delete;
    SrtpCipher &operator=(const SrtpCipher &) = delete;
    ~SrtpCipher();

    [[nodiscard]] bool usable() const noexcept { return usable_; } // OpenSSL could do all of it
    [[nodiscard]] bool aead() const noexcept { return aead_; }
    [[nodiscard]] std::size_t tag_size() const noexcept { return tag_size_; }

    void touched(Touched &memory) const noexcept;
    // Counter mode, in place, either way. `index`: of 48 bits for RTP, 31 for RTCP.
    bool crypt(MutableBytes text, std::uint32_t ssrc, std::uint64_t index) noexcept;
    // HMAC-SHA1 of both pieces, the first tag_size() bytes of it.
    bool authenticate(ConstBytes packet, ConstBytes more, Tag &tag) noexcept;
    // GCM, in place. open() changes `text` even when it says no.
    bool seal(ConstBytes associated, ConstBytes more, MutableBytes text, std::uint32_t ssrc,
              std::uint64_t index, MutableBytes tag) noexcept;
    bool open(ConstBytes associated, ConstBytes more, MutableBytes text, std::uint32_t ssrc,
              std::uint64_t index, ConstBytes tag) noexcept;

private:
    struct HmacSha1;
    struct Free {
        void operator()(EVP_CIPHER_CTX *context) const noexcept { EVP_CIPHER_CTX_free(context); }
        void operator()(HmacSha1 *hmac) const noexcept;
    };
    using Vector = std::array<std::uint8_t, 16>;
    [[nodiscard]] Vector vector(std::uint32_t ssrc, std::uint64_t index) const noexcept;
    bool begin(ConstBytes associated, ConstBytes more, std::uint32_t ssrc, std::uint64_t index,
               bool encrypts) noexcept;

    std::unique_ptr<EVP_CIPHER_CTX, Free> cipher_; // counter mode: single blocks
    std::unique_ptr<HmacSha1, Free> mac_;
    Vector salt_{};
    std::size_t tag_size_;
    bool aead_, usable_ = false;
};

} // namespace offhook::media
