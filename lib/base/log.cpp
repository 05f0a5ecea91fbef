#include "base/log.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <mutex>

#include <fcntl.h>
#include <unistd.h>

#include "base/clock.hpp"
#include "base/re.hpp"
#include "base/text.hpp"

namespace offhook {

namespace {

std::atomic<LogLevel> wanted_level{LogLevel::warning};

struct SinkHolder {
    std::mutex mutex;
    LogSink sink;
};

SinkHolder &holder() {
    static SinkHolder the_one;
    return the_one;
}

} // namespace

std::string_view name(LogLevel level) noexcept {
    constexpr std::array<std::string_view, 4> names{"error", "warning", "info", "debug"};
    return names[static_cast<std::size_t>(level)];
}

void set_log_level(LogLevel level) noexcept {
    wanted_level = level;
}

bool log_wanted(LogLevel level) noexcept {
    return level <= wanted_level.load(std::memory_order_relaxed);
}

void set_log_sink(LogSink sink) {
    const std::lock_guard lock(holder().mutex);
    holder().sink = std::move(sink);
}

Result<LogSink> log_file_sink(const std::string &path) {
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return fail_errno(Errc::invalid_argument, errno, path);
    const std::shared_ptr<FILE> file(fdopen(fd, "a"), [](FILE *f) { (void)std::fclose(f); });
    return [file](LogLevel level, std::string_view line) {
        const std::string when = format_utc(std::chrono::system_clock::now());
        const std::string_view level_name = name(level);
        (void)std::fprintf(file.get(), "%s %.*s %.*s\n", when.c_str(), static_cast<int>(level_name.size()),
                           level_name.data(), static_cast<int>(line.size()), line.data());
        (void)std::fflush(file.get());
    };
}

void log(LogLevel level, std::string_view text) {
    if (!log_wanted(level)) return;
    const std::string line = sanitise(text);
    const std::lock_guard lock(holder().mutex);
    if (holder().sink) {
        holder().sink(level, line);
        return;
    }
    (void)std::fprintf(stderr, "offhook: %s%s\n", level == LogLevel::warning ? "warning: " : "",
                       line.c_str());
}

void capture_libre_log() {
    dbg_init(7, 0);
    dbg_handler_set(
        [](int, const char *text, size_t length, void *) {
            std::string_view line(text, length);
            while (!line.empty() && (line.back() == '\n' || line.back() == '\0'))
                line.remove_suffix(1);
            log(LogLevel::debug, line);
        },
        nullptr);
}

} // namespace offhook
