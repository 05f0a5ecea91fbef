#include "base/child.hpp"

#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.hpp"

namespace offhook {

namespace {

std::vector<char *> pointers(std::vector<std::string> &texts) {
    std::vector<char *> out;
    out.reserve(texts.size() + 1);
    for (auto &text : texts)
        out.push_back(text.data());
    out.push_back(nullptr);
    return out;
}

std::vector<std::string> merged_environment(const Environment &added) {
    std::vector<std::string> out;
    for (char **entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text(*entry);
        // The password of OFFHOOK_PASSWORD is for us alone.
        if (!text.starts_with("OFFHOOK_PASSWORD=")) out.emplace_back(text);
    }
    for (const auto &[name, value] : added)
        out.push_back(std::string(name).append("=").append(value));
    return out;
}

// `output`: what becomes its stdout.
Result<pid_t> spawn(std::vector<std::string> arguments, const Environment &added, int output) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, output, 1);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    sigset_t none;
    sigset_t defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    for (const int signo : {SIGPIPE, SIGINT, SIGTERM, SIGHUP})
        sigaddset(&defaults, signo);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    auto environment = merged_environment(added);
    pid_t pid = 0;
    const int err = posix_spawnp(&pid, arguments[0].c_str(), &actions, &attributes,
                                 pointers(arguments).data(), pointers(environment).data());
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (err != 0) return fail_errno(Errc::not_found, err, "run " + sanitise(arguments[0]));
    return pid;
}

int exit_status(int status) {
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// Reads until end of file; false when `deadline` or `limit` came first.
bool read_all(int fd, TimePoint deadline, std::size_t limit, std::string &into) {
    char buffer[4096];
    for (;;) {
        const auto left = std::chrono::duration_cast<Duration>(deadline - std::chrono::steady_clock::now());
        pollfd wait{fd, POLLIN, 0};
        if (left.count() <= 0 || into.size() > limit) return false;
        if (poll(&wait, 1, static_cast<int>(left.count())) <= 0) continue;
        const ssize_t got = read(fd, buffer, sizeof buffer);
        if (got == 0 || (got < 0 && errno != EINTR)) return true;
        if (got > 0) into.append(buffer, static_cast<std::size_t>(got));
    }
}

} // namespace

Result<std::string> run_program(const std::vector<std::string> &arguments, Duration timeout,
                                std::size_t limit) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return fail_errno(Errc::internal, errno, "make a pipe");
    const auto pid = spawn(arguments, {}, ends[1]);
    close(ends[1]);
    std::string output;
    const bool complete = pid && read_all(ends[0], std::chrono::steady_clock::now() + timeout, limit, output);
    close(ends[0]);
    if (!pid) return tl::unexpected(pid.error());
    if (!complete) kill(*pid, SIGKILL);
    int status = 0;
    while (waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
    }
    const std::string who = sanitise(arguments[0]);
    if (!complete && output.size() > limit) return fail(Errc::internal, who + ": printed too much");
    if (!complete) return fail(Errc::timeout, who + ": did not end within " + format_span(timeout));
    if (status != 0)
        return fail(Errc::internal, who + ": ended with exit status " + std::to_string(exit_status(status)));
    return output;
}

Result<std::unique_ptr<Child>> Child::start(const std::vector<std::string> &arguments,
                                            const Environment &environment, std::function<void(int)> exited) {
    auto pid = spawn(arguments, environment, 2);
    if (!pid) return tl::unexpected(pid.error());
    const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, *pid, 0));
    if (pidfd < 0) return fail_errno(Errc::internal, errno, "watch " + sanitise(arguments[0]));
    std::unique_ptr<Child> child(new Child(*pid, pidfd, std::move(exited)));
    auto watching = child->watch_.start(pidfd, FdWatch::read, [raw = child.get()](int) { raw->reap(); });
    if (!watching) return tl::unexpected(watching.error());
    return child;
}

Child::~Child() {
    watch_.stop();
    close(pidfd_);
}

void Child::reap() {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) != pid_) return;
    watch_.stop();
    auto exited = std::move(exited_);
    if (exited) exited(exit_status(status)); // may destroy us
}

} // namespace offhook
