// A way by which the datagrams of a browser's leg come in and go out: a UDP socket of its own, a UDP port
// that it shares with other legs, or a TCP connection. Lives in a media worker.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "bridge/media_worker.hpp"

namespace offhook::bridge {

class WebPath {
public:
    WebPath() = default;
    virtual ~WebPath() = default; // nothing is received any more
    WebPath(const WebPath &) = delete;
    WebPath &operator=(const WebPath &) = delete;

    // Once; `port` is what the sink is told. It lives until this is gone.
    virtual void open(MediaWorker::Sink &sink, unsigned port) = 0;
    // Soon, or never: what cannot be sent is lost.
    virtual void send(const Address &to, std::span<const std::uint8_t> datagram) = 0;
    // The leg's browser has proved who it is and wants its media at `from`.
    virtual void nominated(const Address &, TimePoint) {}
    virtual void expect(const Touched &) {}                   // as MediaWorker::expect()
    [[nodiscard]] virtual bool over() const { return false; } // nothing will come or go any more
};

// A UDP socket that is nobody else's.
std::unique_ptr<WebPath> own_path(MediaWorker &worker, Fd socket);

} // namespace offhook::bridge
