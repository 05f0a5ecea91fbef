#include "cmd/input.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/fd.hpp"

namespace offhook::cmd {

namespace {

// Before the loop runs, so that a message is complete or not sent at all.
Result<std::string> read_all(int fd, const std::string &name, std::size_t limit,
                             std::optional<Duration> patience) {
    const auto end = std::chrono::steady_clock::now() + patience.value_or(Duration{0});
    std::string text;
    std::array<char, 65536> part{};
    while (true) {
        int left = -1;
        if (patience) {
            const auto remaining = end - std::chrono::steady_clock::now();
            left = std::max(0, static_cast<int>(std::chrono::ceil<Duration>(remaining).count()));
        }
        pollfd wait{fd, POLLIN, 0};
        const int ready = poll(&wait, 1, left);
        if (ready == 0) return fail(Errc::timeout, "time-out: --timeout has passed while reading " + name);
        if (ready < 0 && errno == EINTR) continue;
        const ssize_t got = read(fd, part.data(), part.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno(Errc::invalid_argument, errno, "read " + name);
        if (got == 0) return text;
        text.append(part.data(), static_cast<std::size_t>(got));
        if (text.size() > limit)
            return fail(Errc::invalid_argument,
                        name + " is too long (expected at most " + std::to_string(limit) + " bytes)");
    }
}

} // namespace

Result<std::string> read_input(const std::string &path, std::size_t limit, std::optional<Duration> patience) {
    if (path == "-") return read_all(STDIN_FILENO, "standard input", limit, patience);
    const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return fail_errno(Errc::invalid_argument, errno, "read " + path);
    return read_all(file.get(), path, limit, patience);
}

Result<int> input_failed(Output &output, const Error &error) {
    if (error.code != Errc::timeout) return tl::unexpected(error);
    constexpr int exit_timeout = 124;
    output.error(error.what);
    output.result(exit_timeout, Json::object().add("error", error.what));
    return exit_timeout;
}

} // namespace offhook::cmd
