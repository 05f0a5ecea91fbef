#include "base/random.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <sys/random.h>

namespace offhook {

namespace {

// Up to 256 bytes come whole and without EINTR (getrandom(2)).
constexpr std::size_t at_once = 256;

void from_kernel(unsigned char *bytes, std::size_t count) {
    while (getrandom(bytes, count, 0) != static_cast<ssize_t>(count))
        if (errno != EINTR)
            std::abort(); // before the kernel's pool is ready it waits, and never fails after that
}

// What is left of the last system call. Each thread has its own; what was handed out is not kept.
struct Pool {
    std::array<unsigned char, at_once> bytes{};
    std::size_t used = at_once;
};

} // namespace

void random_bytes(std::span<unsigned char> bytes) {
    thread_local Pool pool;
    while (!bytes.empty()) {
        if (pool.used == at_once) {
            from_kernel(pool.bytes.data(), at_once);
            pool.used = 0;
        }
        const std::size_t count = std::min(bytes.size(), at_once - pool.used);
        std::memcpy(bytes.data(), pool.bytes.data() + pool.used, count);
        explicit_bzero(pool.bytes.data() + pool.used, count);
        pool.used += count;
        bytes = bytes.subspan(count);
    }
}

namespace {

template <class Number>
Number random_number() {
    std::array<unsigned char, sizeof(Number)> bytes{};
    random_bytes(bytes);
    Number value = 0;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
}

} // namespace

std::uint32_t random_u32() {
    return random_number<std::uint32_t>();
}

std::uint64_t random_u64() {
    return random_number<std::uint64_t>();
}

} // namespace offhook
