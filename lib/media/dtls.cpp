#include "media/dtls.hpp"

#include <algorithm>
#include <cctype>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "media/wire.hpp"

namespace offhook::media {

namespace {

constexpr std::size_t record_header = 13;
constexpr unsigned first_timer_us = 250'000,
                   longest_timer_us = 4'000'000; // RFC 6347 §4.2.4.1 allows less than 1 s
constexpr long serial_bits = 63;

const EVP_MD *digest_named(std::string_view hash) {
    if (hash == "sha-256") return EVP_sha256();
    if (hash == "sha-384") return EVP_sha384();
    if (hash == "sha-512") return EVP_sha512();
    return nullptr;
}

std::vector<std::uint8_t> digest_of(const X509 *certificate, const EVP_MD *hash) {
    std::vector<std::uint8_t> digest(EVP_MAX_MD_SIZE);
    unsigned size = 0;
    if (X509_digest(certificate, hash, digest.data(), &size) != 1) return {};
    digest.resize(size);
    return digest;
}

std::string last_reason() {
    const unsigned long error = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(error);
    ERR_clear_error();
    return reason != nullptr ? reason : "unknown error";
}

Failure cannot(const std::string &what) {
    return fail(Errc::internal, what + ": " + last_reason());
}

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

// No name in it says who we are; its fingerprint is all that counts.
Certificate make_certificate(EVP_PKEY *key) {
    Certificate certificate(X509_new(), X509_free);
    constexpr long day = 86'400; // seconds
    X509_set_version(certificate.get(), 2);
    std::unique_ptr<BIGNUM, decltype(&BN_free)> serial(BN_new(), BN_free);
    BN_rand(serial.get(), serial_bits, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY);
    BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate.get()));
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -day); // clocks differ
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 365L * day);
    X509_set_pubkey(certificate.get(), key);
    X509_NAME *name = X509_get_subject_name(certificate.get());
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char *>("offhook"),
                               -1, -1, 0);
    X509_set_issuer_name(certificate.get(), name);
    if (X509_sign(certificate.get(), key, EVP_sha256()) == 0) certificate.reset();
    return certificate;
}

// In the order of preference of wss-bridge's measurements; AES_256_CM has no profile number.
constexpr const char *profiles = "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM";

