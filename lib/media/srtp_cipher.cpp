#include "media/srtp_cipher.hpp"

#include <algorithm>
#include <string>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>

namespace offhook::media {

namespace {

constexpr std::size_t salt_size_cm = 14, salt_size_gcm = 12; // RFC 3711 §8.2, RFC 7714 §8.1
constexpr std::size_t hmac_key_size = 20;
constexpr std::size_t gcm_tag = 16, tag_80 = 10, tag_32 = 4;

enum Label : std::uint8_t { encryption = 0, authentication = 1, salting = 2 }; // + 3 for SRTCP

bool is_aead(SrtpSuite suite) noexcept {
    return suite == SrtpSuite::aead_aes128_gcm || suite == SrtpSuite::aead_aes256_gcm;
}

std::size_t tag_size_of(SrtpSuite suite, SrtpCipher::Protocol protocol) noexcept {
    if (is_aead(suite)) return gcm_tag;
    // RFC 4568 §6.2.2: SRTCP keeps the long tag
    return suite == SrtpSuite::aes128_cm_sha1_32 && protocol == SrtpCipher::Protocol::rtp ? tag_32 : tag_80;
}

// RFC 3711 §4.3.3 with a key derivation rate of 0, RFC 6188 §3 for longer keys: AES in counter mode over
// zeros. A salt of 96 bits is continued with zeros (RFC 7714 §11).
bool derive(const SrtpKey &master, std::uint8_t label, MutableBytes out) {
    const auto &sizes = info(master.suite());
    const auto bytes = master.bytes();
    std::array<std::uint8_t, 16> vector{};
    std::copy_n(bytes.begin() + sizes.key_size, std::min<std::size_t>(sizes.salt_size, salt_size_cm),
                vector.begin());
    vector[7] ^= label; // label · 2^48, in 112 bits
    const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(EVP_CIPHER_CTX_new(),
                                                                                  EVP_CIPHER_CTX_free);
    const EVP_CIPHER *prf = sizes.key_size == 32 ? EVP_aes_256_ctr() : EVP_aes_128_ctr();
    std::ranges::fill(out, std::uint8_t{0});
    int length = 0;
    return context && EVP_EncryptInit_ex(context.get(), prf, nullptr, bytes.data(), vector.data()) == 1 &&
           EVP_EncryptUpdate(context.get(), out.data(), &length, out.data(), static_cast<int>(out.size())) ==
               1;
}

const EVP_CIPHER *algorithm(SrtpSuite suite) noexcept {
    const bool longer = info(suite).key_size == 32;
    if (is_aead(suite)) return longer ? EVP_aes_256_gcm() : EVP_aes_128_gcm();
    return longer ? EVP_aes_256_ctr() : EVP_aes_128_ctr();
}

EVP_MAC_CTX *new_hmac(ConstBytes key) {
    EVP_MAC *mac = EVP_MAC_fetch(nullptr, OSSL_MAC_NAME_HMAC, nullptr);
    EVP_MAC_CTX *context = mac != nullptr ? EVP_MAC_CTX_new(mac) : nullptr;
    EVP_MAC_free(mac); // the context holds it
    std::string digest = "SHA1";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
        OSSL_PARAM_construct_end()};
    if (context != nullptr && EVP_MAC_init(context, key.data(), key.size(), parameters) == 1) return context;
    EVP_MAC_CTX_free(context);
    return nullptr;
}

} // namespace

SrtpCipher::SrtpCipher(const SrtpKey &key, Protocol protocol, bool encrypts)
    : cipher_(EVP_CIPHER_CTX_new()), tag_size_(tag_size_of(key.suite(), protocol)),
      aead_(is_aead(key.suite())) {
    const std::uint8_t first = protocol == Protocol::rtp ? 0 : 3;
    std::array<std::uint8_t, 32> session{};
    std::array<std::uint8_t, hmac_key_size> hmac{};
    const auto size = info(key.suite()).key_size;
    bool good = cipher_ && derive(key, first + encryption, MutableBytes(session).first(size)) &&
                derive(key, first + salting, MutableBytes(salt_).first(aead_ ? salt_size_gcm : salt_size_cm));
    const bool forward = encrypts || !aead_; // counter mode is its own inverse
    good = good && EVP_CipherInit_ex(cipher_.get(), algorithm(key.suite()), nullptr, session.data(), nullptr,
                                     forward ? 1 : 0) == 1;
    if (!aead_ && good) {
        good = derive(key, first + authentication, hmac);
        mac_.reset(good ? new_hmac(hmac) : nullptr);
        good = mac_ != nullptr;
    }
    usable_ = good;
    OPENSSL_cleanse(session.data(), session.size());
    OPENSSL_cleanse(hmac.data(), hmac.size());
}

