#include "cmd/stdin_lines.hpp"

#include <cerrno>

#include <sys/stat.h>
#include <unistd.h>

namespace offhook::cmd {

namespace {
constexpr std::size_t longest_line = 4096;
}

StdinLines::StdinLines(Loop &loop, Line line, std::function<void()> end)
    : line_(std::move(line)), end_(std::move(end)) {
    struct stat info {};
    const bool watchable = fstat(STDIN_FILENO, &info) == 0 &&
                           (S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode) || isatty(STDIN_FILENO) != 0);
    if (watchable && watch_.start(STDIN_FILENO, FdWatch::read, [this](int) {
            if (!take()) finish();
        }))
        return;
    loop.post([this, alive = alive_] {
        while (*alive && take()) {
        }
        if (*alive) finish();
    });
}

bool StdinLines::take() {
    char buffer[1024];
    const ssize_t got = read(STDIN_FILENO, buffer, sizeof buffer);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return true;
    if (got <= 0) return false;
    pending_.append(buffer, static_cast<std::size_t>(got));
    const auto alive = alive_; // a line may destroy us
    for (auto end = pending_.find('\n'); *alive && end != std::string::npos; end = pending_.find('\n')) {
        const std::string line = pending_.substr(0, end);
        pending_.erase(0, end + 1);
        line_(line);
        if (!*alive) return false;
    }
    return pending_.size() <= longest_line;
}

void StdinLines::finish() {
    watch_.stop();
    const auto alive = alive_;
    if (!pending_.empty()) line_(std::exchange(pending_, {}));
    if (*alive) end_();
}

} // namespace offhook::cmd
