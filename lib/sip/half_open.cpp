#include "sip/half_open.hpp"

namespace offhook::sip {

const HalfOpen::Source *HalfOpen::find(const Address &remote) const {
    const auto found = sources_.find(remote.with_port(0));
    return found == sources_.end() ? nullptr : &found->second;
}

void HalfOpen::accepted(const Address &remote, std::uint64_t connection) {
    Source &source = sources_[remote.with_port(0)];
    ++source.all;
    source.silent.insert(connection);
    silent_.insert(connection);
}

void HalfOpen::heard(const Address &remote, std::uint64_t connection) {
    if (silent_.erase(connection) == 0) return;
    if (const auto found = sources_.find(remote.with_port(0)); found != sources_.end())
        found->second.silent.erase(connection);
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

std::optional<std::uint64_t> HalfOpen::oldest() const {
    return silent_.empty() ? std::nullopt : std::optional(*silent_.begin());
}

std::optional<std::uint64_t> HalfOpen::oldest(const Address &remote) const {
    const Source *source = find(remote);
    return source == nullptr || source->silent.empty() ? std::nullopt
                                                       : std::optional(*source->silent.begin());
}

} // namespace offhook::sip
