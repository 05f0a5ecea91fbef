#include "phone/digit_merger.hpp"

#include <algorithm>

namespace offhook {

bool DigitMerger::heard(char digit, std::string_view method, TimePoint now) {
    while (!told_.empty() && now - told_.front().at >= window)
        told_.pop_front();
    for (Told &told : told_) {
        if (told.digit != digit || std::ranges::find(told.methods, method) != told.methods.end()) continue;
        told.methods.emplace_back(method);
        return false;
    }
    told_.push_back({digit, now, {std::string(method)}});
    return true;
}

} // namespace offhook
