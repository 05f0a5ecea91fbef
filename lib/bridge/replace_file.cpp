#include "bridge/replace_file.hpp"

#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <unistd.h>

#include "base/fd.hpp"

namespace offhook::bridge {

namespace {

// 0, or errno.
int write_whole(const std::string &path, std::string_view content) {
    const Fd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!fd) return errno;
    while (!content.empty()) {
        const ssize_t wrote = write(fd.get(), content.data(), content.size());
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return wrote == 0 ? ENOSPC : errno;
        content.remove_prefix(static_cast<std::size_t>(wrote));
    }
    return fsync(fd.get()) == 0 || errno == EINVAL ? 0 : errno; // EINVAL: no disk behind it
}

} // namespace

Result<> replace_file(const std::string &path, std::string_view content) {
    const std::string fresh = path + ".new";
    int error = write_whole(fresh, content);
    if (error == 0 && std::rename(fresh.c_str(), path.c_str()) != 0) error = errno;
    if (error == 0) return {};
    (void)unlink(fresh.c_str());
    return fail_errno(Errc::config, error, "write " + path);
}

} // namespace offhook::bridge
