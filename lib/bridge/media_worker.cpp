#include "bridge/media_worker.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

namespace offhook::bridge {

namespace {

constexpr int events_at_once = 64;
constexpr int batches_at_once = 4;
constexpr std::size_t most_queued = 64;

} // namespace

Result<std::unique_ptr<MediaWorker>> MediaWorker::start() {
    std::unique_ptr<MediaWorker> worker(new MediaWorker());
    worker->epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
    worker->wakeup_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    worker->timer_ = Fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (!worker->epoll_ || !worker->wakeup_ || !worker->timer_ ||
        !worker->add(worker->wakeup_.get(), nullptr) || !worker->add(worker->timer_.get(), &worker->timer_))
        return fail_errno(Errc::internal, errno, "start a media worker");
    sigset_t all, before; // signals are the loop's
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    worker->thread_ = std::thread([raw = worker.get()] { raw->run(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return worker;
}

MediaWorker::~MediaWorker() {
    post([this] { stop_ = true; });
    if (thread_.joinable()) thread_.join();
}

void MediaWorker::post(std::function<void()> task) {
    {
        const std::scoped_lock lock(mutex_);
        tasks_.push_back(std::move(task));
    }
    const std::uint64_t one = 1;
    (void)(write(wakeup_.get(), &one, sizeof one) < 0);
}

void MediaWorker::run_tasks() {
    std::uint64_t count = 0;
    (void)(read(wakeup_.get(), &count, sizeof count) < 0);
    std::vector<std::function<void()>> tasks;
    {
        const std::scoped_lock lock(mutex_);
        tasks.swap(tasks_);
    }
    for (auto &task : tasks) {
        task();
        task = {}; // what it held dies here, in this thread
    }
}

bool MediaWorker::add(int fd, void *tag) {
    epoll_event event{EPOLLIN, {}};
    event.data.ptr = tag;
    return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void MediaWorker::watch(int fd, Sink &sink, unsigned port, Traffic traffic) {
    if (traffic == Traffic::heavy) buffers_.resize(batch);
    watch(std::make_unique<Watch>(Watch{fd, port, &sink, nullptr, traffic}));
}

void MediaWorker::watch_stream(int fd, Stream &stream) {
    watch(std::make_unique<Watch>(Watch{fd, 0, nullptr, &stream}));
}

void MediaWorker::watch(std::unique_ptr<Watch> watch) {
    add(watch->fd, watch.get());
    watches_[watch->fd] = std::move(watch);
}

void MediaWorker::want_room(int fd, bool on) {
    const auto found = watches_.find(fd);
    if (found == watches_.end()) return;
    epoll_event event{EPOLLIN, {}};
    if (on) event.events |= EPOLLOUT;
    event.data.ptr = found->second.get();
    epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void MediaWorker::expect(int fd, const Touched &touched) {
    if (const auto found = watches_.find(fd); found != watches_.end()) found->second->touched = touched;
}

void MediaWorker::forget(int fd) {
    const auto found = watches_.find(fd);
    if (found == watches_.end()) return;
    flush(); // what waits for this socket goes out before somebody else gets its number
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    found->second->dead = true;
    dead_.push_back(std::move(found->second)); // an event for it may be in hand
    watches_.erase(found);
}

void MediaWorker::tick(const void *owner, std::function<void(TimePoint)> call) {
    if (!call) {
        ticks_.erase(owner);
        return;
    }
    const bool first = ticks_.empty();
    ticks_[owner] = std::move(call);
    if (!first) return;
    next_tick_ = std::chrono::steady_clock::now() + tick_every_;
    set_timer();
}

void MediaWorker::hurry(Duration at_most) {
    if (at_most >= tick_every_) return;
    tick_every_ = at_most;
    const TimePoint due = std::chrono::steady_clock::now() + at_most;
    if (due >= next_tick_) return;
    next_tick_ = due;
    set_timer();
}

// A timer of its own: a timeout of epoll_wait would be set up and taken down again for each packet.
void MediaWorker::set_timer() {
    const auto at = std::chrono::duration_cast<std::chrono::nanoseconds>(next_tick_.time_since_epoch());
    itimerspec when{}; // its fields have 32 bits on a 32-bit machine
    when.it_value.tv_sec = static_cast<time_t>(at.count() / 1'000'000'000);
    when.it_value.tv_nsec = static_cast<long>(at.count() % 1'000'000'000);
    timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
}

void MediaWorker::send(int fd, const Address &to, std::span<const std::uint8_t> datagram) {
    if (!to.is_set()) return; // what cannot be sent now is late anyway
    (void)sendto(fd, datagram.data(), datagram.size(), MSG_DONTWAIT | MSG_NOSIGNAL, to.sockaddr_ptr(),
                 to.sockaddr_len());
}

void MediaWorker::send_together(int fd, const Address &to, std::span<const std::uint8_t> datagram) {
    if (datagram.size() > sizeof Outgoing::bytes || !to.is_set()) return;
    if (outgoing_.empty()) outgoing_.resize(most_queued);
    if (queued_ == outgoing_.size()) flush();
    Outgoing &out = outgoing_[queued_++];
    out.fd = fd;
    out.to = to;
    out.size = datagram.size();
    std::memcpy(out.bytes.data(), datagram.data(), datagram.size());
}

// Runs of packets for one socket go out in one call.
void MediaWorker::flush() {
    for (std::size_t at = 0; at < queued_;) {
        const int fd = outgoing_[at].fd;
        std::array<mmsghdr, batch> messages{};
        std::array<iovec, batch> vectors{};
        unsigned count = 0;
        for (; at < queued_ && outgoing_[at].fd == fd && count < batch; ++at, ++count) {
            Outgoing &out = outgoing_[at];
            vectors[count] = {out.bytes.data(), out.size};
            messages[count].msg_hdr.msg_name = const_cast<sockaddr *>(out.to.sockaddr_ptr());
            messages[count].msg_hdr.msg_namelen = out.to.sockaddr_len();
            messages[count].msg_hdr.msg_iov = &vectors[count];
            messages[count].msg_hdr.msg_iovlen = 1;
        }
        for (unsigned sent = 0; sent < count;) {
            const int done = sendmmsg(fd, &messages[sent], count - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
            sent += done > 0 ? static_cast<unsigned>(done) : 1; // one that cannot be sent is late anyway
        }
    }
    queued_ = 0;
}

void MediaWorker::serve(Watch &watch, TimePoint now) {
    if (watch.sink == nullptr)
        watch.stream->ready(now);
    else if (watch.traffic == Traffic::heavy)
        receive_many(watch, now);
    else
        receive(watch, now);
}

// One datagram for each time a socket is ready: voice comes one packet at a time, and a second attempt that
// finds nothing costs as much as the first. epoll tells again when more is there.
void MediaWorker::receive(Watch &watch, TimePoint now) {
    constexpr std::size_t room = slot - tail_room;
    sockaddr_storage source; // NOLINT(cppcoreguidelines-pro-type-member-init): the kernel fills it
    socklen_t length = sizeof source;
    watch.touched.prefetch();
    const ssize_t got = recvfrom(watch.fd, buffer_.data(), room, MSG_DONTWAIT | MSG_TRUNC,
                                 reinterpret_cast<sockaddr *>(&source), &length);
    if (got < 0 || static_cast<std::size_t>(got) > room) return;
    watch.sink->received(watch.port, std::span(buffer_).first(static_cast<std::size_t>(got)),
                         Address::from_sockaddr(reinterpret_cast<sockaddr *>(&source)), now);
}

// Of a socket with the packets of many calls: what a few calls of the kernel give, then others have their
// turn.
void MediaWorker::receive_many(Watch &watch, TimePoint now) {
    constexpr std::size_t room = slot - tail_room;
    std::array<sockaddr_storage, batch> sources; // NOLINT(*-member-init): the kernel fills them
    std::array<mmsghdr, batch> messages{};
    std::array<iovec, batch> vectors{};
    for (int round = 0; round < batches_at_once && !watch.dead; ++round) {
        for (std::size_t i = 0; i < batch; ++i) {
            vectors[i] = {buffers_[i].data(), room};
            messages[i].msg_hdr = {&sources[i], sizeof sources[i], &vectors[i], 1, nullptr, 0, 0};
        }
        const int count = recvmmsg(watch.fd, messages.data(), batch, MSG_DONTWAIT, nullptr);
        for (int i = 0; i < count && !watch.dead; ++i) {
            const auto at = static_cast<std::size_t>(i);
            if ((messages[at].msg_hdr.msg_flags & MSG_TRUNC) != 0) continue;
            watch.sink->received(watch.port, std::span(buffers_[at]).first(messages[at].msg_len),
                                 Address::from_sockaddr(reinterpret_cast<sockaddr *>(&sources[at])), now);
        }
        if (count < static_cast<int>(batch)) return;
    }
}

void MediaWorker::tick_all(TimePoint now) {
    tick_every_ = idle_tick;
    std::vector<const void *> owners;
    owners.reserve(ticks_.size());
    for (const auto &entry : ticks_)
        owners.push_back(entry.first);
    for (const void *owner : owners)
        if (const auto found = ticks_.find(owner); found != ticks_.end()) {
            const auto call = found->second; // it may end itself
            call(now);
        }
    next_tick_ = now + tick_every_;
    if (!ticks_.empty()) set_timer();
}

void MediaWorker::run() {
    std::array<epoll_event, events_at_once> events{};
    while (!stop_) {
        const int ready = epoll_wait(epoll_.get(), events.data(), events_at_once, -1);
        const TimePoint now = std::chrono::steady_clock::now();
        for (int i = 0; i < ready; ++i) // the next ones come while the first is at work
            Touched::prefetch(events[static_cast<std::size_t>(i)].data.ptr, sizeof(Watch));
        bool tasks = false, due = false;
        for (int i = 0; i < ready; ++i) {
            void *const tag = events[static_cast<std::size_t>(i)].data.ptr;
            if (tag == nullptr)
                tasks = true;
            else if (tag == &timer_)
                due = true;
            else if (auto *watch = static_cast<Watch *>(tag); !watch->dead)
                serve(*watch, now);
        }
        if (tasks) run_tasks();
        if (due) {
            std::uint64_t times = 0;
            (void)(read(timer_.get(), &times, sizeof times) < 0);
            tick_all(now);
        }
        flush();
        dead_.clear();
    }
    ticks_.clear();
    watches_.clear();
    const std::scoped_lock lock(mutex_);
    tasks_.clear();
}

} // namespace offhook::bridge
