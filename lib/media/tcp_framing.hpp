// Packets on a TCP connection, each behind its length in two bytes (RFC 4571, as ICE uses it: RFC 6544 §3).
// Pure: bytes in, packets out, and the other way round, in memory that does not grow.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "media/rtp.hpp"

namespace offhook::media {

class TcpDeframer {
public:
    static constexpr std::size_t largest = 1984; // of a packet that is delivered: as by UDP
    static constexpr std::size_t tail_room = 64;

    // The next packet, taking what it needs off the front of `bytes`; nothing when more is needed (then
    // `bytes` is empty). It may be written to, has `tail_room` more bytes behind it, and lives until the next
    // call. Empty packets mean nothing (RFC 4571 §2) and are not given; too large ones are skipped.
    std::optional<std::span<std::uint8_t>> next(Bytes &bytes);
    [[nodiscard]] std::uint64_t skipped() const noexcept { return skipped_; }

private:
    static constexpr std::size_t header = 2;

    void take(Bytes &bytes, std::size_t upto);

    std::array<std::uint8_t, header + largest + tail_room> buffer_{};
    std::size_t have_ = 0; // bytes of the packet under way, with its header
    std::size_t skip_ = 0; // bytes still to come of one that is too large
    std::uint64_t skipped_ = 0;
};

// What waits for a peer that does not read: whole packets, those that do not fit are lost.
class TcpSendQueue {
public:
    explicit TcpSendQueue(std::size_t most) : most_(most) {} // bytes

    // False: lost. A packet of more than 65535 bytes always is.
    bool push(Bytes packet);
    [[nodiscard]] Bytes waiting() const noexcept { return Bytes(bytes_).subspan(sent_); }
    void sent(std::size_t count);

private:
    std::size_t most_;
    std::vector<std::uint8_t> bytes_;
    std::size_t sent_ = 0;
};

} // namespace offhook::media
