// What a command takes from a file or from standard input as a whole.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "cmd/output.hpp"

namespace offhook::cmd {

// All of `path` ("-": standard input), at most `limit` bytes and, for what arrives slowly, within `patience`
// (--timeout). Errors: invalid_argument (cannot be read, too long, naming the path), timeout.
Result<std::string> read_input(const std::string &path, std::size_t limit, std::optional<Duration> patience);

// The exit code for an error of read_input(): 124 for its time-out, which is told at once; the rest is
// main's.
Result<int> input_failed(Output &output, const Error &error);

} // namespace offhook::cmd
