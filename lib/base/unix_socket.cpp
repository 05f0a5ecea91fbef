#include "base/unix_socket.hpp"

#include <cerrno>
#include <cstring>

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace offhook {

std::optional<sockaddr_un> unix_address(const std::string &path) noexcept {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return {};
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

Result<> listen_unix(int fd, const std::string &path, int backlog) {
    const std::string early = path + "." + std::to_string(::getpid());
    const auto address = unix_address(early);
    if (!address) return fail_errno(Errc::network, ENAMETOOLONG, path);
    ::unlink(early.c_str());         // of a process that died here
    const auto mask = ::umask(0177); // 0600 from the first moment
    const bool bound = ::bind(fd, reinterpret_cast<const sockaddr *>(&*address), sizeof *address) == 0;
    ::umask(mask); // leaves errno as it is
    if (!bound) return fail_errno(Errc::network, errno, path);
    const bool named = ::listen(fd, backlog) == 0 && ::link(early.c_str(), path.c_str()) == 0;
    const int error = errno;
    ::unlink(early.c_str());
    return named ? Result<>() : fail_errno(Errc::network, error, path);
}

} // namespace offhook
