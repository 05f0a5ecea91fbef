// One UDP port that the browsers' legs of a media worker share. Opened by the loop; everything else happens
// in the worker.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/address.hpp"
#include "base/fd.hpp"
#include "base/result.hpp"
#include "bridge/web_path.hpp"
#include "media/ice_demux.hpp"

namespace offhook::bridge {

// Datagrams that were nobody's, of all workers.
class Strangers {
public:
    void note(const Address &from) {
        count_.fetch_add(1, std::memory_order_relaxed);
        if (const std::unique_lock lock(mutex_, std::try_to_lock); lock) last_ = from; // one of them will do
    }
    [[nodiscard]] std::uint64_t count() const noexcept { return count_.load(std::memory_order_relaxed); }
    [[nodiscard]] Address last() const {
        const std::lock_guard lock(mutex_);
        return last_;
    }

private:
    std::atomic<std::uint64_t> count_{0};
    mutable std::mutex mutex_;
    Address last_;
};

class IcePort final : public std::enable_shared_from_this<IcePort>, private MediaWorker::Sink {
public:
    using Counter = std::shared_ptr<Strangers>;

    // Binds, and has the worker listen. `strangers` counts the datagrams that are nobody's. Errors:
    // Errc::network ("UDP port 40000 of 192.0.2.1: Address already in use").
    static Result<std::shared_ptr<IcePort>> open(MediaWorker &worker, const Address &bind, Counter strangers);
    ~IcePort(); // in the worker
    IcePort(const IcePort &) = delete;
    IcePort &operator=(const IcePort &) = delete;

    [[nodiscard]] const Address &address() const noexcept { return address_; }
    // Of the leg with this ufrag, which is known from open() until the path is gone. Made anywhere.
    std::unique_ptr<WebPath> path(std::string ufrag);
    // What the kernel keeps for us between two looks, in bytes: less than asked for where
    // net.core.rmem_max is small.
    [[nodiscard]] int receive_buffer() const noexcept;

private:
    class Leg;

    IcePort(MediaWorker &worker, Fd socket, const Address &address, Counter strangers);
    void received(unsigned port, std::span<std::uint8_t> packet, const Address &from, TimePoint now) override;

    MediaWorker &worker_;
    Fd socket_;
    Address address_;
    Counter strangers_;
    media::IceDemux demux_;
    struct Receiver {
        MediaWorker::Sink *sink;
        unsigned port;
    };
    std::unordered_map<media::IceDemux::Agent, Receiver> legs_;
    media::IceDemux::Agent next_ = 1;
};

// The same port on each of the host's addresses that browsers are told, opened when it is needed first: what
// is bound to an address answers from there. Of the loop.
class IcePorts {
public:
    IcePorts(MediaWorker &worker, std::uint16_t port, IcePort::Counter strangers)
        : worker_(worker), port_(port), strangers_(std::move(strangers)) {}
    ~IcePorts();
    IcePorts(const IcePorts &) = delete;
    IcePorts &operator=(const IcePorts &) = delete;

    // Errors: as of IcePort::open().
    Result<std::shared_ptr<IcePort>> on(const Address &ip);

private:
    MediaWorker &worker_;
    std::uint16_t port_;
    IcePort::Counter strangers_;
    std::vector<std::shared_ptr<IcePort>> ports_;
};

} // namespace offhook::bridge
