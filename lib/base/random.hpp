#pragma once

#include "base/re.hpp"

namespace offhook {

// 0 ≤ result < `below`, from OpenSSL's generator (libre's rand_u32); the modulo bias does not matter for
// delays.
inline unsigned random_below(unsigned below) {
    return rand_u32() % below;
}

} // namespace offhook
