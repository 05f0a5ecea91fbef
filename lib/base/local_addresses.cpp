#include "base/local_addresses.hpp"

#include <algorithm>
#include <memory>

#include <ifaddrs.h>
#include <net/if.h>

namespace offhook {

namespace {

// fe80::/10 needs a scope to be of use, 169.254.0.0/16 (RFC 3927) is no address to be called at.
bool link_local(const std::string &ip) {
    const bool fe80 = ip.size() > 3 && ip.starts_with("fe") && ip.find_first_of("89abAB") == 2;
    return fe80 || ip.starts_with("169.254.");
}

} // namespace

std::vector<Address> local_addresses() {
    std::vector<Address> found;
    ifaddrs *list = nullptr;
    if (getifaddrs(&list) != 0) return found;
    const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, freeifaddrs);
    for (const ifaddrs *entry = list; entry != nullptr; entry = entry->ifa_next) {
        if (entry->ifa_addr == nullptr || (entry->ifa_flags & IFF_UP) == 0) continue;
        if (entry->ifa_addr->sa_family != AF_INET && entry->ifa_addr->sa_family != AF_INET6) continue;
        const Address address = Address::from_sockaddr(entry->ifa_addr).with_port(0);
        if (address.is_any() || address.is_loopback() || link_local(address.ip())) continue;
        if (std::ranges::find(found, address) == found.end()) found.push_back(address);
    }
    return found;
}

} // namespace offhook
