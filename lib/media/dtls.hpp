// DTLS-SRTP (RFC 5763, RFC 5764) without I/O: datagrams in, datagrams out. OpenSSL on memory BIOs; the caller
// owns the sockets, decides from whom a datagram is taken, and keeps the time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "media/rtp.hpp"
#include "media/srtp_suite.hpp"

struct ssl_st;
struct ssl_ctx_st;

namespace offhook::media {

// a=fingerprint (RFC 8122): the digest of a certificate. SHA-1 and MD5 are not believed.
struct DtlsFingerprint {
    std::string hash = "sha-256"; // sha-256, sha-384 or sha-512
    std::vector<std::uint8_t> digest;

    static std::optional<DtlsFingerprint> parse(std::string_view value); // "sha-256 AB:CD:…"
    [[nodiscard]] std::string encode() const;
    friend bool operator==(const DtlsFingerprint &a, const DtlsFingerprint &b) noexcept; // in constant time
};

// A self-signed P-256 certificate with its key, and all that sessions share. One for the process is enough:
// it is made in a millisecond and lives in memory only.
class DtlsIdentity {
public:
    // Errors: Errc::internal, in OpenSSL's words.
    static Result<std::shared_ptr<const DtlsIdentity>> create();
    static Result<std::shared_ptr<const DtlsIdentity>> of_process(); // made when first asked for

    [[nodiscard]] const DtlsFingerprint &fingerprint() const noexcept { return fingerprint_; }
    [[nodiscard]] ssl_ctx_st *context() const noexcept { return context_.get(); }

private:
    DtlsIdentity() = default;
    std::shared_ptr<ssl_ctx_st> context_;
    DtlsFingerprint fingerprint_;
};

enum class DtlsRole : std::uint8_t { client, server }; // a=setup:active, a=setup:passive

class DtlsSession {
public:
    using Datagram = std::vector<std::uint8_t>;
    static constexpr unsigned usual_mtu = 1200; // bytes of UDP payload

    // `expected`: the peer's fingerprints; its certificate must match one.
    static Result<std::unique_ptr<DtlsSession>> open(std::shared_ptr<const DtlsIdentity> identity,
                                                     DtlsRole role, std::vector<DtlsFingerprint> expected,
                                                     unsigned mtu = usual_mtu);
    ~DtlsSession();
    DtlsSession(const DtlsSession &) = delete;
    DtlsSession &operator=(const DtlsSession &) = delete;

    // A client's first flight; nothing for a server. After each of the three: take_output(), and the timer
    // anew.
    Result<> start();
    // A datagram of the peer. What is no DTLS or does not authenticate is dropped without an error. Errors:
    // Errc::tls, for good: another certificate than announced, no common suite, the peer's fatal alert.
    Result<> receive(Bytes datagram);
    Result<> timer_expired(); // retransmits; the same errors
    // From now on. Nothing: no flight waits for an answer.
    [[nodiscard]] std::optional<Duration> timer() const;
    [[nodiscard]] std::vector<Datagram> take_output();
    void close(); // queues close_notify

    [[nodiscard]] DtlsRole role() const noexcept { return role_; }
    [[nodiscard]] const std::optional<SrtpKeys> &keys() const noexcept { return keys_; } // once established
    [[nodiscard]] bool closed_by_peer() const noexcept { return closed_; }

private:
    struct Free {
        void operator()(ssl_st *ssl) const noexcept;
    };
    DtlsSession(std::shared_ptr<const DtlsIdentity> identity, DtlsRole role, ssl_st *ssl,
                std::vector<DtlsFingerprint> expected, unsigned mtu);
    Result<> advance();
    Result<> established();
    [[nodiscard]] bool certificate_matches() const;
    Result<> derive_keys();

    std::shared_ptr<const DtlsIdentity> identity_;
    DtlsRole role_;
    std::unique_ptr<ssl_st, Free> ssl_;
    std::vector<DtlsFingerprint> expected_;
    unsigned mtu_;
    std::optional<SrtpKeys> keys_;
    bool closed_ = false;
};

// RFC 7983 §7: 20 to 63.
[[nodiscard]] inline bool looks_like_dtls(Bytes datagram) noexcept {
    return datagram.size() >= 13 && datagram[0] >= 20 && datagram[0] <= 63;
}

} // namespace offhook::media
