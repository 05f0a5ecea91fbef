// DtlsLink: a DtlsSession with its timers, in the loop.
#pragma once

#include <functional>
#include <memory>

#include "base/loop.hpp"
#include "media/dtls.hpp"

namespace offhook::media {

class DtlsLink {
public:
    struct Events {
        std::function<void(Bytes datagram)> send;
        std::function<void(const SrtpKeys &keys)> keyed;
        std::function<void(const Error &error)> failed; // told once; nothing is sent after that
    };

    // Errors: as DtlsSession::open().
    static Result<std::unique_ptr<DtlsLink>> open(Loop &loop, DtlsRole role,
                                                  std::vector<DtlsFingerprint> expected, Events events);
    ~DtlsLink(); // says good-bye to the peer
    DtlsLink(const DtlsLink &) = delete;
    DtlsLink &operator=(const DtlsLink &) = delete;

    void start(); // there is a way to the peer: a client begins
    void received(Bytes datagram);
    [[nodiscard]] bool keyed() const noexcept { return session_->keys().has_value(); }

private:
    DtlsLink(Loop &loop, std::unique_ptr<DtlsSession> session, Events events)
        : session_(std::move(session)), events_(std::move(events)), timer_(loop) {}
    void went_on(const Result<> &outcome);

    std::unique_ptr<DtlsSession> session_;
    Events events_;
    Timer timer_;
    bool started_ = false, told_ = false, failed_ = false;
};

} // namespace offhook::media
