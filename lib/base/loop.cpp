#include "base/loop.hpp"

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/loop_turn.hpp"
#include "base/re_start.hpp"

namespace offhook {

namespace {

constexpr int max_fds = 4096; // the first fd_setsize() wins; libre's default of 1024 is too few

// Wakes the loop at once: libre sleeps 1 ms even for a timer that is due. Of the one Loop there is.
struct Nudge {
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    bool given = false;
    bool wanted = false; // once the callback has returned
    int turns = 0;       // callbacks we are in
    FdWatch watch;
    std::function<void()> run;

    explicit Nudge(std::function<void()> posted) : run(std::move(posted)) {}
    ~Nudge() {
        watch.stop();
        close(fd);
    }
    Nudge(const Nudge &) = delete;
    Nudge &operator=(const Nudge &) = delete;

    void give() {
        if (turns > 0) {
            wanted = true;
            return;
        }
        if (std::exchange(given, true)) return;
        const std::uint64_t one = 1;
        static_cast<void>(write(fd, &one, sizeof one) < 0); // full: it wakes all the same
    }
    void take() {
        if (!given) return;
        std::uint64_t count = 0;
        static_cast<void>(read(fd, &count, sizeof count) < 0);
        given = false;
    }
};

std::optional<Nudge> nudge; // from the constructor to the destructor of the Loop

bool earlier(TimePoint a, std::uint64_t a_order, TimePoint b, std::uint64_t b_order) {
    return a != b ? a < b : a_order < b_order;
}

} // namespace

void begin_turn() noexcept {
    if (nudge) ++nudge->turns;
}

void end_turn() noexcept {
    constexpr int batches = 4; // what goes on posting has to let sockets have their turn
    if (!nudge) return;
    for (int i = 0; i < batches && nudge->turns == 1 && std::exchange(nudge->wanted, false); ++i)
        guard([] { nudge->run(); });
    if (--nudge->turns == 0 && std::exchange(nudge->wanted, false)) nudge->give();
}

Loop::Loop() {
    start_libre();
    fd_setsize(max_fds);
    dbg_init(3, 0); // errors only; the log takes them over
    tmr_init(&wakeup_);
    tmr_init(&posted_timer_);
    nudge.emplace([this] { run_posted(); });
    if (!nudge->watch.start(nudge->fd, FdWatch::read, [](int) { nudge->run(); })) std::abort();
}

Loop::~Loop() {
    tmr_cancel(&wakeup_);
    posted_.clear();
    nudge.reset();
    stop_libre();
}

Result<> Loop::run() {
    if (int err = re_main(nullptr)) return fail_errno(Errc::internal, err, "event loop");
    return {};
}

void Loop::stop() {
    re_cancel();
}

void Loop::post(std::function<void()> task) {
    posted_.push_back(std::move(task));
    nudge->give();
}

void Loop::run_posted() {
    nudge->take();
    for (auto &run : std::exchange(posted_, {}))
        run();
    if (!heap_.empty() && heap_.front()->when_ <= now()) expire();
}

void Loop::place(std::size_t at, Timer *timer) {
    heap_[at] = timer;
    timer->slot_ = at;
}

void Loop::sift_up(std::size_t at) {
    Timer *moving = heap_[at];
    while (at > 0) {
        const std::size_t parent = (at - 1) / 2;
        if (!earlier(moving->when_, moving->order_, heap_[parent]->when_, heap_[parent]->order_)) break;
        place(at, heap_[parent]);
        at = parent;
    }
    place(at, moving);
}

void Loop::sift_down(std::size_t at) {
    Timer *moving = heap_[at];
    for (std::size_t child = 2 * at + 1; child < heap_.size(); child = 2 * at + 1) {
        if (child + 1 < heap_.size() && earlier(heap_[child + 1]->when_, heap_[child + 1]->order_,
                                                heap_[child]->when_, heap_[child]->order_))
            ++child;
        if (!earlier(heap_[child]->when_, heap_[child]->order_, moving->when_, moving->order_)) break;
        place(at, heap_[child]);
        at = child;
    }
    place(at, moving);
}

void Loop::insert(Timer &timer) {
    timer.order_ = sequence_++;
    heap_.push_back(&timer);
    sift_up(heap_.size() - 1);
    arm();
}

void Loop::remove(Timer &timer) {
    const std::size_t at = std::exchange(timer.slot_, Timer::idle);
    Timer *last = heap_.back();
    heap_.pop_back();
    if (last != &timer) {
        place(at, last);
        sift_up(at);
        sift_down(last->slot_);
    }
    arm();
}

// Wakes no earlier than needed and never later; an early wake-up after a cancelled timer re-arms.
void Loop::arm() {
    if (expiring_) return;
    if (heap_.empty()) {
        tmr_cancel(&wakeup_);
        armed_for_ = TimePoint::max();
        return;
    }
    const TimePoint next = heap_.front()->when_;
    if (next == armed_for_) return;
    armed_for_ = next;
    const auto delay = std::chrono::ceil<Duration>(next - now()).count();
    if (delay <= 0) {
        tmr_cancel(&wakeup_);
        return nudge->give();
    }
    tmr_start(
        &wakeup_, static_cast<std::uint64_t>(delay),
        [](void *arg) noexcept { in_turn([&] { static_cast<Loop *>(arg)->expire(); }); }, this);
}

void Loop::expire() {
    expiring_ = true;
    armed_for_ = TimePoint::max();
    const TimePoint due = now();
    const std::uint64_t started_before = sequence_; // a timer of delay 0 started now waits for the next turn
    while (!heap_.empty() && heap_.front()->when_ <= due && heap_.front()->order_ < started_before) {
        Timer &timer = *heap_.front();
        remove(timer);
        auto expired = std::move(timer.expired_); // may destroy or restart the timer
        expired();
    }
    expiring_ = false;
    arm();
}

void Timer::start(Duration delay, std::function<void()> expired) {
    start_at(loop_.now() + delay, std::move(expired));
}

void Timer::start_at(TimePoint when, std::function<void()> expired) {
    cancel();
    when_ = when;
    expired_ = std::move(expired);
    loop_.insert(*this);
}

void Timer::cancel() noexcept {
    if (running()) loop_.remove(*this);
}

} // namespace offhook