SrtpCipher::~SrtpCipher() {
    OPENSSL_cleanse(salt_.data(), salt_.size());
}

// RFC 3711 §4.1.1: salt·2^16 ⊕ SSRC·2^64 ⊕ index·2^16. RFC 7714 §8.1, §9.1: the same without the counter, in
// 12 bytes.
SrtpCipher::Vector SrtpCipher::vector(std::uint32_t ssrc, std::uint64_t index) const noexcept {
    Vector vector = salt_;
    const std::size_t at = aead_ ? 2 : 4;
    for (std::size_t i = 0; i < 4; ++i)
        vector[at + i] ^= static_cast<std::uint8_t>(ssrc >> (24 - 8 * i));
    for (std::size_t i = 0; i < 6; ++i)
        vector[at + 4 + i] ^= static_cast<std::uint8_t>(index >> (40 - 8 * i));
    return vector;
}

bool SrtpCipher::crypt(MutableBytes text, std::uint32_t ssrc, std::uint64_t index) noexcept {
    const Vector start = vector(ssrc, index);
    int length = 0;
    return EVP_CipherInit_ex(cipher_.get(), nullptr, nullptr, nullptr, start.data(), -1) == 1 &&
           EVP_CipherUpdate(cipher_.get(), text.data(), &length, text.data(),
                            static_cast<int>(text.size())) == 1;
}

bool SrtpCipher::authenticate(ConstBytes packet, ConstBytes more, Tag &tag) noexcept {
    std::array<std::uint8_t, 20> whole{};
    std::size_t length = 0;
    const bool good = EVP_MAC_init(mac_.get(), nullptr, 0, nullptr) == 1 && // the key stays
                      EVP_MAC_update(mac_.get(), packet.data(), packet.size()) == 1 &&
                      EVP_MAC_update(mac_.get(), more.data(), more.size()) == 1 &&
                      EVP_MAC_final(mac_.get(), whole.data(), &length, whole.size()) == 1;
    std::copy_n(whole.begin(), tag_size_, tag.begin());
    return good && length == whole.size();
}

bool SrtpCipher::begin(ConstBytes associated, ConstBytes more, std::uint32_t ssrc, std::uint64_t index,
                       bool encrypts) noexcept {
    const Vector start = vector(ssrc, index);
    int length = 0;
    return EVP_CipherInit_ex(cipher_.get(), nullptr, nullptr, nullptr, start.data(), encrypts ? 1 : 0) == 1 &&
           EVP_CipherUpdate(cipher_.get(), nullptr, &length, associated.data(),
                            static_cast<int>(associated.size())) == 1 &&
           (more.empty() || EVP_CipherUpdate(cipher_.get(), nullptr, &length, more.data(),
                                             static_cast<int>(more.size())) == 1);
}

bool SrtpCipher::seal(ConstBytes associated, ConstBytes more, MutableBytes text, std::uint32_t ssrc,
                      std::uint64_t index, MutableBytes tag) noexcept {
    int length = 0;
    Tag rest{};
    return begin(associated, more, ssrc, index, true) &&
           EVP_CipherUpdate(cipher_.get(), text.data(), &length, text.data(),
                            static_cast<int>(text.size())) == 1 &&
           EVP_CipherFinal_ex(cipher_.get(), rest.data(), &length) == 1 &&
           EVP_CIPHER_CTX_ctrl(cipher_.get(), EVP_CTRL_AEAD_GET_TAG, static_cast<int>(tag.size()),
                               tag.data()) == 1;
}

bool SrtpCipher::open(ConstBytes associated, ConstBytes more, MutableBytes text, std::uint32_t ssrc,
                      std::uint64_t index, ConstBytes tag) noexcept {
    int length = 0;
    Tag wanted{};
    Tag rest{};
    std::ranges::copy(tag, wanted.begin());
    return begin(associated, more, ssrc, index, false) &&
           EVP_CipherUpdate(cipher_.get(), text.data(), &length, text.data(),
                            static_cast<int>(text.size())) == 1 &&
           EVP_CIPHER_CTX_ctrl(cipher_.get(), EVP_CTRL_AEAD_SET_TAG, static_cast<int>(tag.size()),
                               wanted.data()) == 1 &&
           EVP_CipherFinal_ex(cipher_.get(), rest.data(), &length) == 1;
}

} // namespace offhook::media
