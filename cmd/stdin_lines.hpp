#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/loop.hpp"

namespace offhook::cmd {

// Standard input line by line, from the loop. Files and /dev/null, which epoll refuses, are read at once.
class StdinLines {
public:
    using Line = std::function<void(const std::string &)>;
    StdinLines(Loop &loop, Line line, std::function<void()> end);
    ~StdinLines() { *alive_ = false; }
    StdinLines(const StdinLines &) = delete;
    StdinLines &operator=(const StdinLines &) = delete;

private:
    bool take(); // false at the end
    void finish();

    Line line_;
    std::function<void()> end_;
    FdWatch watch_;
    std::string pending_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

} // namespace offhook::cmd
