#include "media/device_watch.hpp"

#include <utility>

namespace offhook::media {

void DeviceWatch::report_lost(std::string why) {
    mailbox_.post([this, why = std::move(why)] {
        if (lost_++ == 0 && changed) changed(why);
    });
}

void DeviceWatch::report_back() {
    mailbox_.post([this] {
        if (--lost_ == 0 && changed) changed({});
    });
}

} // namespace offhook::media
