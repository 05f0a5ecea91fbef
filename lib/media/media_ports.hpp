// UDP sockets for media, from the configured range.
#pragma once

#include <cstdint>
#include <utility>

#include "base/address.hpp"
#include "base/fd.hpp"
#include "base/result.hpp"

namespace offhook::media {

struct MediaPort {
    Fd rtp, rtcp; // rtcp only of a pair
    std::uint16_t port = 0;
};

constexpr std::uint16_t first_dynamic_port = 16384, last_dynamic_port = 32766; // where no range is given

// One socket, or an even port and the next one (RFC 3550 §11). `min` and `max` 0: any. Errors: Errc::network
// ("no media port free on 192.0.2.1 (30000-30100)", "a media port on 192.0.2.1: Cannot assign requested
// address").
Result<MediaPort> open_media_port(const Address &ip, std::uint16_t min, std::uint16_t max, bool pair);

// The one port of many legs, with buffers for all of them. Errors: Errc::network ("UDP port 40000 of
// 192.0.2.1: Address already in use").
Result<Fd> open_shared_port(const Address &address);

} // namespace offhook::media
