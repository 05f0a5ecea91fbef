// Addresses of host names by getaddrinfo() in one helper thread, so that /etc/hosts, localhost and mDNS work
// and nothing in the loop blocks.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "base/loop.hpp"

namespace offhook::sip {

class HostLookup {
public:
    using Done =
        std::function<void(Result<std::vector<Address>>)>; // in the system's order of preference, port 0

    HostLookup();
    // Does not wait for a look-up that hangs: the thread ends by itself when the system answers.
    ~HostLookup();
    HostLookup(const HostLookup &) = delete;
    HostLookup &operator=(const HostLookup &) = delete;

    // `done` runs from the loop, later, and never once `wanted` is gone.
    void start(const std::string &host, const std::weak_ptr<void> &wanted, Done done);

private:
    struct Shared;
    static void work(const std::shared_ptr<Shared> &shared);
    void start_thread();

    LoopMailbox mailbox_;
    std::shared_ptr<Shared> shared_;
    bool started_ = false; // the thread: most calls go to a numeric address
};

} // namespace offhook::sip
