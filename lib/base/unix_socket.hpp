// Sockets in the file system, unix(7).
#pragma once

#include <optional>
#include <string>

#include <sys/un.h>

#include "base/result.hpp"

namespace offhook {

// Nothing when the path is too long for one (107 bytes).
std::optional<sockaddr_un> unix_address(const std::string &path) noexcept;

// Where the socket appears somebody answers: it gets its name, with mode 0600, when it listens already.
// Whoever is there keeps the name. Errors: Errc::network, "PATH: reason".
Result<> listen_unix(int fd, const std::string &path, int backlog);

} // namespace offhook
