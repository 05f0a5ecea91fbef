// The terminal in raw mode, and the keys pressed on it. At most one at a time in a process.
#pragma once

#include <functional>
#include <memory>

#include "base/loop.hpp"
#include "base/result.hpp"

namespace offhook::cmd {

class Terminal {
public:
    static bool is_interactive(); // stdin and stderr are a terminal that can move its cursor
    static unsigned width();      // columns of stderr, 80 when unknown

    // Keys come one by one, without echo; Ctrl-C still is a signal. Restored by the destructor, by exit() and
    // by restore().
    static Result<std::unique_ptr<Terminal>> open(std::function<void(char key)> pressed);
    ~Terminal();
    Terminal(const Terminal &) = delete;
    Terminal &operator=(const Terminal &) = delete;

    static void restore() noexcept; // async-signal-safe

private:
    Terminal() = default;
    FdWatch watch_;
};

} // namespace offhook::cmd
