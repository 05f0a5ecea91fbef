#include "media/ice_transport.hpp"

#include <algorithm>

namespace offhook::media {

namespace {

constexpr std::uint16_t only_address = 65535;

std::string_view way_name(IceServer::Way way) {
    return way == IceServer::Way::udp ? "udp" : way == IceServer::Way::tcp ? "tcp" : "tls";
}

} // namespace

IceTransport::IceTransport(Loop &loop, Options options, Events events)
    : loop_(loop), options_(std::move(options)), events_(std::move(events)), timer_(loop) {}

IceTransport::~IceTransport() {
    for (auto &relay : relays_) {
        for (const auto &packet : relay->client.stop(loop_.now()).send)
            if (relay->stream)
                relay->stream->send(packet);
            else
                events_.send(relay->component, relay->server.address, packet);
    }
}

void IceTransport::set_controlling(bool controlling) noexcept {
    controlling_ = controlling;
}

void IceTransport::gather(std::vector<Address> local, const std::vector<IceServer> &servers,
                          std::function<void()> done) {
    local_ = std::move(local);
    done_ = std::move(done);
    gather_until_ = loop_.now() + options_.gather_patience;
    for (unsigned component = 1; component <= local_.size(); ++component)
        for (const IceServer &server : servers) {
            if (server.address.family() != local_[component - 1].family()) continue;
            if (server.kind == IceServer::Kind::stun)
                start_query(component, server);
            else
                start_relay(component, server);
        }
    look_whether_gathered();
    arm();
}

void IceTransport::start_query(unsigned component, const IceServer &server) {
    queries_.push_back(std::make_unique<Query>(Query{component, server.address, {}}));
    Query &query = *queries_.back();
    dispatch(query, query.stun.start(loop_.now()));
}

void IceTransport::start_relay(unsigned component, const IceServer &server) {
    const bool reliable = server.way != IceServer::Way::udp;
    relays_.push_back(std::make_unique<Relay>(
        Relay{component, server,
              TurnClient({server.user, server.password, reliable, server.address.family() == AF_INET6}),
              nullptr, std::nullopt, false}));
    Relay &relay = *relays_.back();
    if (reliable) {
        relay.stream = std::make_unique<TurnStream>(
            TurnStream::Events{[this, &relay](Bytes message) {
                                   dispatch(relay, relay.client.received(message, loop_.now()));
                                   arm();
                               },
                               [this, &relay](const Error &error) {
                                   TurnClient::Step step;
                                   step.failed = error;
                                   dispatch(relay, std::move(step));
                               }});
        const auto connected =
            relay.stream->connect(server.address, server.way == IceServer::Way::tls ? &server.tls : nullptr);
        if (!connected) {
            TurnClient::Step step;
            step.failed = connected.error();
            return dispatch(relay, std::move(step));
        }
    }
    dispatch(relay, relay.client.start(loop_.now()));
}

void IceTransport::dispatch(Query &query, StunQuery::Step step) {
    if (!step.send.empty()) events_.send(query.component, query.server, step.send);
    if (step.done && !query.stun.mapped())
        events_.trouble("the STUN server " + query.server.to_string() + " does not answer");
    if (step.done) look_whether_gathered();
}

void IceTransport::dispatch(Relay &relay, TurnClient::Step step) {
    for (const auto &packet : step.send)
        if (relay.stream)
            relay.stream->send(packet);
        else
            events_.send(relay.component, relay.server.address, packet);
    if (step.failed) {
        events_.trouble("TURN over " + std::string(way_name(relay.server.way)) + " at " +
                        relay.server.address.to_string() + ": " + step.failed->what);
        relay.settled = true;
    }
    if (step.allocated) relay.settled = true;
    if (step.failed || step.allocated) look_whether_gathered();
    if (step.data) from_peer(relay, std::move(*step.data));
}

void IceTransport::from_peer(Relay &relay, TurnClient::Data data) {
    if (!relay.base || !agent_) return;
    if (looks_like_stun(data.bytes))
        dispatch(agent_->received(*relay.base, data.peer, data.bytes, loop_.now()));
    else
        events_.relayed(relay.component, data.peer, data.bytes);
}

IceTransport::Relay *IceTransport::relay_of(std::size_t base) noexcept {
    const auto found = std::ranges::find_if(relays_, [&](const auto &relay) { return relay->base == base; });
    return found == relays_.end() ? nullptr : found->get();
}

void IceTransport::dispatch(IceAgent::Step step) {
    for (const auto &send : step.send) {
        const IceBase &base = bases_[send.base];
        if (!base.relayed)
            events_.send(base.component, send.to, send.bytes);
        else if (Relay *relay = relay_of(send.base))
            dispatch(*relay, relay->client.send(send.to, send.bytes, loop_.now()));
    }
    if (step.selected) {
        bind_selected();
        if (agent_->complete()) events_.selected();
    }
    if (step.faltering) events_.faltering();
    if (step.failed) events_.failed(*step.failed);
}

void IceTransport::bind_selected() {
    for (const unsigned component : {1U, 2U}) {
        const auto &pair = agent_->selected(component);
        if (!pair) continue;
        if (Relay *relay = relay_of(pair->base))
            dispatch(*relay, relay->client.bind(pair->remote, loop_.now()));
    }
}

void IceTransport::look_whether_gathered() {
    const bool asking =
        std::ranges::any_of(queries_,
                            [](const auto &query) { return query->stun.next_tick().has_value(); }) ||
        std::ranges::any_of(relays_, [](const auto &relay) { return !relay->settled; });
    // From the loop: a server that cannot be reached fails within start_relay().
    if (!asking && done_ && (queries_.empty() && relays_.empty()))
        finish_gathering();
    else if (!asking && done_)
        gather_until_ = std::min(gather_until_, loop_.now());
}

std::optional<Address> IceTransport::mapped(unsigned component) const {
    for (const auto &query : queries_)
        if (query->component == component && query->stun.mapped()) return query->stun.mapped();
    for (const auto &relay : relays_)
        if (relay->component == component && !relay->stream && relay->client.mapped())
            return relay->client.mapped();
    return std::nullopt;
}

Address IceTransport::default_address(unsigned component) const {
    const Address &socket = local_.at(component - 1);
    if (options_.relay_only)
        for (const auto &relay : relays_)
            if (relay->component == component && relay->client.relayed()) return *relay->client.relayed();
    return options_.public_ip.empty() ? mapped(component).value_or(socket) : socket;
}

void IceTransport::leave_out_the_silent() {
    for (auto &query : queries_) {
        if (!query->stun.next_tick()) continue;
        query->stun.give_up();
        events_.trouble("the STUN server " + query->server.to_string() + " does not answer");
    }
    for (auto &relay : relays_) {
        if (relay->settled) continue;
        relay->settled = true;
        (void)relay->client.stop(loop_.now());
        events_.trouble("the TURN server " + relay->server.address.to_string() + " does not answer");
    }
}

void IceTransport::finish_gathering() {
    if (gathered_) return;
    gathered_ = true;
    leave_out_the_silent();
    if (options_.ice) make_agent();
    if (done_) std::exchange(done_, nullptr)();
}

void IceTransport::offer(std::string foundation, unsigned component, IceCandidateType type,
                         const Address &address, const Address &related) {
    candidates_.push_back({std::move(foundation), component, ice_priority(type, only_address, component),
                           address, type, related});
}

// The socket, and how the outside sees it: the base is the same, so that needs no pairs of its own.
void IceTransport::offer_socket(unsigned component) {
    const Address &socket = local_[component - 1];
    bases_.push_back({component, socket, false});
    offer("h", component, IceCandidateType::host, socket, {});
    auto outside = mapped(component);
    if (!options_.public_ip.empty())
        if (auto address = Address::parse(options_.public_ip, socket.port())) outside = *address;
    if (outside && !(*outside == socket))
        offer("s", component, IceCandidateType::server_reflexive, *outside, socket);
}

void IceTransport::offer_relays(unsigned component) {
    const Address &socket = local_[component - 1];
    for (const auto &relay : relays_) {
        const auto &address = relay->client.relayed();
        if (relay->component != component || !address) continue;
        relay->base = bases_.size();
        bases_.push_back({component, *address, true});
        // raddr is for diagnosis only; with relay_only it would tell what is to be kept.
        offer("r" + std::string(way_name(relay->server.way)), component, IceCandidateType::relayed, *address,
              options_.relay_only ? Address::any(socket.family(), 9)
                                  : relay->client.mapped().value_or(socket));
    }
}

void IceTransport::make_agent() {
    for (unsigned component = 1; component <= local_.size(); ++component) {
        if (!options_.relay_only) offer_socket(component);
        offer_relays(component);
    }
    agent_.emplace(bases_, IceCredentials::random(), controlling_, options_.timing);
}

std::optional<IceDescription> IceTransport::description() const {
    if (!agent_) return std::nullopt;
    return IceDescription{agent_->local(), candidates_, false};
}

void IceTransport::restart() {
    if (agent_) agent_->restart(IceCredentials::random());
    arm();
}

void IceTransport::set_remote(const IceDescription &remote, unsigned components) {
    if (!agent_) return;
    remote_set_ = true;
    if (components == 1)
        for (auto &relay : relays_)
            if (relay->component == 2) dispatch(*relay, relay->client.stop(loop_.now()));
    dispatch(agent_->set_remote(remote, components, loop_.now()));
    arm();
}

bool IceTransport::is_server(const Address &from) const noexcept {
    return std::ranges::any_of(queries_, [&](const auto &query) { return query->server == from; }) ||
           std::ranges::any_of(
               relays_, [&](const auto &relay) { return !relay->stream && relay->server.address == from; });
}

void IceTransport::received(unsigned component, const Address &from, Bytes datagram) {
    const auto now = loop_.now();
    for (auto &query : queries_)
        if (query->component == component && query->server == from)
            dispatch(*query, query->stun.received(datagram));
    for (auto &relay : relays_)
        if (relay->component == component && !relay->stream && relay->server.address == from)
            dispatch(*relay, relay->client.received(datagram, now));
    if (agent_ && !options_.relay_only && looks_like_stun(datagram))
        for (std::size_t base = 0; base < bases_.size(); ++base)
            if (bases_[base].component == component && !bases_[base].relayed)
                dispatch(agent_->received(base, from, datagram, now));
    arm();
}

void IceTransport::send(unsigned component, Bytes datagram) {
    if (!connected(component)) return;
    const auto pair = *agent_->selected(component);
    if (Relay *relay = relay_of(pair.base))
        dispatch(*relay, relay->client.send(pair.remote, datagram, loop_.now()));
    else
        events_.send(component, pair.remote, datagram);
}

std::string IceTransport::describe_pair() const {
    if (!connected(1)) return {};
    const auto &pair = *agent_->selected(1);
    const IceBase &base = bases_[pair.base];
    return (base.relayed ? "relay " : "") + base.address.to_string() + " to " + pair.remote.to_string();
}

void IceTransport::arm() {
    std::optional<TimePoint> next;
    const auto at = [&next](std::optional<TimePoint> when) {
        if (when) next = next ? std::min(*next, *when) : *when;
    };
    if (!gathered_) at(gather_until_);
    for (const auto &query : queries_)
        at(query->stun.next_tick());
    for (const auto &relay : relays_)
        at(relay->client.next_tick());
    if (agent_) at(agent_->next_tick());
    if (next)
        timer_.start_at(*next, [this] { expired(); });
    else
        timer_.cancel();
}

void IceTransport::expired() {
    const auto now = loop_.now();
    for (auto &query : queries_)
        dispatch(*query, query->stun.tick(now));
    for (auto &relay : relays_)
        dispatch(*relay, relay->client.tick(now));
    if (agent_) dispatch(agent_->tick(now));
    arm();
    if (!gathered_ && gather_until_ <= now) {
        finish_gathering();
        arm();
    }
}

} // namespace offhook::media
