// The log: one level, one sink. Never for results, which belong to stdout; never holds a secret.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace offhook {

enum class LogLevel : std::uint8_t { error, warning, info, debug };
std::string_view name(LogLevel level) noexcept; // "warning"

using LogSink = std::function<void(LogLevel level, std::string_view line)>;

// What is less urgent than `level` is dropped. The default is warnings to stderr.
void set_log_level(LogLevel level) noexcept;
[[nodiscard]] bool log_wanted(LogLevel level) noexcept;
void set_log_sink(LogSink sink); // empty: stderr again

// Appends "2026-11-22T05:13:00.123Z warning text"; the file is made with mode 0600. Errors: invalid_argument.
Result<LogSink> log_file_sink(const std::string &path);

// From any thread of offhook. The text is sanitised; one line.
void log(LogLevel level, std::string_view text);
inline void log_error(std::string_view text) {
    log(LogLevel::error, text);
}
inline void log_warning(std::string_view text) {
    log(LogLevel::warning, text);
}
inline void log_info(std::string_view text) {
    log(LogLevel::info, text);
}
inline void log_debug(std::string_view text) {
    log(LogLevel::debug, text);
}

// libre prints its own warnings to stderr; from here on they are debug lines of this log.
void capture_libre_log();

} // namespace offhook
