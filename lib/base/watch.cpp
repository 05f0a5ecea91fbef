// FdWatch, SignalWatch and LoopMailbox: what wakes the loop besides timers.
#include <csignal>
#include <mutex>

#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/loop.hpp"
#include "base/loop_turn.hpp"

namespace offhook {

Result<> FdWatch::start(int fd, int flags, std::function<void(int)> ready) {
    if (fd_ != fd) stop();
    ready_ = std::make_shared<std::function<void(int)>>(std::move(ready));
    const int err = fd_listen(
        fd, flags,
        [](int due, void *arg) noexcept {
            in_turn([&] {
                auto call = static_cast<FdWatch *>(arg)->ready_; // the callback may stop or destroy us
                if (call) (*call)(due);
            });
        },
        this);
    if (err != 0) {
        ready_.reset();
        return fail_errno(Errc::internal, err, "watch a file descriptor");
    }
    fd_ = fd;
    return {};
}

void FdWatch::stop() noexcept {
    if (fd_ < 0) return;
    fd_close(fd_);
    fd_ = -1;
    ready_.reset();
}

SignalWatch::SignalWatch(std::initializer_list<int> signals, std::function<void(int)> arrived)
    : arrived_(std::move(arrived)) {
    sigset_t set;
    sigemptyset(&set);
    for (int signo : signals)
        sigaddset(&set, signo);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    fd_ = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    (void)watch_.start(fd_, FdWatch::read, [this](int) {
        signalfd_siginfo info{};
        while (read(fd_, &info, sizeof info) == static_cast<ssize_t>(sizeof info))
            arrived_(static_cast<int>(info.ssi_signo));
    });
}

SignalWatch::~SignalWatch() {
    watch_.stop();
    close(fd_);
}

struct LoopMailbox::Shared {
    std::mutex mutex;
    std::vector<std::function<void()>> tasks;
    int wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    Shared() = default;
    Shared(const Shared &) = delete;
    Shared &operator=(const Shared &) = delete;
    ~Shared() { close(wake); }
};

LoopMailbox::LoopMailbox() : shared_(std::make_shared<Shared>()) {
    (void)watch_.start(shared_->wake, FdWatch::read, [shared = shared_](int) {
        std::uint64_t count = 0;
        (void)(read(shared->wake, &count, sizeof count) < 0); // only the wake-up matters
        std::vector<std::function<void()>> tasks;
        {
            const std::lock_guard lock(shared->mutex);
            tasks.swap(shared->tasks);
        }
        for (auto &run : tasks)
            run();
    });
}

LoopMailbox::~LoopMailbox() {
    watch_.stop();
}

void LoopMailbox::post(std::function<void()> task) {
    {
        const std::lock_guard lock(shared_->mutex);
        shared_->tasks.push_back(std::move(task));
    }
    const std::uint64_t one = 1;
    (void)(write(shared_->wake, &one, sizeof one) < 0); // full: it is awake already
}

} // namespace offhook
