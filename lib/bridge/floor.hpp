// Who is heard while several send early media at once: whoever began last, as long as it sends. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "base/clock.hpp"

namespace offhook::bridge {

template <class Source>
class Floor {
public:
    static constexpr Duration silence{1'000}; // of this length is the end of what it said
    static constexpr std::size_t most = 32;   // sources; more are not heard

    // A packet of `source`. True: it is the one that is heard.
    bool takes(const Source &source, TimePoint now) {
        auto known = std::ranges::find(sources_, source, &Entry::source);
        if (known == sources_.end()) {
            if (sources_.size() >= most) return false;
            sources_.push_back({source, {}});
            known = sources_.end() - 1;
        }
        const auto index = static_cast<std::size_t>(known - sources_.begin());
        const bool begins = known->heard == TimePoint{} || now - known->heard > silence;
        known->heard = now;
        if (begins || now - sources_[holder_].heard > silence) holder_ = index;
        return holder_ == index;
    }

private:
    struct Entry {
        Source source;
        TimePoint heard{};
    };
    std::vector<Entry> sources_;
    std::size_t holder_ = 0;
};

} // namespace offhook::bridge
