#include "cmd/secret.hpp"

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "base/child.hpp"

namespace offhook::cmd {

namespace {

constexpr std::size_t limit = 4096;

Result<std::string> read_start(const std::string &path) {
    const int fd = path == "-" ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail_errno(Errc::config, errno, "password file " + path);
    std::string text;
    char c = 0;
    ssize_t got = 0;
    // Byte by byte: what follows the line on standard input belongs to somebody else.
    while (text.size() < limit && (got = read(fd, &c, 1)) == 1 && c != '\n')
        text += c;
    const int err = errno;
    if (fd != STDIN_FILENO) close(fd);
    if (got < 0) return fail_errno(Errc::config, err, "password file " + path);
    return text;
}

} // namespace

Result<std::string> resolve_password(const PasswordSource &source) {
    Result<std::string> text = source.password;
    if (!source.file.empty()) text = read_start(source.file);
    if (!source.command.empty()) text = run_program(source.command, Duration{10'000}, limit);
    if (!text)
        return fail(Errc::config,
                    source.command.empty() ? text.error().what : "password_command: " + text.error().what);
    std::string line = text->substr(0, text->find('\n'));
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty())
        return fail(Errc::config, source.command.empty() ? "the password is empty"
                                                         : "password_command printed no password");
    return line;
}

} // namespace offhook::cmd
