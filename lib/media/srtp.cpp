#include "media/srtp.hpp"

#include <type_traits>

#include <openssl/crypto.h>
#include <srtp2/srtp.h>

#include "base/shared_library.hpp"

namespace offhook::media {

namespace {

constexpr unsigned long replay_window = 1024; // a second of 1-ms packets, or 20 s of voice
constexpr std::size_t smallest_rtp = 12, smallest_rtcp = 8;

struct Library {
    decltype(&srtp_init) init = nullptr;
    decltype(&srtp_create) create = nullptr;
    decltype(&srtp_dealloc) dealloc = nullptr;
    decltype(&srtp_protect) protect = nullptr;
    decltype(&srtp_protect_rtcp) protect_rtcp = nullptr;
    decltype(&srtp_unprotect) unprotect = nullptr;
    decltype(&srtp_unprotect_rtcp) unprotect_rtcp = nullptr;
    using Set = std::remove_pointer_t<decltype(&srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32)>;
    Set *cm_128_80 = nullptr, *cm_128_32 = nullptr, *cm_256_80 = nullptr, *gcm_128 = nullptr,
        *gcm_256 = nullptr;
};

const Library *load() noexcept {
    static Library library;
    SharedLibrary shared("libsrtp2.so.1");
    shared.bind(library.init, "srtp_init");
    shared.bind(library.create, "srtp_create");
    shared.bind(library.dealloc, "srtp_dealloc");
    shared.bind(library.protect, "srtp_protect");
    shared.bind(library.protect_rtcp, "srtp_protect_rtcp");
    shared.bind(library.unprotect, "srtp_unprotect");
    shared.bind(library.unprotect_rtcp, "srtp_unprotect_rtcp");
    shared.bind(library.cm_128_80, "srtp_crypto_policy_set_rtp_default");
    shared.bind(library.cm_128_32, "srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32");
    shared.bind(library.cm_256_80, "srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80");
    shared.bind(library.gcm_128, "srtp_crypto_policy_set_aes_gcm_128_16_auth");
    shared.bind(library.gcm_256, "srtp_crypto_policy_set_aes_gcm_256_16_auth");
    return shared.complete() && library.init() == srtp_err_status_ok ? &library : nullptr;
}

// Null where it is not installed or does not start.
const Library *library() noexcept {
    static const Library *const loaded = load();
    return loaded;
}

void set_policy(const Library &srtp, SrtpSuite suite, srtp_policy_t &policy) {
    switch (suite) {
    case SrtpSuite::aes128_cm_sha1_80:
        srtp.cm_128_80(&policy.rtp);
        srtp.cm_128_80(&policy.rtcp);
        return;
    case SrtpSuite::aes128_cm_sha1_32: // RFC 4568 §6.2.2: SRTCP keeps the long tag
        srtp.cm_128_32(&policy.rtp);
        srtp.cm_128_80(&policy.rtcp);
        return;
    case SrtpSuite::aes256_cm_sha1_80:
        srtp.cm_256_80(&policy.rtp);
        srtp.cm_256_80(&policy.rtcp);
        return;
    case SrtpSuite::aead_aes128_gcm:
        srtp.gcm_128(&policy.rtp);
        srtp.gcm_128(&policy.rtcp);
        return;
    case SrtpSuite::aead_aes256_gcm:
        srtp.gcm_256(&policy.rtp);
        srtp.gcm_256(&policy.rtcp);
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
    library()->dealloc(context);
}

Result<SrtpStream> SrtpStream::open(const SrtpKey &key, Way way) {
    const auto *srtp = library();
    if (srtp == nullptr)
        return fail(Errc::not_supported,
                    "SRTP needs libsrtp2.so.1, which is not installed or does not start");
    srtp_policy_t policy{};
    set_policy(*srtp, key.suite(), policy);
    policy.ssrc.type = way == Way::inbound ? ssrc_any_inbound : ssrc_any_outbound;
    std::array<unsigned char, SRTP_MAX_KEY_LEN> master{};
    std::copy(key.bytes().begin(), key.bytes().end(), master.begin());
    policy.key = master.data();
    policy.window_size = replay_window;
    srtp_t context = nullptr;
    const auto status = srtp->create(&context, &policy);
    OPENSSL_cleanse(master.data(), master.size());
    if (status != srtp_err_status_ok)
        return fail(Errc::not_supported,
                    "libsrtp2 cannot do " + std::string(info(key.suite()).sdes_name) + " on this system");
    return SrtpStream(key.suite(), Context(context));
}

std::optional<std::span<std::uint8_t>> SrtpStream::protect_rtp(std::span<std::uint8_t> buffer,
                                                               std::size_t size) noexcept {
    if (size < smallest_rtp || size + srtp_room > buffer.size()) return std::nullopt;
    return in_place(library()->protect, context_.get(), buffer, size);
}

std::optional<std::span<std::uint8_t>> SrtpStream::protect_rtcp(std::span<std::uint8_t> buffer,
                                                                std::size_t size) noexcept {
    if (size < smallest_rtcp || size + srtp_room > buffer.size()) return std::nullopt;
    return in_place(library()->protect_rtcp, context_.get(), buffer, size);
}

std::optional<std::span<std::uint8_t>> SrtpStream::unprotect_rtp(std::span<std::uint8_t> packet) noexcept {
    if (packet.size() < smallest_rtp) return std::nullopt;
    return in_place(library()->unprotect, context_.get(), packet, packet.size());
}

std::optional<std::span<std::uint8_t>> SrtpStream::unprotect_rtcp(std::span<std::uint8_t> packet) noexcept {
    if (packet.size() < smallest_rtcp) return std::nullopt;
    return in_place(library()->unprotect_rtcp, context_.get(), packet, packet.size());
}

} // namespace offhook::media
