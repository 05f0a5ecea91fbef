#include "media/turn_stream.hpp"

#include <cerrno>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include "media/turn_client.hpp"

namespace offhook::media {

namespace {

constexpr std::size_t most_waiting = 65536, read_at_once = 16384;

std::string tls_reason(SSL *ssl) {
    if (const long verdict = SSL_get_verify_result(ssl); verdict != X509_V_OK)
        return X509_verify_cert_error_string(verdict);
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason != nullptr ? reason : "handshake failed";
}

} // namespace

void TurnStream::FreeSsl::operator()(ssl_st *ssl) const noexcept {
    SSL_free(ssl);
}

TurnStream::~TurnStream() {
    watch_.stop();
    if (fd_ >= 0) ::close(fd_);
}

Result<> TurnStream::prepare_tls(const TurnTls &tls) {
    ERR_clear_error();
    context_.reset(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
    if (!context_) return fail(Errc::tls, "set up TLS");
    SSL_CTX_set_min_proto_version(context_.get(), TLS1_2_VERSION);
    const int trusted = tls.ca_file.empty()
                            ? SSL_CTX_set_default_verify_paths(context_.get())
                            : SSL_CTX_load_verify_locations(context_.get(), tls.ca_file.c_str(), nullptr);
    if (trusted != 1 && !tls.insecure)
        return fail(Errc::tls, "cannot read the CA certificates " + tls.ca_file);
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_verify(ssl_.get(), tls.insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nullptr);
    if (Address::parse(tls.host)) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), tls.host.c_str());
    } else {
        SSL_set1_host(ssl_.get(), tls.host.c_str());
        SSL_set_tlsext_host_name(ssl_.get(), tls.host.c_str());
    }
    SSL_set_connect_state(ssl_.get());
    return {};
}

Result<> TurnStream::connect(const Address &server, const TurnTls *tls) {
    if (tls != nullptr)
        if (auto ready = prepare_tls(*tls); !ready) return ready;
    fd_ = socket(server.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) return fail_errno(Errc::network, errno, "connect to the TURN server");
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(fd_, server.sockaddr_ptr(), server.sockaddr_len()) != 0 && errno != EINPROGRESS)
        return fail_errno(Errc::network, errno, "connect to the TURN server " + server.to_string());
    if (ssl_) SSL_set_fd(ssl_.get(), fd_);
    return watch_.start(fd_, FdWatch::write, [this](int flags) { ready(flags); });
}

void TurnStream::watch() {
    const int flags = FdWatch::read | (out_.empty() && established_ ? 0 : FdWatch::write);
    (void)watch_.start(fd_, flags, [this](int due) { ready(due); });
}

void TurnStream::close(const Error &error) {
    watch_.stop();
    if (fd_ < 0) return;
    ::close(std::exchange(fd_, -1));
    if (events_.closed) events_.closed(error);
}

bool TurnStream::establish() {
    if (!connected_) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0) {
            close(fail_errno(Errc::network, error, "connect to the TURN server").value());
            return false;
        }
        connected_ = true;
    }
    if (!ssl_) return true;
    ERR_clear_error();
    const int done = SSL_do_handshake(ssl_.get());
    if (done == 1) return true;
    const int why = SSL_get_error(ssl_.get(), done);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
        close({Errc::tls, "TLS with the TURN server: " + tls_reason(ssl_.get()), 0});
    } else {
        (void)watch_.start(fd_, why == SSL_ERROR_WANT_READ ? FdWatch::read : FdWatch::write,
                           [this](int flags) { ready(flags); });
    }
    return false;
}

void TurnStream::ready(int) {
    const std::weak_ptr<char> here = alive_;
    if (!established_ && !(established_ = establish())) return;
    if (!flush() || !drain() || here.expired() || fd_ < 0) return;
    watch();
}

bool TurnStream::flush() {
    while (!out_.empty()) {
        ssize_t sent = 0;
        if (ssl_) {
            ERR_clear_error();
            sent = SSL_write(ssl_.get(), out_.data(), static_cast<int>(out_.size()));
            if (sent <= 0 && SSL_get_error(ssl_.get(), static_cast<int>(sent)) != SSL_ERROR_SSL) return true;
        } else {
            sent = ::send(fd_, out_.data(), out_.size(), MSG_NOSIGNAL);
            if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return true;
        }
        if (sent <= 0) {
            close({Errc::network, "the connection to the TURN server broke", 0});
            return false;
        }
        out_.erase(out_.begin(), out_.begin() + sent);
    }
    return true;
}

bool TurnStream::drain() {
    for (;;) {
        const std::size_t before = in_.size();
        in_.resize(before + read_at_once);
        ssize_t got = 0;
        bool later = false;
        if (ssl_) {
            ERR_clear_error();
            got = SSL_read(ssl_.get(), in_.data() + before, read_at_once);
            const int why = got > 0 ? 0 : SSL_get_error(ssl_.get(), static_cast<int>(got));
            later = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
        } else {
            got = recv(fd_, in_.data() + before, read_at_once, 0);
            later = got < 0 && (errno == EAGAIN || errno == EINTR);
        }
        in_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
        if (later) return true;
        if (got <= 0) {
            close({Errc::network, "the TURN server closed the connection", 0});
            return false;
        }
        if (!cut_messages()) return false;
    }
}

bool TurnStream::cut_messages() {
    const std::weak_ptr<char> here = alive_;
    std::size_t at = 0;
    while (at < in_.size()) {
        const auto size = turn_message_size(Bytes(in_).subspan(at));
        if (!size) {
            close(size.error());
            return false;
        }
        if (*size == 0 || *size > in_.size() - at) break;
        const std::vector<std::uint8_t> message(in_.begin() + static_cast<std::ptrdiff_t>(at),
                                                in_.begin() + static_cast<std::ptrdiff_t>(at + *size));
        at += *size;
        if (events_.message) events_.message(message);
        if (here.expired()) return false;
    }
    in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(at));
    return true;
}

void TurnStream::send(Bytes message) {
    if (fd_ < 0 || out_.size() + message.size() > most_waiting) return;
    out_.insert(out_.end(), message.begin(), message.end());
    if (!established_) return;
    const std::weak_ptr<char> here = alive_;
    if (flush() && !here.expired() && !out_.empty()) watch();
}

} // namespace offhook::media
