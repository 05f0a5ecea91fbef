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

Result<std::shared_ptr<SSL_CTX>> make(const SSL_METHOD *method) {
    ERR_clear_error();
    std::shared_ptr<SSL_CTX> context(SSL_CTX_new(method), SSL_CTX_free);
    if (!context) return cannot("set up TLS");
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
    return context;
}

Result<> use_certificate(SSL_CTX *context, const std::string &file) {
    if (SSL_CTX_use_certificate_chain_file(context, file.c_str()) != 1)
        return cannot("read the certificate " + file);
    if (SSL_CTX_use_PrivateKey_file(context, file.c_str(), SSL_FILETYPE_PEM) != 1)
        return cannot("read the private key in " + file);
    return {};
}

} // namespace

Result<> TlsContext::prepare_client() {
    if (client_) return {};
    auto context = make(TLS_client_method());
    if (!context) return fail(context.error());
    const int trusted =
        options_.ca_file.empty()
            ? SSL_CTX_set_default_verify_paths(context->get())
            : SSL_CTX_load_verify_locations(context->get(), options_.ca_file.c_str(), nullptr);
    if (trusted != 1 && !options_.insecure)
        return cannot("read the CA certificates " +
                      (options_.ca_file.empty() ? std::string("of the system") : options_.ca_file));
    if (!options_.certificate.empty())
        if (auto used = use_certificate(context->get(), options_.certificate); !used) return used;
    client_ = std::move(*context);
    return {};
}

Result<> TlsContext::prepare_server() {
    if (server_) return {};
    if (options_.certificate.empty())
        return fail(Errc::tls, "listening on TLS needs a certificate (a PEM file with chain and key)");
    auto context = make(TLS_server_method());
    if (!context) return fail(context.error());
    if (auto used = use_certificate(context->get(), options_.certificate); !used) return used;
    server_ = std::move(*context);
    return {};
}

Result<std::unique_ptr<TlsSession>> TlsContext::client(const std::string &host) {
    if (auto ready = prepare_client(); !ready) return fail(ready.error());
    return TlsSession::client(client_.get(), host, options_.insecure);
}

Result<std::unique_ptr<TlsSession>> TlsContext::server() {
    if (auto ready = prepare_server(); !ready) return fail(ready.error());
    return TlsSession::server(server_.get());
}

} // namespace offhook::sip
