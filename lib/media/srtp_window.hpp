// The packet index of SRTP: what a 16-bit sequence number stands for, and which indices were seen (RFC 3711
// §3.3.1, §3.3.2). Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace offhook::media {

class SrtpWindow {
public:
    static constexpr std::uint64_t size = 1024; // a second of 1-ms packets, or 20 s of voice

    // The index nearest to the highest one seen; nothing when it would lie before the first.
    [[nodiscard]] std::optional<std::uint64_t> guess(std::uint16_t sequence) const noexcept {
        if (!started_) return sequence;
        const std::uint64_t rounds = highest_ >> 16;
        const auto last = static_cast<std::uint16_t>(highest_);
        constexpr std::uint16_t half = 0x8000;
        if (last < half && sequence > last && sequence - last > half)
            return rounds == 0 ? std::nullopt : std::optional((rounds - 1) << 16 | sequence);
        if (last >= half && last - half > sequence) return (rounds + 1) << 16 | sequence;
        return rounds << 16 | sequence;
    }
    // Neither seen before nor too old to tell.
    [[nodiscard]] bool fresh(std::uint64_t index) const noexcept {
        if (!started_ || index > highest_) return true;
        return highest_ - index < size && (seen_[word(index)] & bit(index)) == 0;
    }
    // Of an authenticated packet that was fresh.
    void add(std::uint64_t index) noexcept {
        if (!started_ || (index > highest_ && index - highest_ >= size)) seen_.fill(0);
        if (started_ && index > highest_ && index - highest_ < size)
            for (std::uint64_t between = highest_ + 1; between < index; ++between)
                seen_[word(between)] &= ~bit(between);
        if (!started_ || index > highest_) highest_ = index;
        started_ = true;
        seen_[word(index)] |= bit(index);
    }

private:
    [[nodiscard]] static std::size_t word(std::uint64_t index) noexcept { return index % size / 64; }
    [[nodiscard]] static std::uint64_t bit(std::uint64_t index) noexcept {
        return std::uint64_t{1} << index % 64;
    }

    bool started_ = false;
    std::uint64_t highest_ = 0;
    std::array<std::uint64_t, size / 64> seen_{};
};

} // namespace offhook::media
