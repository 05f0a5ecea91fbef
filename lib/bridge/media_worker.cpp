#include "bridge/media_worker.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace offhook::bridge {

namespace {

constexpr int events_at_once = 64;
constexpr std::size_t most_queued = 64;

std::size_t room(std::size_t slot) {
    return slot - MediaWorker::tail_room;
}

} // namespace

Result<std::unique_ptr<MediaWorker>> MediaWorker::start() {
    std::unique_ptr<MediaWorker> worker(new MediaWorker());
    worker->epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
    worker->wakeup_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!worker->epoll_ || !worker->wakeup_) return fail_errno(Errc::internal, errno, "start a media worker");
    epoll_event event{EPOLLIN, {}};
    event.data.ptr = nullptr;
    if (epoll_ctl(worker->epoll_.get(), EPOLL_CTL_ADD, worker->wakeup_.get(), &event) != 0)
        return fail_errno(Errc::internal, errno, "start a media worker");
    worker->outgoing_.resize(most_queued);
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

void MediaWorker::watch(int fd, Received received) {
    auto watch = std::make_unique<Watch>(Watch{fd, std::move(received)});
    epoll_event event{EPOLLIN, {}};
    event.data.ptr = watch.get();
    epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
    watches_[fd] = std::move(watch);
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
    if (call)
        ticks_[owner] = std::move(call);
    else
        ticks_.erase(owner);
}

void MediaWorker::send(int fd, const Address &to, std::span<const std::uint8_t> datagram) {
    if (datagram.size() > sizeof Outgoing::bytes || !to.is_set()) return;
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
        if (at + 1 == queued_ || outgoing_[at + 1].fd != fd) {
            const Outgoing &out = outgoing_[at++];
            (void)sendto(fd, out.bytes.data(), out.size, MSG_DONTWAIT | MSG_NOSIGNAL, out.to.sockaddr_ptr(),
                         out.to.sockaddr_len());
            continue;
        }
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

// One datagram for each time a socket is ready: voice comes one packet at a time, and a second attempt that
// finds nothing costs as much as the first. epoll tells again when more is there.
void MediaWorker::receive(Watch &watch, TimePoint now) {
    sockaddr_storage source; // NOLINT(cppcoreguidelines-pro-type-member-init): the kernel fills it
    socklen_t length = sizeof source;
    auto &buffer = buffers_.front();
    const ssize_t got = recvfrom(watch.fd, buffer.data(), room(slot), MSG_DONTWAIT | MSG_TRUNC,
                                 reinterpret_cast<sockaddr *>(&source), &length);
    if (got < 0 || static_cast<std::size_t>(got) > room(slot)) return;
    watch.received(std::span(buffer).first(static_cast<std::size_t>(got)),
                   Address::from_sockaddr(reinterpret_cast<sockaddr *>(&source)), now);
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
}

void MediaWorker::run() {
    std::array<epoll_event, events_at_once> events{};
    next_tick_ = std::chrono::steady_clock::now();
    while (!stop_) {
        int wait = -1;
        if (!ticks_.empty()) {
            next_tick_ = std::min(next_tick_, std::chrono::steady_clock::now() + tick_every_);
            const auto left =
                std::chrono::ceil<Duration>(next_tick_ - std::chrono::steady_clock::now()).count();
            wait = static_cast<int>(std::clamp<std::int64_t>(left, 0, 1000));
        }
        const int ready = epoll_wait(epoll_.get(), events.data(), events_at_once, wait);
        const TimePoint now = std::chrono::steady_clock::now();
        bool tasks = false;
        for (int i = 0; i < ready; ++i) {
            auto *watch = static_cast<Watch *>(events[static_cast<std::size_t>(i)].data.ptr);
            if (watch == nullptr)
                tasks = true;
            else if (!watch->dead)
                receive(*watch, now);
        }
        if (tasks) run_tasks();
        if (!ticks_.empty() && now >= next_tick_) tick_all(now);
        flush();
        dead_.clear();
    }
    ticks_.clear();
    watches_.clear();
    const std::scoped_lock lock(mutex_);
    tasks_.clear();
}

} // namespace offhook::bridge
