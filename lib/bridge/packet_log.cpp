#include "bridge/packet_log.hpp"

#include <utility>

namespace offhook::bridge {

PacketLog::PacketLog(Limits limits, Write write, std::function<void()> full)
    : limits_(limits), write_(std::move(write)), full_(std::move(full)) {}

void PacketLog::note(const Address &from, const Address &to, std::span<const std::uint8_t> bytes) {
    if (over_ || !from.is_set() || !to.is_set()) return;
    const auto when = std::chrono::system_clock::now();
    {
        const std::scoped_lock lock(mutex_);
        if (waiting_bytes_ + bytes.size() > limits_.waiting) {
            ++left_out_;
            return;
        }
        waiting_bytes_ += bytes.size();
        waiting_.push_back(
            {from, to, std::string(reinterpret_cast<const char *>(bytes.data()), bytes.size()), when});
        if (std::exchange(called_, true)) return;
    }
    mailbox_.post([weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->drain();
    });
}

void PacketLog::drain() {
    std::vector<Packet> packets;
    {
        const std::scoped_lock lock(mutex_);
        packets.swap(waiting_);
        waiting_bytes_ = 0;
        called_ = false;
    }
    for (const auto &packet : packets) {
        if (over_) return;
        if (written_ + packet.bytes.size() > limits_.written) {
            over_ = true;
            return full_();
        }
        written_ += packet.bytes.size();
        write_(packet);
    }
}

} // namespace offhook::bridge
