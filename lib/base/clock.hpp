// Time as offhook uses it: the monotonic clock for everything that waits, the wall clock only for
// what people read.
#pragma once

#include <chrono>
#include <string>

namespace offhook {

using Duration = std::chrono::milliseconds;
using TimePoint = std::chrono::steady_clock::time_point;

// "2026-11-22T05:13:00.123Z" (RFC 3339, UTC, milliseconds).
std::string format_utc(std::chrono::system_clock::time_point when);

} // namespace offhook
