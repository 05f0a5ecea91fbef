#include "cmd/speech.hpp"

#include <cerrno>
#include <cstdlib>

#include <unistd.h>

#include "base/child.hpp"

namespace offhook::cmd {

namespace {

Result<std::string> write_temporary(const std::string &bytes) {
    const char *directory = std::getenv("TMPDIR"); // NOLINT(concurrency-mt-unsafe): nobody sets it
    std::string path =
        std::string(directory != nullptr && *directory == '/' ? directory : "/tmp") + "/offhook-XXXXXX.wav";
    const int fd = mkstemps(path.data(), 4);
    if (fd < 0) return fail_errno(Errc::device, errno, path);
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    const int err = errno;
    close(fd);
    if (written != static_cast<ssize_t>(bytes.size())) {
        (void)unlink(path.c_str());
        return fail_errno(Errc::device, written < 0 ? err : ENOSPC, path);
    }
    return path;
}

} // namespace

Speech::~Speech() {
    for (const auto &[text, path] : files_)
        (void)unlink(path.c_str());
}

Result<std::string> Speech::say(const std::string &text) {
    if (const auto known = files_.find(text); known != files_.end()) return known->second;
    auto arguments = command_;
    // A text that begins with a dash must not become an option of the program.
    arguments.push_back(text.starts_with('-') ? " " + text : text);
    auto sound = run_program(arguments, Duration{10'000}, 32U << 20);
    if (!sound) return fail(Errc::device, "say: " + sound.error().what);
    auto path = write_temporary(*sound);
    if (path) files_[text] = *path;
    return path;
}

} // namespace offhook::cmd
