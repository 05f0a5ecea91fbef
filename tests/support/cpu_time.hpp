// What this process has cost so far.
#pragma once

#include <sys/resource.h>

namespace offhook::test {

// User and system time, in milliseconds.
inline double cpu_ms() {
    struct rusage used {};
    ::getrusage(RUSAGE_SELF, &used);
    const auto ms = [](const timeval &t) {
        return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_usec) / 1e3;
    };
    return ms(used.ru_utime) + ms(used.ru_stime);
}

} // namespace offhook::test
