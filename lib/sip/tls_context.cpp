#include "sip/tls_context.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

namespace offhook::sip {

namespace {

std::string last_reason() {
    const unsigned long error = ERR_get_error();
    ERR_clear_error();
    const char *reason = ERR_reason_error_string(error);
    return reason != nullptr ? reason : "unknown error";
}

Failure cannot(const std::string &doing) {
    return fail(Errc::tls, doing + ": " + last_reason());
}

Result<std::shared_ptr<SSL_CTX>> make(const SSL_METHOD *method, bool dtls) {
    ERR_clear_error();
    std::shared_ptr<SSL_CTX> context(SSL_CTX_new(method), SSL_CTX_free);
    if (!context) return cannot("set up TLS");
    SSL_CTX_set_min_proto_version(context.get(), dtls ? DTLS1_2_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
    return context;
}

Result<> use_certificate(SSL_CTX *context, const TlsOptions &options) {
    const std::string &key = options.key.empty() ? options.certificate : options.key;
    if (SSL_CTX_use_certificate_chain_file(context, options.certificate.c_str()) != 1)
        return cannot("read the certificate " + options.certificate);
    if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1)
        return cannot("read the private key in " + key);
    return {};
}

} // namespace

Result<> TlsContext::prepare_client(TransportKind kind) {
    if (client_of(kind)) return {};
    const bool dtls = kind == TransportKind::dtls;
    auto context = make(dtls ? DTLS_client_method() : TLS_client_method(), dtls);
    if (!context) return fail(context.error());
    const int trusted =
        options_.ca_file.empty()
            ? SSL_CTX_set_default_verify_paths(context->get())
            : SSL_CTX_load_verify_locations(context->get(), options_.ca_file.c_str(), nullptr);
    if (trusted != 1 && !options_.insecure)
        return cannot("read the CA certificates " +
                      (options_.ca_file.empty() ? std::string("of the system") : options_.ca_file));
    if (!options_.certificate.empty())
        if (auto used = use_certificate(context->get(), options_); !used) return used;
    client_of(kind) = std::move(*context);
    return {};
}

Result<> TlsContext::prepare_server(TransportKind kind) {
    if (server_of(kind)) return {};
    if (options_.certificate.empty())
        return fail(Errc::tls, "listening on TLS needs a certificate (a PEM file with chain and key)");
    const bool dtls = kind == TransportKind::dtls;
    auto context = make(dtls ? DTLS_server_method() : TLS_server_method(), dtls);
    if (!context) return fail(context.error());
    if (auto used = use_certificate(context->get(), options_); !used) return used;
    server_of(kind) = std::move(*context);
    return {};
}

Result<std::unique_ptr<TlsSession>> TlsContext::client(TransportKind kind, const std::string &host) {
    if (auto ready = prepare_client(kind); !ready) return fail(ready.error());
    return TlsSession::client(client_of(kind).get(), host, options_.insecure);
}

Result<std::unique_ptr<TlsSession>> TlsContext::server(TransportKind kind) {
    if (auto ready = prepare_server(kind); !ready) return fail(ready.error());
    return TlsSession::server(server_of(kind).get());
}

} // namespace offhook::sip
