// How many file descriptors the process may have open.
#pragma once

#include <cstddef>

namespace offhook {

// For servers, before the Loop is made: raises the soft limit towards `wanted` as far as the hard limit lets
// it, and makes the loop's table as large. The limit that holds now.
std::size_t allow_descriptors(std::size_t wanted);

[[nodiscard]] std::size_t descriptor_limit() noexcept;

} // namespace offhook
