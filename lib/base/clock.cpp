#include "base/clock.hpp"

#include <cstdint>
#include <cstdio>
#include <ctime>

namespace offhook {

std::string format_utc(std::chrono::system_clock::time_point when) {
    const auto ms = std::chrono::floor<std::chrono::milliseconds>(when);
    const auto days = std::chrono::floor<std::chrono::days>(ms);
    const std::chrono::year_month_day date{days};
    const std::chrono::hh_mm_ss time{ms - days};
    char text[40];
    std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                  static_cast<int>(time.seconds().count()), static_cast<int>(time.subseconds().count()));
    return text;
}

} // namespace offhook

// libre 1.1.0 and 2.0.1 run their timers on gettimeofday(): a clock step fires or freezes all of
// them, and a Raspberry Pi without a real-time clock steps at every boot. The dynamic linker takes
// this definition instead, because libre.so calls tmr_jiffies() through the PLT.
extern "C" __attribute__((visibility("default"), used)) std::uint64_t tmr_jiffies(void) {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<std::uint64_t>(t.tv_sec) * 1000U + static_cast<std::uint64_t>(t.tv_nsec) / 1000000U;
}
