#pragma once

#include <functional>
#include <string>

#include "base/loop.hpp"

namespace offhook::media {

// A sound card that vanished, and that is back. The threads of its directions report; the owner is told in
// the loop, once for both directions.
class DeviceWatch {
public:
    // Empty text: it is back.
    std::function<void(const std::string &lost_because)> changed; // to be set in the loop
    void report_lost(std::string why);                            // from any thread, once per direction
    void report_back();

private:
    LoopMailbox mailbox_;
    int lost_ = 0; // directions; in the loop
};

} // namespace offhook::media
