// Starting and ending libre. libre_init() and libre_close() of 1.1.0 and 2.0.1 only seed rand() and set
// OpenSSL up, which costs 2.4 million instructions; OpenSSL sets itself up when TLS or a digest first needs
// it.
#pragma once

#include <csignal>

#include "base/re.hpp"

namespace offhook {

inline void start_libre() noexcept {
    (void)std::signal(SIGPIPE,
                      SIG_IGN); // as openssl_init() does: a closed connection is an error, not the end
}

inline void stop_libre() noexcept {
    (void)fd_setsize(0); // frees its descriptor table and epoll instance
}

} // namespace offhook
