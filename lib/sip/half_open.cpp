#include "sip/half_open.hpp"

#include <algorithm>

namespace offhook::sip {

const HalfOpen::Source *HalfOpen::find(const Address &remote) const {
    const auto found = sources_.find(remote.with_port(0));
    return found == sources_.end() ? nullptr : &found->second;
}

void HalfOpen::accepted(const Address &remote, std::uint64_t connection, TimePoint now) {
    Source &source = sources_[remote.with_port(0)];
    ++source.all;
    source.silent.push_back({connection, now});
}

void HalfOpen::heard(const Address &remote, std::uint64_t connection) {
    const auto found = sources_.find(remote.with_port(0));
    if (found == sources_.end()) return;
    auto &silent = found->second.silent;
    const auto at = std::ranges::find(silent, connection, &Silent::connection);
    if (at != silent.end()) silent.erase(at);
    if (silent.empty()) silent.shrink_to_fit();
}

void HalfOpen::closed(const Address &remote, std::uint64_t connection) {
    heard(remote, connection);
    const auto found = sources_.find(remote.with_port(0));
    if (found != sources_.end() && --found->second.all == 0) sources_.erase(found);
}

std::size_t HalfOpen::half_open(const Address &remote) const {
    const Source *source = find(remote);
    return source == nullptr ? 0 : source->silent.size();
}

std::size_t HalfOpen::all(const Address &remote) const {
    const Source *source = find(remote);
    return source == nullptr ? 0 : source->all;
}

std::optional<std::uint64_t> HalfOpen::oldest(const Address &remote, TimePoint before) const {
    const Source *source = find(remote);
    if (source == nullptr || source->silent.empty() || source->silent.front().since > before)
        return std::nullopt;
    return source->silent.front().connection;
}

} // namespace offhook::sip
