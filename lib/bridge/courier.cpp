#include "bridge/courier.hpp"

#include <utility>

#include "bridge/cluster.hpp"
#include "bridge/upstream_lines.hpp"

namespace offhook::bridge {

namespace {

constexpr std::size_t most_searches = 1'000; // for names of phones that ACKs are for

} // namespace

FlowFinder::FlowFinder(Core &core, Party party, Found found)
    : core_(core), party_(std::move(party)), found_(std::move(found)), patience_(core.loop) {}

std::shared_ptr<FlowFinder> FlowFinder::find(Core &core, Party party, bool wait, Found found) {
    auto finder = std::make_shared<FlowFinder>(core, std::move(party), std::move(found));
    finder->start(wait);
    return finder;
}

std::optional<Way> FlowFinder::known() {
    if (core_.cluster != nullptr && party_.web && !party_.device.empty())
        if (auto way = core_.cluster->way_to(party_.device)) return way; // it left us
    const bool has_flow = party_.flow.remote.is_set() && (party_.path.empty() || party_.web);
    if (has_flow && core_.transports().alive(party_.flow)) return Way{party_.flow, {}};
    if (party_.device.empty()) return {};
    const Binding *binding = core_.location.by_device(party_.device);
    if (binding == nullptr || !core_.transports().alive(binding->flow)) return {};
    return Way{binding->flow, {}};
}

void FlowFinder::start(bool wait) {
    if (auto way = known()) return finish(std::move(*way));
    if (party_.web && wait && !party_.device.empty()) return wait_for_device();
    if (party_.web) return finish(fail(Errc::network, "the browser's connection is gone", 430));
    if (!party_.hop) return finish(fail(Errc::network, "the connection is gone", 480));
    resolve(*party_.hop);
}

void FlowFinder::wait_for_device() {
    watching_ = core_.device_back.add([this](const std::string &device) {
        if (device != party_.device) return;
        if (auto way = known()) finish(std::move(*way));
    });
    if (core_.cluster != nullptr) core_.cluster->ask(party_.device);
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
            if (flow) return finish(Way{*flow, {}});
            last = {Errc::network, flow.error().what, 503};
        }
        finish(fail(last));
    });
}

void FlowFinder::finish(Result<Way> way) {
    const auto keep = shared_from_this();
    const auto found = std::exchange(found_, {});
    patience_.cancel();
    watching_.drop();
    if (found) found(std::move(way));
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
        if (courier->order_.to.line != nullptr) return courier->go_upstream();
        courier->search(wait);
    });
    return courier;
}

void Courier::send_off(Core &core, sip::Draft draft, Party to) {
    const auto place = core.errands.emplace(core.errands.end());
    Order order;
    order.draft = std::move(draft);
    order.to = std::move(to);
    order.response = [&core, place](const sip::Message &response, const sip::Flow &) {
        if (response.status() >= 200) core.errands.erase(place);
    };
    order.failure = [&core, place](const Error &) { core.errands.erase(place); };
    *place = send(core, std::move(order));
}

void Courier::search(bool wait) {
    finder_ = FlowFinder::find(core_, order_.to, wait, [weak = weak_from_this()](const Result<Way> &way) {
        const auto self = weak.lock();
        if (!self) return;
        if (way)
            self->go(*way);
        else
            self->failed(way.error());
    });
}

// Whoever was asked says nothing more, neither yes nor no.
void Courier::watch(std::string_view method) {
    if (method != "INVITE") return;
    timer_c_.start(timer_c_length, [this] { cancel("SIP;cause=408;text=\"No answer\""); });
}

void Courier::came(const sip::Message &response, const sip::Flow &by) {
    const bool rings = response.status() > 100 && response.status() < 200;
    if (rings && timer_c_.running()) watch("INVITE");
    if (response.status() >= 200) timer_c_.cancel();
    if (order_.response) order_.response(response, by);
}

