// The event loop and what waits in it. One Loop per process, one thread; other threads meet it
// only through LoopMailbox.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <vector>

#include "base/clock.hpp"
#include "base/re.hpp"
#include "base/result.hpp"

namespace offhook {

class Timer;

// libre_init()/libre_close(), re_main() and one binary heap of timers behind ONE libre timer
// (libre's own list costs O(n) per start; see shared performance figures in docs/architecture.md).
class Loop {
public:
    Loop();
    ~Loop();
    Loop(const Loop &) = delete;
    Loop &operator=(const Loop &) = delete;

    Result<> run(); // until stop()
    void stop();

    // Runs `task` from the loop, after the current callback has returned; in order.
    void post(std::function<void()> task);

    [[nodiscard]] TimePoint now() const { return std::chrono::steady_clock::now(); }

private:
    friend class Timer;
    void insert(Timer &timer);
    void remove(Timer &timer);
    void sift_up(std::size_t at);
    void sift_down(std::size_t at);
    void place(std::size_t at, Timer *timer);
    void arm();
    void expire();
    void run_posted();

    struct tmr wakeup_ {};
    struct tmr posted_timer_ {};
    TimePoint armed_for_ = TimePoint::max();
    bool expiring_ = false;
    std::uint64_t sequence_ = 0;
    std::vector<Timer *> heap_;
    std::vector<std::function<void()>> posted_;
};

// One-shot timer. Cancelled by destruction; may be restarted or destroyed from its own callback.
// Equal deadlines fire in the order they were started.
class Timer {
public:
    explicit Timer(Loop &loop) noexcept : loop_(loop) {}
    ~Timer() { cancel(); }
    Timer(const Timer &) = delete;
    Timer &operator=(const Timer &) = delete;

    void start(Duration delay, std::function<void()> expired);
    void start_at(TimePoint when, std::function<void()> expired);
    void cancel() noexcept;
    [[nodiscard]] bool running() const noexcept { return slot_ != idle; }
    [[nodiscard]] TimePoint deadline() const noexcept { return when_; } // meaningful while running()

private:
    friend class Loop;
    static constexpr std::size_t idle = SIZE_MAX;

    Loop &loop_;
    TimePoint when_{};
    std::uint64_t order_ = 0;
    std::size_t slot_ = idle;
    std::function<void()> expired_;
};

// Watches one file descriptor; does not own it. Regular files cannot be watched (epoll refuses).
class FdWatch {
public:
    enum Flags : int { read = FD_READ, write = FD_WRITE, except = FD_EXCEPT };

    FdWatch() = default;
    ~FdWatch() { stop(); }
    FdWatch(const FdWatch &) = delete;
    FdWatch &operator=(const FdWatch &) = delete;

    // `ready` gets the flags that are due; `except` means error or hang-up and comes unasked.
    // Replaces an earlier start(). Call stop() before closing the descriptor.
    Result<> start(int fd, int flags, std::function<void(int flags)> ready);
    void stop() noexcept;
    [[nodiscard]] int fd() const noexcept { return fd_; }

private:
    int fd_ = -1;
    std::shared_ptr<std::function<void(int)>> ready_;
};

// Signals as loop events, by signalfd(2). Construct before any thread starts: it blocks the
// signals for the process.
class SignalWatch {
public:
    SignalWatch(std::initializer_list<int> signals, std::function<void(int signo)> arrived);
    ~SignalWatch();
    SignalWatch(const SignalWatch &) = delete;
    SignalWatch &operator=(const SignalWatch &) = delete;

private:
    int fd_ = -1;
    FdWatch watch_;
    std::function<void(int)> arrived_;
};

// The only way from another thread into the loop: post() may be called from any thread, tasks run
// in the loop in order. Lives as long as any thread may still post.
class LoopMailbox {
public:
    LoopMailbox();
    ~LoopMailbox();
    LoopMailbox(const LoopMailbox &) = delete;
    LoopMailbox &operator=(const LoopMailbox &) = delete;

    void post(std::function<void()> task);

private:
    struct Shared;
    std::shared_ptr<Shared> shared_;
    FdWatch watch_;
};

} // namespace offhook
