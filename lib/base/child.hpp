// Other programs: started with an argument list, never through a shell, with nothing of ours open but 0, 1
// and 2.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "base/loop.hpp"
#include "base/result.hpp"

namespace offhook {

using Environment = std::vector<std::pair<std::string, std::string>>; // added to our own

// Runs a program to its end and gives what it wrote to stdout. Blocks: for the time before a loop runs.
// Standard input is /dev/null. Errors: not_found (cannot be started), timeout, internal (exit status, too
// much).
Result<std::string> run_program(const std::vector<std::string> &arguments, Duration timeout,
                                std::size_t limit);

// A program that runs beside the loop. Destruction leaves it running; a zombie is left to init.
class Child {
public:
    // `exited`: exit status, or 128 + signal. Standard output goes to stderr, for stdout is ours.
    static Result<std::unique_ptr<Child>> start(const std::vector<std::string> &arguments,
                                                const Environment &environment,
                                                std::function<void(int status)> exited);
    ~Child();
    Child(const Child &) = delete;
    Child &operator=(const Child &) = delete;

private:
    Child(pid_t pid, int pidfd, std::function<void(int)> exited)
        : pid_(pid), pidfd_(pidfd), exited_(std::move(exited)) {}
    void reap();

    pid_t pid_;
    int pidfd_;
    FdWatch watch_;
    std::function<void(int)> exited_;
};

} // namespace offhook
