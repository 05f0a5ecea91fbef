#include "sip/tls_session.hpp"

#include <array>
#include <ctime>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/address.hpp"

namespace offhook::sip {

namespace {

constexpr std::size_t record_size = 16'384;
constexpr long dtls_mtu = 1200; // fits every path there is

struct FreeNames {
    void operator()(GENERAL_NAMES *names) const noexcept { GENERAL_NAMES_free(names); }
};

std::string text_of(const ASN1_STRING *value) {
    const auto *data = reinterpret_cast<const char *>(ASN1_STRING_get0_data(value));
    std::string text(data, static_cast<std::size_t>(ASN1_STRING_length(value)));
    for (char &c : text) // a stranger's bytes
        if (c < 0x20 || c > 0x7e) c = '?';
    return text;
}

std::string text_of_ip(const ASN1_OCTET_STRING *value) {
    const int length = ASN1_STRING_length(value);
    char text[INET6_ADDRSTRLEN] = "?";
    if (length == 4 || length == 16)
        inet_ntop(length == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(value), text, sizeof text);
    return text;
}

// The names a certificate carries, for people: "a.example.com, 192.0.2.1".
std::string names_of(const X509 *certificate) {
    const std::unique_ptr<GENERAL_NAMES, FreeNames> names(
        static_cast<GENERAL_NAMES *>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    std::string all;
    for (int i = 0; i < sk_GENERAL_NAME_num(names.get()) && all.size() < 200; ++i) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names.get(), i);
        if (name->type != GEN_DNS && name->type != GEN_IPADD) continue;
        if (!all.empty()) all += ", ";
        all += name->type == GEN_DNS ? text_of(name->d.dNSName) : text_of_ip(name->d.iPAddress);
    }
    if (!all.empty()) return all;
    X509_NAME *subject = X509_get_subject_name(certificate);
    const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    return at < 0 ? "nobody" : text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

std::string date_of(const ASN1_TIME *time) {
    tm parts{};
    char text[32] = "an unknown date";
    if (ASN1_TIME_to_tm(time, &parts) == 1) (void)std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
    return text;
}

std::string explain(int error, const X509 *certificate, const std::string &host) {
    switch (error) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return "the certificate is for " + names_of(certificate) + ", not for " + host;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return "the certificate of " + host + " expired on " + date_of(X509_get0_notAfter(certificate));
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "the certificate of " + host + " is not valid before " +
               date_of(X509_get0_notBefore(certificate)) + " (is this computer's clock right?)";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return "the certificate of " + host + " comes from an unknown authority (CA)";
    default:
        return "the certificate of " + host + " is not acceptable: " + X509_verify_cert_error_string(error);
    }
}

} // namespace

void TlsSession::Free::operator()(ssl_st *ssl) const noexcept {
    SSL_free(ssl);
}

TlsSession::TlsSession(ssl_st *ssl) : ssl_(ssl) {
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_app_data(ssl, this);
    if (SSL_is_dtls(ssl) == 0) return;
    SSL_set_options(ssl, SSL_OP_NO_QUERY_MTU);
    SSL_set_mtu(ssl, dtls_mtu);
}

TlsSession::~TlsSession() = default;

Result<std::unique_ptr<TlsSession>> TlsSession::client(ssl_ctx_st *context, const std::string &host,
                                                       bool insecure) {
    SSL *ssl = SSL_new(context);
    if (ssl == nullptr) return fail(Errc::tls, "set up TLS: out of memory");
    std::unique_ptr<TlsSession> session(new TlsSession(ssl));
    SSL_set_connect_state(ssl);
    session->host_ = host;
    if (auto expecting = session->expect_host(insecure); !expecting) return fail(expecting.error());
    return session;
}

Result<std::unique_ptr<TlsSession>> TlsSession::server(ssl_ctx_st *context) {
    SSL *ssl = SSL_new(context);
    if (ssl == nullptr) return fail(Errc::tls, "set up TLS: out of memory");
    std::unique_ptr<TlsSession> session(new TlsSession(ssl));
    SSL_set_accept_state(ssl);
    return session;
}

