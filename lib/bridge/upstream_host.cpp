#include "bridge/upstream_host.hpp"

#include <algorithm>
#include <utility>

namespace offhook::bridge {

namespace {

constexpr Duration resolve_every{60'000}, resolve_again{5'000};

} // namespace

UpstreamHost::UpstreamHost(Core &core, sip::Uri uri) : core_(core), uri_(std::move(uri)), again_(core.loop) {}

void UpstreamHost::start() {
    resolve();
}

void UpstreamHost::resolve() {
    query_ = core_.resolver.resolve(uri_, {}, [this](Result<std::vector<sip::Hop>> hops) {
        if (hops) {
            addresses_.clear();
            for (const auto &hop : *hops)
                addresses_.push_back(hop.address);
            if (std::exchange(told_lost_, false))
                core_.tell("bridge.upstream", "the upstream " + uri_.host_port() + " is found again",
                           Json::object().add("reachable", true));
        } else if (addresses_.empty() && !std::exchange(told_lost_, true)) {
            core_.tell("bridge.upstream",
                       "the upstream " + uri_.host_port() + " cannot be found: " + hops.error().what +
                           "; will try again",
                       Json::object().add("reachable", false).add("reason", hops.error().what));
        }
        again_.start(hops ? resolve_every : resolve_again, [this] { resolve(); });
    });
}

Party UpstreamHost::party() const {
    Party out;
    out.name = uri_.host_port();
    out.hop = uri_;
    if (!addresses_.empty()) out.near = addresses_.front();
    return out;
}

bool UpstreamHost::trusts(const sip::Flow &flow) const {
    if (is_web(flow.kind)) return false;
    return std::ranges::any_of(addresses_, [&](const Address &a) { return a.same_ip(flow.remote); });
}

} // namespace offhook::bridge