void Courier::go(const Way &way) {
    if (cancelled_) return failed({Errc::rejected, "cancelled", 487});
    if (!way.route.empty() && !again_) again_ = order_.draft;
    sip::Draft draft = std::move(order_.draft);
    for (auto hop = order_.to.path.rbegin(); hop != order_.to.path.rend(); ++hop)
        draft.prepend("Route", *hop);
    if (!way.route.empty()) draft.prepend("Route", way.route);
    if (order_.prepare) order_.prepare(draft, way.flow);
    watch(draft.method);
    transaction_ = core_.layer.request(
        std::move(draft), way.flow,
        [weak = weak_from_this()](const sip::Message &response, const sip::Flow &by) {
            const auto self = weak.lock();
            if (self && !self->search_again(response)) self->came(response, by);
        },
        [weak = weak_from_this()](const Error &error) {
            const auto self = weak.lock();
            if (!self) return;
            const bool timeout = error.code == Errc::timeout;
            // A page that was closed is one device less, not a service that is down (RFC 5626 §5.3.1).
            self->failed({error.code, error.what, timeout ? 408U : self->order_.to.web ? 430U : 503U});
        });
}

bool Courier::search_again(const sip::Message &response) {
    if (!again_ || response.status() != 430 || core_.cluster == nullptr) return false;
    order_.draft = std::move(*again_);
    again_.reset();
    core_.cluster->forget(order_.to.device);
    core_.loop.post([self = shared_from_this()] { self->search(true); });
    return true;
}

void Courier::go_upstream() {
    if (cancelled_) return failed({Errc::rejected, "cancelled", 487});
    const UpstreamLine &line = *order_.to.line;
    watch(order_.draft.method);
    sip::ClientRequest::Options options;
    options.draft = std::move(order_.draft);
    options.next_hop = line.upstream();
    options.flow = order_.to.flow.remote.is_set() ? order_.to.flow : line.flow();
    options.authenticator = line.authenticator();
    options.prepare = [weak = weak_from_this()](sip::Draft &draft, const sip::Flow &flow) {
        if (const auto self = weak.lock(); self && self->order_.prepare) self->order_.prepare(draft, flow);
    };
    request_ = std::make_unique<sip::ClientRequest>(
        core_.layer, core_.resolver, core_.loop, std::move(options),
        [weak = weak_from_this()](const sip::Message &response, const sip::Flow &by) {
            if (const auto self = weak.lock()) self->came(response, by);
        },
        [weak = weak_from_this()](const sip::ClientRequest::Outcome &outcome) {
            const auto self = weak.lock();
            if (!self) return;
            if (outcome.response) return self->came(*outcome.response, outcome.flow);
            const Error &error = outcome.response.error();
            const unsigned status = error.sip != 0 ? error.sip : error.code == Errc::timeout ? 408U : 503U;
            self->failed({error.code, error.what, status});
        });
}

void Courier::failed(const Error &error) {
    const auto keep = shared_from_this();
    timer_c_.cancel();
    if (order_.failure) order_.failure(error);
}

void Courier::cancel(const std::string &reason) {
    cancelled_ = true;
    timer_c_.cancel();
    transaction_.cancel(reason);
    if (request_) request_->cancel(reason);
}

void Courier::forget() {
    order_.response = {};
    order_.failure = {};
    order_.prepare = {};
    timer_c_.cancel();
    if (finder_) finder_->stop();
}

void send_ack(Core &core, const Party &to, sip::Draft ack) {
    if (core.searches.size() >= most_searches) return;
    const auto place = core.searches.emplace(core.searches.end());
    const auto finder = FlowFinder::find(
        core, to, false, [&core, place, ack = std::move(ack)](const Result<Way> &way) mutable {
            core.searches.erase(place);
            if (!way) return;
            if (!way->route.empty()) ack.prepend("Route", way->route);
            static_cast<void>(core.layer.send_ack(std::move(ack), way->flow));
        });
    if (!finder->done()) *place = finder;
}

} // namespace offhook::bridge
