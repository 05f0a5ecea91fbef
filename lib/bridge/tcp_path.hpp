// A browser's TCP connection as a way for its media (RFC 6544): what the listener handed over.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "bridge/web_path.hpp"

namespace offhook::bridge {

// `early`: what was read of it already. `closed`: the connection is over; called once, while the path's own
// callbacks may be running, so it must not destroy the path.
std::unique_ptr<WebPath> tcp_path(MediaWorker &worker, Fd socket, const Address &remote,
                                  std::vector<std::uint8_t> early, std::function<void()> closed);

} // namespace offhook::bridge
