// Memory that some work is about to read, given to the processor ahead of it: with hundreds of calls in turn,
// each finds its own out of the caches, and waiting for one line after the other costs more than the work. A
// hint only; what it names may be gone by then.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace offhook {

class Touched {
public:
    static constexpr std::size_t line = 64, most = 40; // bytes; lines

    void add(const void *start, std::size_t size = 1) noexcept {
        const auto first = reinterpret_cast<std::uintptr_t>(start) / line;
        const auto last = (reinterpret_cast<std::uintptr_t>(start) + size - 1) / line;
        for (auto at = first; start != nullptr && at <= last && count_ < most; ++at)
            // NOLINTNEXTLINE(performance-no-int-to-ptr): nothing is read through it
            lines_[count_++] = reinterpret_cast<const char *>(at * line);
    }
    static void prefetch(const void *start, std::size_t size) noexcept {
        for (std::size_t at = 0; at < size; at += line)
            __builtin_prefetch(static_cast<const char *>(start) + at);
    }
    void prefetch() const noexcept {
        for (std::size_t i = 0; i < count_; ++i)
            __builtin_prefetch(lines_[i]);
    }

private:
    std::size_t count_ = 0;
    std::array<const char *, most> lines_{};
};

} // namespace offhook
