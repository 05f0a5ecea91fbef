// The one line that lives on the terminal during a call. Pure.
#pragma once

#include <optional>
#include <string>

#include "phone/event.hpp"

namespace offhook::cmd {

struct StatusFacts {
    CallView call;
    Duration since_start{0};
    std::optional<media::LegStats> stats;
    double received_dbfs = -96;
    std::string beside; // of another call: "bob on hold"
};

// "in call 0:42  opus/48000  [####------]  loss 0.1 %  MOS 4.3  (? help)", at most `width` columns.
std::string format_status(const StatusFacts &facts, std::size_t width);
std::string level_bar(double dbfs); // 10 columns, -60 to 0 dBFS

} // namespace offhook::cmd
