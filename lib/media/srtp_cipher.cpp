// SHA_CTX can be copied; EVP's contexts can too, but with more work than the hash itself.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "media/srtp_cipher.hpp"

#include <algorithm>
#include <cstring>

#include <openssl/crypto.h>
#include <openssl/sha.h>

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

// text ⊕ stream, eight bytes at a time.
void mix(MutableBytes text, const std::uint8_t *stream) noexcept {
    std::size_t at = 0;
    for (; at + 8 <= text.size(); at += 8) {
        std::uint64_t word = 0, key = 0;
        std::memcpy(&word, &text[at], sizeof word);
        std::memcpy(&key, stream + at, sizeof key);
        word ^= key;
        std::memcpy(&text[at], &word, sizeof word);
    }
    for (; at < text.size(); ++at)
        text[at] ^= stream[at];
}

const EVP_CIPHER *algorithm(SrtpSuite suite) noexcept {
    const bool longer = info(suite).key_size == 32;
    if (is_aead(suite)) return longer ? EVP_aes_256_gcm() : EVP_aes_128_gcm();
    return longer ? EVP_aes_256_ecb() : EVP_aes_128_ecb();
}

} // namespace

// The two states that the key alone leads to (RFC 2104 §4).
struct SrtpCipher::HmacSha1 {
    SHA_CTX inner{}, outer{};

    static HmacSha1 *make(ConstBytes key) {
        auto *hmac = new HmacSha1;
        if (start(hmac->inner, key, 0x36) && start(hmac->outer, key, 0x5c)) return hmac;
        delete hmac;
        return nullptr;
    }
    static bool start(SHA_CTX &state, ConstBytes key, std::uint8_t pad) {
        std::array<std::uint8_t, SHA_CBLOCK> block{};
        std::ranges::copy(key, block.begin());
        for (auto &byte : block)
            byte ^= pad;
        const bool good = SHA1_Init(&state) == 1 && SHA1_Update(&state, block.data(), block.size()) == 1;
        OPENSSL_cleanse(block.data(), block.size());
        return good;
    }
};

void SrtpCipher::Free::operator()(HmacSha1 *hmac) const noexcept {
    OPENSSL_cleanse(hmac, sizeof *hmac);
    delete hmac;
}

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
    good = good &&
           EVP_CipherInit_ex(cipher_.get(), algorithm(key.suite()), nullptr, session.data(), nullptr,
                             forward ? 1 : 0) == 1 &&
           EVP_CIPHER_CTX_set_padding(cipher_.get(), 0) == 1;
    if (!aead_ && good) {
        good = derive(key, first + authentication, hmac);
        mac_.reset(good ? HmacSha1::make(hmac) : nullptr);
        good = mac_ != nullptr;
    }
    usable_ = good;
    OPENSSL_cleanse(session.data(), session.size());
    OPENSSL_cleanse(hmac.data(), hmac.size());
}

SrtpCipher::~SrtpCipher() {
    OPENSSL_cleanse(salt_.data(), salt_.size());
}

void SrtpCipher::touched(Touched &memory) const noexcept {
    constexpr std::size_t context = 176; // of OpenSSL 3
    memory.add(cipher_.get(), context);
    if (mac_) memory.add(mac_.get(), sizeof *mac_);
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

// Some blocks of the keystream at a time: OpenSSL's counter mode would have to be given its vector for each
// packet, which costs more than the encryption of one.
bool SrtpCipher::crypt(MutableBytes text, std::uint32_t ssrc, std::uint64_t index) noexcept {
    constexpr std::size_t block = 16, blocks = 32;
    const Vector start = vector(ssrc, index);
    std::array<std::uint8_t, block * blocks>
        stream; // NOLINT(cppcoreguidelines-pro-type-member-init): as much of it is filled as is used
    for (std::size_t counter = 0; !text.empty();) {
        const std::size_t size = std::min(text.size(), stream.size());
        const std::size_t end = (size + block - 1) / block * block;
        for (std::size_t at = 0; at < end; at += block, ++counter) {
            std::memcpy(&stream[at], start.data(), block - 2);
            stream[at + 14] = static_cast<std::uint8_t>(counter >> 8);
            stream[at + 15] = static_cast<std::uint8_t>(counter);
        }
        int length = 0;
        if (EVP_EncryptUpdate(cipher_.get(), stream.data(), &length, stream.data(), static_cast<int>(end)) !=
            1)
            return false;
        mix(text.first(size), stream.data());
        text = text.subspan(size);
    }
    return true;
}

bool SrtpCipher::authenticate(ConstBytes packet, ConstBytes more, Tag &tag) noexcept {
    std::array<std::uint8_t, SHA_DIGEST_LENGTH> whole{};
    SHA_CTX state = mac_->inner;
    bool good = SHA1_Update(&state, packet.data(), packet.size()) == 1 &&
                SHA1_Update(&state, more.data(), more.size()) == 1 && SHA1_Final(whole.data(), &state) == 1;
    state = mac_->outer;
    good =
        good && SHA1_Update(&state, whole.data(), whole.size()) == 1 && SHA1_Final(whole.data(), &state) == 1;
    std::copy_n(whole.begin(), tag_size_, tag.begin());
    return good;
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
