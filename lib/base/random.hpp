// Random numbers from the kernel, fit for keys, tags and tokens. Not OpenSSL's generator: that one costs a
// third of a short command's start-up to set up, and libre's rand_u32() is the same one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace offhook {

void random_bytes(std::span<unsigned char> bytes); // never fails: without randomness the program ends
std::uint32_t random_u32();
std::uint64_t random_u64();

// 0 ≤ result < `below`; the modulo bias does not matter for delays.
inline unsigned random_below(unsigned below) {
    return random_u32() % below;
}

} // namespace offhook
