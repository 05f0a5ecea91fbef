// A range of IP addresses: one of them, or all that begin with the same bits.
#pragma once

#include <string_view>

#include "base/address.hpp"

namespace offhook {

class Network {
public:
    // "192.0.2.1", "192.0.2.0/24", "2001:db8::/32"; bits beyond the length are to be zero. Errors:
    // Errc::invalid_argument.
    static Result<Network> parse(std::string_view text);

    [[nodiscard]] bool contains(const Address &address) const noexcept; // whatever its port

private:
    Address first_;
    unsigned bits_ = 0;
};

} // namespace offhook
