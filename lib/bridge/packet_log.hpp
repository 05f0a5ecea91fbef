// Packets of media on their way from the media workers to a capture file. Bounded in memory and on disk: what
// does not fit is left out and counted.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "base/loop.hpp"

namespace offhook::bridge {

class PacketLog : public std::enable_shared_from_this<PacketLog> {
public:
    struct Packet {
        Address from, to;
        std::string bytes; // RTP or RTCP in the clear
        std::chrono::system_clock::time_point when;
    };
    struct Limits {
        std::size_t waiting = std::size_t{4} << 20U;       // bytes in memory, until the loop has time
        std::uint64_t written = std::uint64_t{256} << 20U; // bytes altogether
    };
    using Write = std::function<void(const Packet &packet)>;

    // `write` and `full` (once, when `written` is reached) are called from the loop that is running in the
    // thread of the constructor.
    PacketLog(Limits limits, Write write, std::function<void()> full);

    // From any thread.
    void note(const Address &from, const Address &to, std::span<const std::uint8_t> bytes);
    [[nodiscard]] std::uint64_t left_out() const noexcept { return left_out_; } // no room in memory
    void drain(); // from the loop: what is waiting

private:
    const Limits limits_;
    Write write_;
    std::function<void()> full_;
    LoopMailbox mailbox_;
    std::mutex mutex_;
    std::vector<Packet> waiting_;
    std::size_t waiting_bytes_ = 0;
    bool called_ = false; // drain() is on its way
    std::uint64_t written_ = 0;
    std::atomic<bool> over_{false};
    std::atomic<std::uint64_t> left_out_{0};
};

} // namespace offhook::bridge
