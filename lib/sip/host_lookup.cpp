#include "sip/host_lookup.hpp"

#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include <netdb.h>

namespace offhook::sip {

namespace {

constexpr std::size_t addresses_at_most = 16;

Result<std::vector<Address>> look_up(const std::string &host) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_DGRAM; // one entry per address
    addrinfo *list = nullptr;
    const int err = getaddrinfo(host.c_str(), nullptr, &hints, &list);
    if (err != 0)
        return fail(Errc::network, "no address for " + host + ": " +
                                       (err == EAI_SYSTEM ? std::string("system error") : gai_strerror(err)));
    std::vector<Address> addresses;
    for (const addrinfo *entry = list; entry != nullptr && addresses.size() < addresses_at_most;
         entry = entry->ai_next)
        if (entry->ai_family == AF_INET || entry->ai_family == AF_INET6)
            addresses.push_back(Address::from_sockaddr(entry->ai_addr));
    freeaddrinfo(list);
    return addresses;
}

} // namespace

struct HostLookup::Shared {
    struct Job {
        std::string host;
        std::weak_ptr<void> wanted;
        Done done;
    };
    std::mutex mutex;
    std::condition_variable wake;
    std::deque<Job> jobs;
    LoopMailbox *mailbox = nullptr; // null: nobody listens any more, the thread ends
};

HostLookup::HostLookup() : shared_(std::make_shared<Shared>()) {
    shared_->mailbox = &mailbox_;
}

void HostLookup::start_thread() {
    if (std::exchange(started_, true)) return;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before); // signals are the loop's
    std::thread([shared = shared_] { work(shared); }).detach();
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

HostLookup::~HostLookup() {
    {
        const std::lock_guard lock(shared_->mutex);
        shared_->mailbox = nullptr;
        shared_->jobs.clear();
    }
    shared_->wake.notify_all();
}

void HostLookup::start(const std::string &host, const std::weak_ptr<void> &wanted, Done done) {
    start_thread();
    {
        const std::lock_guard lock(shared_->mutex);
        std::erase_if(shared_->jobs, [](const auto &job) { return job.wanted.expired(); });
        shared_->jobs.push_back({host, wanted, std::move(done)});
    }
    shared_->wake.notify_one();
}

// The callbacks are made, moved and called, but never copied or destroyed outside the loop: a job goes back
// with its answer.
void HostLookup::work(const std::shared_ptr<Shared> &shared) {
    std::unique_lock lock(shared->mutex);
    while (true) {
        shared->wake.wait(lock, [&] { return shared->mailbox == nullptr || !shared->jobs.empty(); });
        if (shared->mailbox == nullptr) return;
        auto job = std::make_shared<Shared::Job>(std::move(shared->jobs.front()));
        shared->jobs.pop_front();
        lock.unlock();
        auto answer = look_up(job->host);
        lock.lock();
        if (shared->mailbox == nullptr) return;
        shared->mailbox->post([job = std::move(job), answer = std::move(answer)] {
            if (!job->wanted.expired()) job->done(answer);
        });
    }
}

} // namespace offhook::sip
