// Certificates, keys and trust for TLS connections: TlsOptions made ready for use.
#pragma once

#include <memory>
#include <string>

#include "base/result.hpp"
#include "sip/tls_session.hpp"
#include "sip/transport.hpp"

namespace offhook::sip {

class TlsContext {
public:
    TlsContext() = default;
    explicit TlsContext(TlsOptions options) : options_(std::move(options)) {}

    // Made when first asked for, so that a missing file is reported by the call that needed it.
    // Errors: Errc::tls ("read the certificate /etc/x.pem: …").
    // `kind` dtls: DTLS, any other: TLS.
    Result<std::unique_ptr<TlsSession>> client(TransportKind kind, const std::string &host);
    Result<std::unique_ptr<TlsSession>> server(TransportKind kind);
    Result<> prepare_client(TransportKind kind);
    Result<> prepare_server(TransportKind kind);

private:
    using Context = std::shared_ptr<ssl_ctx_st>;
    Context &client_of(TransportKind kind) { return kind == TransportKind::dtls ? dtls_client_ : client_; }
    Context &server_of(TransportKind kind) { return kind == TransportKind::dtls ? dtls_server_ : server_; }

    TlsOptions options_;
    Context client_, server_, dtls_client_, dtls_server_;
};

} // namespace offhook::sip
