#include "bridge/cluster.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "bridge/rewrite.hpp"
#include "sip/digest.hpp"

namespace offhook::bridge {

namespace {

using sip::HeaderId;
using sip::Method;

constexpr std::size_t most_edges = 20'000, most_questions = 20'000;
// In a Route of ours: the URI that leads back to the browser by this bridge. In the URI of an OPTIONS: who
// has this device?
constexpr std::string_view via_edge = "via-edge";

std::optional<sip::NameAddr> top_route(const sip::Message &request) {
    const auto routes = request.list(HeaderId::route);
    if (routes.empty()) return {};
    auto route = sip::NameAddr::parse(routes.front());
    return route ? std::optional(std::move(*route)) : std::nullopt;
}

bool has_to_tag(const sip::Message &request) {
    const auto to = request.to();
    return to && !to->tag().empty();
}

std::string uri_with(const std::string &user, const Address &address, sip::TransportKind kind) {
    return "sip:" + user + (user.empty() ? "" : "@") + address.to_string() +
           ";transport=" + std::string(sip::uri_token(kind));
}

} // namespace

Cluster::Cluster(Core &core, const std::vector<SocketSettings> &peers,
                 std::function<void(const std::string &device)> back)
    : core_(core), back_(std::move(back)) {
    for (const auto &peer : peers) {
        const bool own = core.transports().is_local(peer.address.ip(), peer.address.port());
        (own ? own_ : peers_).push_back(peer);
    }
}

Cluster::~Cluster() {
    for (const auto &passing : passing_)
        if (passing->courier) passing->courier->forget();
    for (const auto &asked : asking_)
        for (const auto &courier : asked.second.couriers)
            courier->forget();
}

const SocketSettings *Cluster::peer_at(const Address &address) const {
    const auto exact = std::ranges::find(peers_, address, &SocketSettings::address);
    if (exact != peers_.end()) return &*exact;
    const auto near =
        std::ranges::find_if(peers_, [&](const SocketSettings &p) { return p.address.same_ip(address); });
    return near == peers_.end() ? nullptr : &*near;
}

bool Cluster::is_peer(const sip::Flow &flow) const {
    return !is_web(flow.kind) && peer_at(flow.remote) != nullptr;
}

// Where `towards` finds this browser of ours.
std::string Cluster::own_uri(const Binding &binding, const SocketSettings &towards) const {
    const std::string token =
        core_.tokens.seal({core_.epoch, binding.flow.connection, device_hash(binding.device)});
    if (const auto own = std::ranges::find(own_, towards.kind, &SocketSettings::kind); own != own_.end())
        return uri_with(token, own->address, own->kind); // by which the others know us
    const auto flow = core_.transports().open({towards.kind, towards.address, {}});
    return uri_with(token, flow ? core_.transports().contact_address(*flow) : Address{}, towards.kind);
}

const Binding *Cluster::binding_of(std::uint64_t device) const {
    const Binding *newest = nullptr;
    core_.location.each([&](const Binding &binding) {
        if (!binding.reachable || !is_web(binding.flow.kind) || device_hash(binding.device) != device) return;
        if (newest == nullptr || binding.expires > newest->expires) newest = &binding;
    });
    return newest;
}

// A URI that names a bridge of the cluster, and a device there.
std::optional<Cluster::Edge> Cluster::edge_of(const sip::Uri &uri, std::uint64_t device) const {
    const auto token = core_.tokens.open(uri.user);
    const auto address = Address::parse(uri.host, uri.port);
    if (!token || token->device != device || !address) return {};
    const SocketSettings *peer = peer_at(*address);
    if (peer == nullptr) return {};
    return Edge{{peer->kind, peer->address, {}}, "<" + uri.encode() + ";lr>"};
}

std::optional<Way> Cluster::way_to(const std::string &device) {
    const auto known = edges_.find(device);
    if (known == edges_.end()) return {};
    auto flow = core_.transports().open(known->second.hop);
    if (flow) return Way{*flow, known->second.route};
    edges_.erase(known);
    return {};
}

void Cluster::learn(const std::string &device, Edge edge) {
    if (edges_.size() >= most_edges) edges_.clear(); // they are found again
    edges_[device] = std::move(edge);
    back_(device);
}

bool Cluster::brought(const sip::Message &request, const sip::Flow &flow, const std::string &device) {
    if (!is_peer(flow) || device.empty()) return false;
    const auto route = top_route(request);
    const auto back = route ? sip::Uri::parse(route->params.get(via_edge)) : fail(Errc::parse, "no Route");
    if (!back) return false;
    auto edge = edge_of(*back, device_hash(device));
    if (edge) learn(device, std::move(*edge));
    return edge.has_value();
}

// All are asked at once; those that do not have it say so late, when it did not come to them either.
void Cluster::ask(const std::string &device) {
    if (peers_.empty() || asking_.contains(device)) return;
    Asking &asking = asking_[device];
    asking.left = peers_.size();
    for (const auto &peer : peers_) {
        Courier::Order order;
        order.draft = question(device, peer);
        order.to.hop = sip::Uri::parse(uri_with({}, peer.address, peer.kind)).value();
        order.response = [this, device](const sip::Message &response, const sip::Flow &) {
            if (response.status() >= 200) told(device, response);
        };
        order.failure = [this, device](const Error &error) {
            log_debug("bridge: cluster: " + error.what);
            told(device, {});
        };
        asking.couriers.push_back(Courier::send(core_, std::move(order)));
    }
}

sip::Draft Cluster::question(const std::string &device, const SocketSettings &peer) const {
    const std::string token = core_.tokens.seal({core_.epoch, 0, device_hash(device)});
    const std::string domain = "<sip:" + core_.settings.domain + ">";
    auto draft = sip::Draft::request("OPTIONS",
                                     uri_with(token, peer.address, peer.kind) + ";" + std::string(via_edge));
    draft.add("From", domain + ";tag=" + sip::random_token(8)).add("To", domain);
    draft.add("Call-ID", sip::random_token(16)).add("CSeq", "1 OPTIONS").add("Max-Forwards", "1");
    return draft;
}

// The answer of one of them; nothing when it gave none.
void Cluster::told(const std::string &device, const std::optional<sip::Message> &response) {
    const auto asking = asking_.find(device);
    if (asking == asking_.end()) return;
    const bool last = --asking->second.left == 0;
    const auto contacts = response ? response->addresses(HeaderId::contact) : fail(Errc::parse, "no answer");
    auto edge = response && response->status() / 100 == 2 && contacts && !contacts->empty()
                    ? edge_of(contacts->front().uri, device_hash(device))
                    : std::nullopt;
    if (last || edge) // its couriers may be the ones that tell
        core_.loop.post([this, device, alive = std::weak_ptr(alive_)] {
            if (alive.lock()) asking_.erase(device);
        });
    if (edge) learn(device, std::move(*edge));
}

void Cluster::found(const sip::ServerTransaction &server, const Binding &binding) const {
    const SocketSettings *peer = peer_at(server.flow().remote);
    auto ok = sip::Draft::response(server.request(), 200, {}, sip::random_token(8));
    server.respond(ok.add("Contact", "<" + own_uri(binding, *peer) + ">"));
}

// A browser needs a moment to come back: whoever asks for it hears of it then.
void Cluster::answer(const sip::ServerTransaction &server, std::uint64_t device) {
    if (const Binding *binding = binding_of(device)) return found(server, *binding);
    if (questions_.size() >= most_questions) return server.respond(430);
    const auto question = questions_.insert(questions_.end(), {server, device, nullptr});
    question->patience = std::make_unique<Timer>(core_.loop);
    question->patience->start(FlowFinder::patience, [this, question] {
        const auto asker = question->server;
        core_.loop.post([asker] { asker.respond(430); });
        questions_.erase(question);
    });
}

void Cluster::device_back(const std::string &device) {
    forget(device);
    const Binding *binding = core_.location.by_device(device);
    if (binding == nullptr) return;
    for (auto &question : questions_)
        if (question.device == device_hash(device)) found(question.server, *binding);
    questions_.remove_if([&](const Question &q) { return q.device == device_hash(device); });
}

// A browser that came to us with a call of another bridge: its Route set begins there.
std::optional<Cluster::Next> Cluster::to_peer(const sip::Message &request, const sip::Flow &flow) const {
    const Binding *binding = core_.location.by_flow(flow);
    const auto route = top_route(request);
    const auto token = route ? core_.tokens.open(route->uri.user) : std::nullopt;
    if (binding == nullptr || !token || token->epoch == core_.epoch) return {};
    const auto address = Address::parse(route->uri.host, route->uri.port);
    const SocketSettings *peer = address ? peer_at(*address) : nullptr;
    if (peer == nullptr || token->device != device_hash(binding->device)) return {};
    const auto way = core_.transports().open({peer->kind, peer->address, {}});
    if (!way) return {};
    Next out;
    out.party.flow = *way;
    out.route = "<" + uri_with({}, peer->address, peer->kind) + ";lr>;" + std::string(via_edge) + "=\"" +
                own_uri(*binding, *peer) + "\"";
    return out;
}

// The other bridge names us and the device.
std::optional<Cluster::Next> Cluster::to_browser(const sip::Message &request) const {
    const auto route = top_route(request);
    const auto token = route ? core_.tokens.open(route->uri.user) : std::nullopt;
    if (!token || token->epoch != core_.epoch) return {};
    Next out;
    out.party.web = true;
    if (const Binding *binding = binding_of(token->device)) {
        out.party.flow = binding->flow;
        out.party.device = binding->device;
    }
    return out;
}

bool Cluster::take(const sip::Message &request, const sip::Flow &flow, const sip::ServerTransaction &server) {
    const bool peer = is_peer(flow);
    if (!has_to_tag(request)) {
        const auto uri = request.uri();
        if (!peer || !uri || request.method() != Method::options || !uri->params.has(via_edge)) return false;
        const auto token = core_.tokens.open(uri->user);
        if (token)
            answer(server, token->device);
        else
            server.respond(403);
        return true;
    }
    const auto next = is_web(flow.kind) ? to_peer(request, flow) : peer ? to_browser(request) : std::nullopt;
    if (!next) return false;
    pass(request, server, *next);
    return true;
}

void Cluster::pass(const sip::Message &request, const sip::ServerTransaction &server, const Next &next) {
    const bool ack = request.method() == Method::ack;
    if (max_forwards(request) == 0) return ack ? void() : server.respond(483);
    auto draft = forwardable(
        request, [this](const sip::Uri &uri) { return core_.is_ours(uri); }, core_.realm());
    if (!next.route.empty()) draft.prepend("Route", next.route);
    if (ack) return send_ack(core_, next.party, std::move(draft));
    const auto passing = std::make_shared<Passing>(Passing{server, {}});
    Courier::Order order;
    order.draft = std::move(draft);
    order.to = next.party;
    order.response = [this, weak = std::weak_ptr(passing)](const sip::Message &response, const sip::Flow &) {
        const auto known = weak.lock();
        if (!known) return;
        known->server.respond(backward(response));
        if (response.status() >= 200) passing_.remove(known);
    };
    order.failure = [this, weak = std::weak_ptr(passing)](const Error &error) {
        const auto known = weak.lock();
        if (!known) return;
        known->server.respond(error.sip != 0 ? error.sip : 480);
        passing_.remove(known);
    };
    passing->courier = Courier::send(core_, std::move(order));
    passing_.push_back(passing);
}

bool Cluster::cancelled(const sip::ServerTransaction &server, const sip::Message &cancel) {
    const auto found = std::ranges::find(passing_, server, [](const PassingPtr &p) { return p->server; });
    if (found == passing_.end()) return false;
    (*found)->courier->cancel(std::string(cancel.value(HeaderId::reason)));
    return true;
}

} // namespace offhook::bridge
