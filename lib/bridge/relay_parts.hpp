// What the files of Relay share.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "base/address.hpp"
#include "base/clock.hpp"
#include "media/rtp.hpp"

namespace offhook::bridge {

constexpr Duration handshake_poll{50}, digit_tick{20}, key_frame_every{1'000};

inline Address beside(const Address &rtp) { // RTCP has the next port
    return rtp.with_port(static_cast<std::uint16_t>(rtp.port() + 1));
}

// What a socket is watched as: the end, its line (of a browser: which of its paths) and which of the two
// ports.
constexpr unsigned lines_of_end = 128;
constexpr unsigned port_of(unsigned end, std::size_t line, bool rtcp) {
    return (end * lines_of_end + static_cast<unsigned>(line)) * 2 + (rtcp ? 1 : 0);
}

// Only the worker writes, so that no locked addition is needed.
inline void add_one(std::atomic<std::uint64_t> &counter) {
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

inline bool is_rtcp(std::span<const std::uint8_t> packet) {
    return packet.size() >= 8 && media::looks_like_rtcp(packet);
}

} // namespace offhook::bridge
