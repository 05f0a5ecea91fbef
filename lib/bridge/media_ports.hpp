// UDP sockets for media, from the configured range.
#pragma once

#include <cstdint>
#include <utility>

#include "base/address.hpp"
#include "base/fd.hpp"
#include "base/result.hpp"

namespace offhook::bridge {

struct MediaPort {
    Fd rtp, rtcp; // rtcp only of a pair
    std::uint16_t port = 0;
};

// One socket, or an even port and the next one (RFC 3550 §11). `min` and `max` 0: any. Errors: Errc::network
// ("no media port free on 192.0.2.1 (30000-30100)").
Result<MediaPort> open_media_port(const Address &ip, std::uint16_t min, std::uint16_t max, bool pair);

} // namespace offhook::bridge
