// The way to a TURN server over TCP or TLS (RFC 8656 §2.1): connects, cuts the stream into messages.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "base/loop.hpp"
#include "base/result.hpp"
#include "media/rtp.hpp"

struct ssl_st;
struct ssl_ctx_st;

namespace offhook::media {

// Whom to trust behind a turns: URI.
struct TurnTls {
    std::string host;    // whose name the certificate must bear; an IP address works too
    std::string ca_file; // empty: the system's
    bool insecure = false;
};

class TurnStream {
public:
    struct Events {
        std::function<void(Bytes message)> message;
        std::function<void(const Error &)> closed; // told once; Errc::network, Errc::tls, Errc::parse
    };

    explicit TurnStream(Events events) : events_(std::move(events)) {}
    ~TurnStream();
    TurnStream(const TurnStream &) = delete;
    TurnStream &operator=(const TurnStream &) = delete;

    // Errors: Errc::network, Errc::tls (the CA file). `tls`: none for plain TCP.
    Result<> connect(const Address &server, const TurnTls *tls);
    // Kept until connected. Dropped when more than 64 KiB wait: late media is no use.
    void send(Bytes message);

private:
    struct FreeSsl {
        void operator()(ssl_st *ssl) const noexcept;
    };
    Result<> prepare_tls(const TurnTls &tls);
    void ready(int flags);
    bool establish(); // false: not yet, or closed
    bool flush();
    bool drain();
    bool cut_messages();
    void watch();
    void close(const Error &error);

    Events events_;
    int fd_ = -1;
    FdWatch watch_;
    bool connected_ = false, established_ = false;
    std::shared_ptr<ssl_ctx_st> context_;
    std::unique_ptr<ssl_st, FreeSsl> ssl_;
    std::vector<std::uint8_t> in_, out_;
    std::shared_ptr<char> alive_ = std::make_shared<char>();
};

} // namespace offhook::media
