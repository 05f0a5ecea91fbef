// The same key by two methods is one key: many phones send a telephone-event and an INFO for each press, and
// the tone besides. Pure.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"

namespace offhook {

class DigitMerger {
public:
    static constexpr Duration window{300};

    // True when this digit is to be told; false when it has been, by another method, within the window.
    bool heard(char digit, std::string_view method, TimePoint now);

private:
    struct Told {
        char digit;
        TimePoint at;
        std::vector<std::string> methods; // that have brought it
    };
    std::deque<Told> told_; // within the window, oldest first
};

} // namespace offhook