bool configure(SSL_CTX *context, X509 *certificate, EVP_PKEY *key) {
    SSL_CTX_set_options(context, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
                                     SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    // Nobody signs these certificates: the fingerprint in the SDP is the proof (certificate_matches).
    SSL_CTX_set_cert_verify_callback(
        context, [](X509_STORE_CTX *, void *) { return 1; }, nullptr);
    return SSL_CTX_set_min_proto_version(context, DTLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES") == 1 &&
           SSL_CTX_use_certificate(context, certificate) == 1 && SSL_CTX_use_PrivateKey(context, key) == 1 &&
           SSL_CTX_set_tlsext_use_srtp(context, profiles) == 0; // 0 is success here
}

unsigned next_timer(SSL *, unsigned before_us) {
    return before_us == 0 ? first_timer_us : std::min(before_us * 2, longest_timer_us);
}

const SrtpSuiteInfo *suite_with(unsigned long dtls_id) {
    const auto suites = srtp_suites();
    const auto found = std::ranges::find_if(suites, [&](const auto &row) { return row.dtls_id == dtls_id; });
    return dtls_id == 0 || found == suites.end() ? nullptr : &*found;
}

} // namespace

std::optional<DtlsFingerprint> DtlsFingerprint::parse(std::string_view value) {
    DtlsFingerprint fingerprint;
    const std::size_t space = std::min(value.find(' '), value.size());
    fingerprint.hash.clear();
    for (const char c : value.substr(0, space))
        fingerprint.hash += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const EVP_MD *hash = digest_named(fingerprint.hash);
    if (hash == nullptr) return std::nullopt;
    value.remove_prefix(std::min(value.find_first_not_of(' ', space), value.size()));
    const auto size = static_cast<std::size_t>(EVP_MD_size(hash));
    if (value.size() != size * 3 - 1) return std::nullopt;
    const auto digit = [](char c) -> int {
        if (c >= '0' && c <= '9') return c - '0';
        const char lower = static_cast<char>(c | 0x20);
        return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
    };
    for (std::size_t i = 0; i < size; ++i) {
        const int high = digit(value[i * 3]), low = digit(value[i * 3 + 1]);
        if (high < 0 || low < 0 || (i + 1 < size && value[i * 3 + 2] != ':')) return std::nullopt;
        fingerprint.digest.push_back(static_cast<std::uint8_t>(high << 4 | low));
    }
    return fingerprint;
}

std::string DtlsFingerprint::encode() const {
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string text = hash + " ";
    for (const std::uint8_t byte : digest)
        text.append(text.back() == ' ' ? "" : ":").append({digits[byte >> 4], digits[byte & 15]});
    return text;
}

bool operator==(const DtlsFingerprint &a, const DtlsFingerprint &b) noexcept {
    return a.hash == b.hash && a.digest.size() == b.digest.size() && !a.digest.empty() &&
           CRYPTO_memcmp(a.digest.data(), b.digest.data(), a.digest.size()) == 0;
}

Result<std::shared_ptr<const DtlsIdentity>> DtlsIdentity::create() {
    ERR_clear_error();
    const Key key(EVP_EC_gen("P-256"), EVP_PKEY_free);
    if (!key) return cannot("make a key for DTLS");
    const auto certificate = make_certificate(key.get());
    if (!certificate) return cannot("make a certificate for DTLS");
    std::shared_ptr<DtlsIdentity> identity(new DtlsIdentity);
    identity->context_.reset(SSL_CTX_new(DTLS_method()), SSL_CTX_free);
    if (!identity->context_ || !configure(identity->context_.get(), certificate.get(), key.get()))
        return cannot("set up DTLS");
    identity->fingerprint_.digest = digest_of(certificate.get(), EVP_sha256());
    return identity;
}

Result<std::shared_ptr<const DtlsIdentity>> DtlsIdentity::of_process() {
    static const auto identity = create();
    return identity;
}

void DtlsSession::Free::operator()(ssl_st *ssl) const noexcept {
    SSL_free(ssl);
}

DtlsSession::DtlsSession(std::shared_ptr<const DtlsIdentity> identity, DtlsRole role, ssl_st *ssl,
                         std::vector<DtlsFingerprint> expected, unsigned mtu)
    : identity_(std::move(identity)), role_(role), ssl_(ssl), expected_(std::move(expected)), mtu_(mtu) {}

DtlsSession::~DtlsSession() = default;

Result<std::unique_ptr<DtlsSession>> DtlsSession::open(std::shared_ptr<const DtlsIdentity> identity,
                                                       DtlsRole role, std::vector<DtlsFingerprint> expected,
                                                       unsigned mtu) {
    ERR_clear_error();
    SSL *ssl = SSL_new(identity->context());
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    if (ssl == nullptr || in == nullptr || out == nullptr) {
        SSL_free(ssl);
        BIO_free(in);
        BIO_free(out);
        return cannot("set up a DTLS session");
    }
    BIO_set_mem_eof_return(in, -1); // empty means "later", not "closed"
    SSL_set_bio(ssl, in, out);
    DTLS_set_link_mtu(ssl, mtu);
    SSL_set_mtu(ssl, mtu);
    DTLS_set_timer_cb(ssl, next_timer);
    if (role == DtlsRole::client)
        SSL_set_connect_state(ssl);
    else
        SSL_set_accept_state(ssl);
    return std::unique_ptr<DtlsSession>(
        new DtlsSession(std::move(identity), role, ssl, std::move(expected), mtu));
}

Result<> DtlsSession::start() {
    return role_ == DtlsRole::client ? advance() : Result<>{};
}

Result<> DtlsSession::receive(Bytes datagram) {
    if (!looks_like_dtls(datagram)) return {};
    BIO_write(SSL_get_rbio(ssl_.get()), datagram.data(), static_cast<int>(datagram.size()));
    auto outcome = advance();
    (void)BIO_reset(
        SSL_get_rbio(ssl_.get())); // what OpenSSL left of a broken datagram is no start of the next
    return outcome;
}

Result<> DtlsSession::timer_expired() {
    ERR_clear_error();
    if (DTLSv1_handle_timeout(ssl_.get()) < 0) return fail(Errc::tls, "DTLS: the peer does not answer");
    return {};
}

std::optional<Duration> DtlsSession::timer() const {
    timeval left{};
    if (DTLSv1_get_timeout(ssl_.get(), &left) != 1) return std::nullopt;
    return Duration{left.tv_sec * 1000 + (left.tv_usec + 999) / 1000};
}

Result<> DtlsSession::advance() {
    ERR_clear_error();
    if (!keys_) {
        const int done = SSL_do_handshake(ssl_.get());
        if (done == 1) return established();
        const int why = SSL_get_error(ssl_.get(), done);
        if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return {};
        return fail(Errc::tls, "DTLS: " + last_reason());
    }
    // Nothing but alerts and repeated flights comes now; reading lets OpenSSL answer them.
    std::array<std::uint8_t, 2048> unused{};
    while (SSL_read(ssl_.get(), unused.data(), unused.size()) > 0) {
    }
    closed_ = (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
    ERR_clear_error();
    return {};
}

Result<> DtlsSession::established() {
    if (!certificate_matches())
        return fail(Errc::tls, "DTLS: the peer's certificate is not the one its SDP announced");
    return derive_keys();
}

bool DtlsSession::certificate_matches() const {
    const Certificate certificate(SSL_get1_peer_certificate(ssl_.get()), X509_free);
    if (!certificate) return false;
    return std::ranges::any_of(expected_, [&](const DtlsFingerprint &announced) {
        const EVP_MD *hash = digest_named(announced.hash);
        return hash != nullptr &&
               announced == DtlsFingerprint{announced.hash, digest_of(certificate.get(), hash)};
    });
}

// RFC 5764 §4.2: both keys, then both salts; the client's first.
Result<> DtlsSession::derive_keys() {
    const auto *profile = SSL_get_selected_srtp_profile(ssl_.get());
    const auto *suite = profile == nullptr ? nullptr : suite_with(profile->id);
    if (suite == nullptr) return fail(Errc::tls, "DTLS: no SRTP protection profile in common");
    constexpr std::string_view label = "EXTRACTOR-dtls_srtp";
    std::array<std::uint8_t, 128> block{};
    const std::size_t key = suite->key_size, salt = suite->salt_size;
    if (SSL_export_keying_material(ssl_.get(), block.data(), 2 * (key + salt), label.data(), label.size(),
                                   nullptr, 0, 0) != 1)
        return fail(Errc::tls, "DTLS: " + last_reason());
    const auto side = [&](std::size_t index) {
        std::array<std::uint8_t, 64> master{};
        std::copy_n(block.begin() + static_cast<std::ptrdiff_t>(index * key), key, master.begin());
        std::copy_n(block.begin() + static_cast<std::ptrdiff_t>(2 * key + index * salt), salt,
                    master.begin() + static_cast<std::ptrdiff_t>(key));
        SrtpKey made(suite->suite, std::span(master).first(key + salt));
        OPENSSL_cleanse(master.data(), master.size());
        return made;
    };
    const bool client = role_ == DtlsRole::client;
    keys_ = SrtpKeys{side(client ? 0 : 1), side(client ? 1 : 0)};
    OPENSSL_cleanse(block.data(), block.size());
    return {};
}

// OpenSSL writes record after record; a memory BIO forgets where one datagram ended. Records tell.
std::vector<DtlsSession::Datagram> DtlsSession::take_output() {
    BIO *out = SSL_get_wbio(ssl_.get());
    Datagram all(BIO_ctrl_pending(out));
    if (!all.empty())
        all.resize(
            static_cast<std::size_t>(std::max(BIO_read(out, all.data(), static_cast<int>(all.size())), 0)));
    std::vector<Datagram> datagrams;
    for (std::size_t at = 0; at + record_header <= all.size();) {
        const std::size_t size = std::min(record_header + read_u16(all, at + 11), all.size() - at);
        if (datagrams.empty() || datagrams.back().size() + size > mtu_) datagrams.emplace_back();
        const auto first = all.begin() + static_cast<std::ptrdiff_t>(at);
        datagrams.back().insert(datagrams.back().end(), first, first + static_cast<std::ptrdiff_t>(size));
        at += size;
    }
    return datagrams;
}

void DtlsSession::close() {
    if (keys_ && !closed_) SSL_shutdown(ssl_.get());
    ERR_clear_error();
}

} // namespace offhook::media
