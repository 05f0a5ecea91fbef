// The addresses of this host that another one might reach it by.
#pragma once

#include <vector>

#include "base/address.hpp"

namespace offhook {

// Of interfaces that are up, as the kernel lists them; no loopback, link-local or multicast ones. Port 0.
std::vector<Address> local_addresses();

// 127.0.0.0/8 and ::1: all that stays on this host, where Address::is_loopback() knows 127.0.0.1 and ::1
// alone.
bool is_loopback(const Address &address) noexcept;

} // namespace offhook