Result<> TlsSession::expect_host(bool insecure) {
    SSL *ssl = ssl_.get();
    const bool numeric = Address::parse(host_).has_value();
    if (!numeric && SSL_set_tlsext_host_name(ssl, host_.c_str()) != 1)
        return fail(Errc::tls, "\"" + host_ + "\" is not a host name");
    if (insecure) {
        SSL_set_verify(ssl, SSL_VERIFY_NONE, nullptr);
        return {};
    }
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const int set = numeric ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host_.c_str())
                            : SSL_set1_host(ssl, host_.c_str());
    if (set != 1 || host_.empty()) return fail(Errc::tls, "no name to check the certificate against");
    SSL_set_verify(ssl, SSL_VERIFY_PEER, &TlsSession::verified);
    return {};
}

int TlsSession::verified(int ok, x509_store_ctx_st *store) {
    if (ok == 1) return ok;
    auto *ssl = static_cast<SSL *>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    auto *self = static_cast<TlsSession *>(SSL_get_app_data(ssl));
    const X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    if (self->certificate_bad_.empty() && certificate != nullptr)
        self->certificate_bad_ = explain(X509_STORE_CTX_get_error(store), certificate, self->host_);
    return ok;
}

Result<> TlsSession::start() {
    return handshake();
}

Result<> TlsSession::handshake() {
    ERR_clear_error();
    const int done = SSL_do_handshake(ssl_.get());
    if (done == 1) {
        established_ = true;
        return {};
    }
    const int why = SSL_get_error(ssl_.get(), done);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return {};
    return fail(describe_failure());
}

Error TlsSession::describe_failure() const {
    if (!certificate_bad_.empty()) return {Errc::tls, certificate_bad_};
    const unsigned long error = ERR_get_error();
    ERR_clear_error();
    const char *reason = ERR_reason_error_string(error);
    const int code = ERR_GET_REASON(error);
    // Reasons above 1000 are alerts: the other side's verdict (RFC 8446 §6.2).
    if (reason != nullptr && code > SSL_AD_REASON_OFFSET)
        return {Errc::tls, std::string("the peer refused the TLS connection: ") + reason};
    return {Errc::tls, std::string("the TLS connection failed: ") +
                           (reason != nullptr ? reason : "the peer does not speak TLS")};
}

Result<TlsSession::Received> TlsSession::receive(std::string_view ciphertext) {
    if (BIO_write(SSL_get_rbio(ssl_.get()), ciphertext.data(), static_cast<int>(ciphertext.size())) <= 0)
        return fail(Errc::tls, "the TLS connection failed: out of memory");
    Received received;
    if (!established_)
        if (auto shaken = handshake(); !shaken) return fail(shaken.error());
    if (!established_) return received;
    std::array<char, record_size>
        buffer; // NOLINT(cppcoreguidelines-pro-type-member-init): filled by SSL_read()
    for (;;) {
        ERR_clear_error();
        const int size = SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()));
        if (size > 0) {
            received.plaintext.append(buffer.data(), static_cast<std::size_t>(size));
            continue;
        }
        const int why = SSL_get_error(ssl_.get(), size);
        if (why == SSL_ERROR_WANT_READ) return received;
        received.closed = why == SSL_ERROR_ZERO_RETURN;
        if (received.closed) return received;
        return fail(describe_failure());
    }
}

Result<> TlsSession::send(std::string_view plaintext) {
    ERR_clear_error();
    if (plaintext.empty()) return {};
    const int size = SSL_write(ssl_.get(), plaintext.data(), static_cast<int>(plaintext.size()));
    if (size != static_cast<int>(plaintext.size())) return fail(describe_failure());
    return {};
}

void TlsSession::shut_down() {
    ERR_clear_error();
    if (established_) (void)SSL_shutdown(ssl_.get());
}

std::optional<Duration> TlsSession::resend_in() const {
    timeval left{};
    if (SSL_is_dtls(ssl_.get()) == 0 || established_ || DTLSv1_get_timeout(ssl_.get(), &left) != 1)
        return std::nullopt;
    return std::chrono::ceil<Duration>(std::chrono::seconds(left.tv_sec) +
                                       std::chrono::microseconds(left.tv_usec));
}

Result<> TlsSession::resend() {
    ERR_clear_error();
    if (DTLSv1_handle_timeout(ssl_.get()) < 0) return fail(describe_failure());
    return {};
}

std::string TlsSession::take_output() {
    BIO *bio = SSL_get_wbio(ssl_.get());
    std::string output(BIO_ctrl_pending(bio), '\0');
    if (!output.empty()) (void)BIO_read(bio, output.data(), static_cast<int>(output.size()));
    return output;
}

} // namespace offhook::sip
