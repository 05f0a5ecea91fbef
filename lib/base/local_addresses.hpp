// The addresses of this host that another one might reach it by.
#pragma once

#include <vector>

#include "base/address.hpp"

namespace offhook {

// Of interfaces that are up, as the kernel lists them; no loopback, link-local or multicast ones. Port 0.
std::vector<Address> local_addresses();

} // namespace offhook
