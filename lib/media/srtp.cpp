#include "media/srtp.hpp"

#include <openssl/crypto.h>
#include <srtp2/srtp.h>

namespace offhook::media {

namespace {

constexpr unsigned long replay_window = 1024; // a second of 1-ms packets, or 20 s of voice
constexpr std::size_t smallest_rtp = 12, smallest_rtcp = 8;

bool library_ready() {
    static const bool ready = srtp_init() == srtp_err_status_ok;
    return ready;
}

void set_policy(SrtpSuite suite, srtp_policy_t &policy) {
    switch (suite) {
    case SrtpSuite::aes128_cm_sha1_80:
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy.rtp);
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy.rtcp);
        return;
    case SrtpSuite::aes128_cm_sha1_32: // RFC 4568 §6.2.2: SRTCP keeps the long tag
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(&policy.rtp);
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy.rtcp);
        return;
    case SrtpSuite::aes256_cm_sha1_80:
        srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(&policy.rtp);
        srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(&policy.rtcp);
        return;
    case SrtpSuite::aead_aes128_gcm:
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp);
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp);
        return;
    case SrtpSuite::aead_aes256_gcm:
        srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtp);
        srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtcp);
        return;
    }
}

using Transform = srtp_err_status_t (*)(srtp_t, void *, int *);

std::optional<std::span<std::uint8_t>> in_place(Transform transform, srtp_t context,
                                                std::span<std::uint8_t> buffer, std::size_t size) noexcept {
    int length = static_cast<int>(size);
    if (transform(context, buffer.data(), &length) != srtp_err_status_ok) return std::nullopt;
    return buffer.first(static_cast<std::size_t>(length));
}

} // namespace

void SrtpStream::Free::operator()(srtp_ctx_t_ *context) const noexcept {
    srtp_dealloc(context);
}

Result<SrtpStream> SrtpStream::open(const SrtpKey &key, Way way) {
    if (!library_ready()) return fail(Errc::internal, "libsrtp2 does not start");
    srtp_policy_t policy{};
    set_policy(key.suite(), policy);
    policy.ssrc.type = way == Way::inbound ? ssrc_any_inbound : ssrc_any_outbound;
    std::array<unsigned char, SRTP_MAX_KEY_LEN> master{};
    std::copy(key.bytes().begin(), key.bytes().end(), master.begin());
    policy.key = master.data();
    policy.window_size = replay_window;
    srtp_t context = nullptr;
    const auto status = srtp_create(&context, &policy);
    OPENSSL_cleanse(master.data(), master.size());
    if (status != srtp_err_status_ok)
        return fail(Errc::not_supported,
                    "libsrtp2 cannot do " + std::string(info(key.suite()).sdes_name) + " on this system");
    return SrtpStream(key.suite(), Context(context));
}

std::optional<std::span<std::uint8_t>> SrtpStream::protect_rtp(std::span<std::uint8_t> buffer,
                                                               std::size_t size) noexcept {
    if (size < smallest_rtp || size + srtp_room > buffer.size()) return std::nullopt;
    return in_place(srtp_protect, context_.get(), buffer, size);
}

std::optional<std::span<std::uint8_t>> SrtpStream::protect_rtcp(std::span<std::uint8_t> buffer,
                                                                std::size_t size) noexcept {
    if (size < smallest_rtcp || size + srtp_room > buffer.size()) return std::nullopt;
    return in_place(srtp_protect_rtcp, context_.get(), buffer, size);
}

std::optional<std::span<std::uint8_t>> SrtpStream::unprotect_rtp(std::span<std::uint8_t> packet) noexcept {
    if (packet.size() < smallest_rtp) return std::nullopt;
    return in_place(srtp_unprotect, context_.get(), packet, packet.size());
}

std::optional<std::span<std::uint8_t>> SrtpStream::unprotect_rtcp(std::span<std::uint8_t> packet) noexcept {
    if (packet.size() < smallest_rtcp) return std::nullopt;
    return in_place(srtp_unprotect_rtcp, context_.get(), packet, packet.size());
}

} // namespace offhook::media
