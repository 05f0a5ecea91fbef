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
    Result<std::unique_ptr<TlsSession>> client(const std::string &host);
    Result<std::unique_ptr<TlsSession>> server();
    Result<> prepare_server();

private:
    Result<> prepare_client();

    TlsOptions options_;
    std::shared_ptr<ssl_ctx_st> client_, server_;
};

} // namespace offhook::sip
