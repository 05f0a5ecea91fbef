#include "base/link_watch.hpp"

#include <array>
#include <cerrno>

#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "base/address.hpp"

namespace offhook {

Result<std::unique_ptr<LinkWatch>> LinkWatch::open(Loop &loop, std::function<void()> changed) {
    const auto failed = [] { return fail_errno(Errc::network, errno, "watch the network interfaces"); };
    Fd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE));
    if (!fd) return failed();
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
    if (bind(fd.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0) return failed();
    std::unique_ptr<LinkWatch> result(new LinkWatch(loop, std::move(fd), std::move(changed)));
    auto watched =
        result->watch_.start(result->fd_.get(), FdWatch::read, [self = result.get()](int) { self->ready(); });
    if (!watched) return fail(watched.error());
    return result;
}

LinkWatch::LinkWatch(Loop &loop, Fd fd, std::function<void()> changed)
    : fd_(std::move(fd)), changed_(std::move(changed)), settling_(loop) {
    settling_.start(settle, [this] { settled(); });
}

// What the messages say is not read: they also come for lifetimes and statistics, may get lost when the
// buffer overflows (ENOBUFS), and are told to the kernel's groups only. They are a reason to look.
void LinkWatch::ready() {
    std::array<char, 8192> buffer; // NOLINT(cppcoreguidelines-pro-type-member-init): discarded
    while (recv(fd_.get(), buffer.data(), buffer.size(), 0) > 0 || errno == ENOBUFS) {
    }
    stirred_ = true;
    if (!settling_.running()) settling_.start(settle, [this] { settled(); });
}

void LinkWatch::settled() {
    Snapshot now = take_snapshot();
    const bool same = known_ ? now == *known_ : !stirred_;
    known_ = std::move(now);
    if (same) return;
    const auto changed = changed_; // may destroy us
    changed();
}

LinkWatch::Snapshot LinkWatch::take_snapshot() {
    Snapshot snapshot;
    ifaddrs *list = nullptr;
    if (getifaddrs(&list) != 0) return snapshot;
    const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, freeifaddrs);
    for (const ifaddrs *entry = list; entry != nullptr; entry = entry->ifa_next) {
        const std::string name = entry->ifa_name;
        if ((entry->ifa_flags & IFF_UP) != 0 && (entry->ifa_flags & IFF_RUNNING) != 0)
            snapshot.insert(name + " up");
        const int family = entry->ifa_addr == nullptr ? AF_UNSPEC : entry->ifa_addr->sa_family;
        if (family == AF_INET || family == AF_INET6)
            snapshot.insert(name + " " + Address::from_sockaddr(entry->ifa_addr).ip());
    }
    return snapshot;
}

} // namespace offhook
