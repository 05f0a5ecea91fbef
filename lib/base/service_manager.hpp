// What systemd is told of a service of Type=notify: sd_notify(3)'s protocol, datagrams to $NOTIFY_SOCKET.
// Where nobody listens, nothing happens.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/fd.hpp"
#include "base/loop.hpp"

namespace offhook {

class ServiceManager {
public:
    explicit ServiceManager(Loop &loop);

    // From now on the loop also feeds the watchdog (WATCHDOG_USEC), twice as often as it must: it starves
    // when the loop is stuck.
    void ready(std::string_view status); // one line for `systemctl status`
    void reloading();                    // until ready()
    void stopping();

private:
    void tell(const std::string &text) const;
    void feed();

    Loop &loop_;
    Timer watchdog_;
    Duration every_{0}; // 0: no watchdog
    std::string socket_;
    Fd fd_;
};

} // namespace offhook
