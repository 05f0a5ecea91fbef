#include "bridge/fork.hpp"

#include <algorithm>

namespace offhook::bridge {

namespace {

// §16.7 step 6: 6xx wins, then the lowest class; within 4xx what helps the caller to try again. A server that
// is down (503, 408 of ours) says less than any phone.
int rank(unsigned status) {
    if (status >= 600) return 0;
    switch (status) {
    case 401:
    case 407:
    case 415:
    case 420:
    case 484:
        return 2;
    case 408:
    case 430:
    case 480:
    case 487:
        return 4;
    case 503:
        return 9;
    default:
        return status < 400 ? 1 : status < 500 ? 3 : 8;
    }
}

} // namespace

std::vector<Fork::Action> Fork::cancel_pending() const {
    std::vector<Action> out;
    for (std::size_t i = 0; i < statuses_.size(); ++i)
        if (pending(i)) out.push_back({Action::Kind::cancel, i});
    return out;
}

std::size_t Fork::best() const {
    const auto better = [](unsigned a, unsigned b) { return rank(a) < rank(b); };
    return static_cast<std::size_t>(std::ranges::min_element(statuses_, better) - statuses_.begin());
}

std::vector<Fork::Action> Fork::received(std::size_t branch, unsigned status) {
    if (!pending(branch)) { // only a 2xx may follow a final response (RFC 6026)
        if (status / 100 == 2) return {{Action::Kind::forward, branch}};
        return {};
    }
    if (status < 200) {
        if (status == 100 || forwarded_) return {};
        return {{Action::Kind::forward, branch}};
    }
    statuses_[branch] = status;
    std::vector<Action> out;
    if (status / 100 == 2) {
        out.push_back({Action::Kind::forward, branch});
        if (forwarded_) return out; // a second phone answered at the same moment: the caller sorts it out
        forwarded_ = true;
        const auto losers = cancel_pending();
        out.insert(out.end(), losers.begin(), losers.end());
        return out;
    }
    if (forwarded_) return {};
    if (status >= 600) out = cancel_pending();
    if (std::ranges::all_of(statuses_, [](unsigned s) { return s >= 200; })) {
        forwarded_ = true;
        out.push_back({Action::Kind::forward, best()});
    }
    return out;
}

std::vector<Fork::Action> Fork::cancel() {
    return forwarded_ ? std::vector<Action>{} : cancel_pending();
}

} // namespace offhook::bridge
