#include "bridge/courier.hpp"

#include <utility>

namespace offhook::bridge {

FlowFinder::FlowFinder(Core &core, Party party, Found found)
    : core_(core), party_(std::move(party)), found_(std::move(found)), patience_(core.loop) {}

std::shared_ptr<FlowFinder> FlowFinder::find(Core &core, Party party, bool wait, Found found) {
    auto finder = std::make_shared<FlowFinder>(core, std::move(party), std::move(found));
    finder->start(wait);
    return finder;
}

std::optional<sip::Flow> FlowFinder::known() {
    const bool has_flow = party_.flow.remote.is_set() && (party_.path.empty() || party_.web);
    if (has_flow && core_.transports().alive(party_.flow)) return party_.flow;
    if (party_.device.empty()) return {};
    const Binding *binding = core_.location.by_device(party_.device);
    if (binding == nullptr || !core_.transports().alive(binding->flow)) return {};
    return binding->flow;
}

void FlowFinder::start(bool wait) {
    if (const auto flow = known()) return finish(*flow);
    if (party_.web && wait && !party_.device.empty()) return wait_for_device();
    if (party_.web) return finish(fail(Errc::network, "the browser's connection is gone", 430));
    if (!party_.hop) return finish(fail(Errc::network, "the connection is gone", 480));
    resolve(*party_.hop);
}

void FlowFinder::wait_for_device() {
    watching_ = core_.device_back.add([this](const std::string &device) {
        if (device != party_.device) return;
        if (const auto flow = known()) finish(*flow);
    });
    patience_.start(patience, [this] {
        finish(fail(Errc::network, "the browser's connection is gone and did not come back", 430));
    });
}

void FlowFinder::resolve(const sip::Uri &uri) {
    // RFC 7118: such names stand for "no address"; nobody else's server is asked for them.
    if (uri.host.ends_with(".invalid")) return finish(fail(Errc::network, "no flow to " + uri.host, 404));
    query_ = core_.resolver.resolve(uri, {}, [this](Result<std::vector<sip::Hop>> hops) {
        if (!hops) return finish(fail(Errc::network, hops.error().what, 503));
        Error last{Errc::network, "no address", 503};
        for (const auto &hop : *hops) {
            auto flow = core_.transports().open(hop);
            if (flow) return finish(*flow);
            last = {Errc::network, flow.error().what, 503};
        }
        finish(fail(last));
    });
}

void FlowFinder::finish(Result<sip::Flow> flow) {
    const auto keep = shared_from_this();
    const auto found = std::exchange(found_, {});
    patience_.cancel();
    watching_.drop();
    if (found) found(std::move(flow));
}

void FlowFinder::stop() {
    found_ = {};
    patience_.cancel();
    watching_.drop();
    query_.reset();
}

std::shared_ptr<Courier> Courier::send(Core &core, Order order) {
    auto courier = std::make_shared<Courier>(core, std::move(order));
    const bool wait = courier->order_.wait;
    // Never from inside: whoever sends wants to note the courier down before it reports.
    core.loop.post([courier, wait] {
        courier->finder_ = FlowFinder::find(courier->core_, courier->order_.to, wait,
                                            [weak = std::weak_ptr(courier)](Result<sip::Flow> flow) {
                                                const auto self = weak.lock();
                                                if (!self) return;
                                                if (flow)
                                                    self->go(*flow);
                                                else
                                                    self->failed(flow.error());
                                            });
    });
    return courier;
}

void Courier::go(const sip::Flow &flow) {
    if (cancelled_) return failed({Errc::rejected, "cancelled", 487});
    sip::Draft draft = std::move(order_.draft);
    for (auto hop = order_.to.path.rbegin(); hop != order_.to.path.rend(); ++hop)
        draft.prepend("Route", *hop);
    if (order_.prepare) order_.prepare(draft, flow);
    transaction_ = core_.layer.request(
        std::move(draft), flow,
        [weak = weak_from_this()](const sip::Message &response, const sip::Flow &by) {
            if (const auto self = weak.lock(); self && self->order_.response)
                self->order_.response(response, by);
        },
        [weak = weak_from_this()](const Error &error) {
            const auto self = weak.lock();
            if (!self) return;
            const bool timeout = error.code == Errc::timeout;
            // A page that was closed is one device less, not a service that is down (RFC 5626 §5.3.1).
            self->failed({error.code, error.what, timeout ? 408U : self->order_.to.web ? 430U : 503U});
        });
}

void Courier::failed(const Error &error) {
    const auto keep = shared_from_this();
    if (order_.failure) order_.failure(error);
}

void Courier::cancel(const std::string &reason) {
    cancelled_ = true;
    transaction_.cancel(reason);
}

void Courier::forget() {
    order_.response = {};
    order_.failure = {};
    if (finder_) finder_->stop();
}

} // namespace offhook::bridge
