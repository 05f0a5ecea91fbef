#include "cmd/terminal.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string_view>

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

namespace offhook::cmd {

namespace {

termios before{};
std::atomic<bool> changed{false};

// A crash must not leave the shell without echo.
void restore_and_die(int signo) {
    Terminal::restore();
    (void)std::signal(signo, SIG_DFL);
    (void)raise(signo);
}

} // namespace

bool Terminal::is_interactive() {
    const char *term = std::getenv("TERM"); // NOLINT(concurrency-mt-unsafe): nobody sets it
    return isatty(STDIN_FILENO) != 0 && isatty(STDERR_FILENO) != 0 && term != nullptr &&
           std::string_view(term) != "dumb";
}

unsigned Terminal::width() {
    winsize size{};
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
    return size.ws_col;
}

Result<std::unique_ptr<Terminal>> Terminal::open(std::function<void(char)> pressed) {
    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return fail_errno(Errc::internal, errno, "read the terminal's mode");
    std::unique_ptr<Terminal> terminal(new Terminal);
    auto watching = terminal->watch_.start(STDIN_FILENO, FdWatch::read, [raw = terminal.get(), pressed](int) {
        char keys[64];
        const ssize_t got = read(STDIN_FILENO, keys, sizeof keys);
        if (got <= 0) return raw->watch_.stop(); // the terminal has gone: SIGHUP says so
        for (ssize_t i = 0; i < got; ++i)
            pressed(keys[i]);
    });
    if (!watching) return tl::unexpected(watching.error());
    termios raw_mode = before;
    raw_mode.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    raw_mode.c_cc[VMIN] = 1;
    raw_mode.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw_mode) != 0)
        return fail_errno(Errc::internal, errno, "set the terminal's mode");
    if (!changed.exchange(true)) (void)std::atexit([] { restore(); });
    for (const int signo : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGQUIT})
        (void)std::signal(signo, restore_and_die);
    return terminal;
}

Terminal::~Terminal() {
    watch_.stop();
    restore();
}

void Terminal::restore() noexcept {
    if (changed.exchange(false)) (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

} // namespace offhook::cmd
