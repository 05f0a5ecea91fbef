// One TLS or DTLS connection without I/O: bytes in, bytes out (of DTLS one datagram in, records out). OpenSSL
// over memory BIOs rather than libre's TLS, which in 1.1.0 verifies nothing and sends no SNI; so both Debian
// releases behave alike.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/result.hpp"

struct ssl_st;
struct ssl_ctx_st;
struct x509_store_ctx_st;

namespace offhook::sip {

class TlsSession {
public:
    struct Received {
        std::string plaintext;
        bool closed = false; // the peer said good-bye
    };

    // A client verifies the chain and that the certificate names `host` (DNS name or IP SAN) unless
    // `insecure`; `host` goes out as SNI when it is a name.
    static Result<std::unique_ptr<TlsSession>> client(ssl_ctx_st *context, const std::string &host,
                                                      bool insecure);
    static Result<std::unique_ptr<TlsSession>> server(ssl_ctx_st *context);
    ~TlsSession();
    TlsSession(const TlsSession &) = delete;
    TlsSession &operator=(const TlsSession &) = delete;

    // The first flight of a client; nothing for a server.
    Result<> start();
    // Errors: Errc::tls, in words; take_output() may then hold the alert to be sent before closing.
    Result<Received> receive(std::string_view ciphertext);
    Result<> send(std::string_view plaintext); // only once established()
    void shut_down();                          // queues close_notify
    [[nodiscard]] std::string take_output();
    [[nodiscard]] bool established() const noexcept { return established_; }
    // DTLS: when the flight under way has to be sent again, unless an answer comes before; absent: never.
    [[nodiscard]] std::optional<Duration> resend_in() const;
    Result<> resend(); // that time is over; take_output() has the flight. Errors: Errc::tls, tried too often

private:
    struct Free {
        void operator()(ssl_st *ssl) const noexcept;
    };

    explicit TlsSession(ssl_st *ssl);
    static int verified(int ok, x509_store_ctx_st *store);
    Result<> handshake();
    Result<> expect_host(bool insecure);
    [[nodiscard]] Error describe_failure() const;

    std::unique_ptr<ssl_st, Free> ssl_;
    std::string host_;            // of a client
    std::string certificate_bad_; // why verification failed, in words
    bool established_ = false;
};

} // namespace offhook::sip
