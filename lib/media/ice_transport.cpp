#include "media/ice_transport.hpp"

#include <algorithm>

namespace offhook::media {

namespace {

constexpr std::uint16_t best_preference = 65535, preference_step = 256;

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
                events_.send(relay->socket, relay->server.address, packet);
    }
}

void IceTransport::set_controlling(bool controlling) noexcept {
    controlling_ = controlling;
}

void IceTransport::gather(std::vector<Socket> sockets, const std::vector<IceServer> &servers,
                          std::function<void()> done) {
    sockets_ = std::move(sockets);
    done_ = std::move(done);
    gather_until_ = loop_.now() + options_.gather_patience;
    for (std::size_t socket = 0; socket < sockets_.size(); ++socket)
        for (const IceServer &server : servers) {
            if (server.address.family() != sockets_[socket].address.family() || !first_of_family(socket))
                continue;
            if (server.kind == IceServer::Kind::stun)
                start_query(socket, server);
            else
                start_relay(socket, server);
        }
    look_whether_gathered();
    arm();
}

std::size_t IceTransport::first_socket(unsigned component) const noexcept {
    const auto found = std::ranges::find(sockets_, component, &Socket::component);
    return static_cast<std::size_t>(found - sockets_.begin());
}

bool IceTransport::first_of_family(std::size_t socket) const noexcept {
    const Socket &self = sockets_[socket];
    const auto found = std::ranges::find_if(sockets_, [&](const Socket &other) {
        return other.component == self.component && other.address.family() == self.address.family();
    });
    return &*found == &self;
}

unsigned IceTransport::address_number(std::size_t socket) const noexcept {
    return static_cast<unsigned>(
        std::count_if(sockets_.begin(), sockets_.begin() + static_cast<std::ptrdiff_t>(socket),
                      [&](const Socket &other) { return other.component == sockets_[socket].component; }));
}

void IceTransport::start_query(std::size_t socket, const IceServer &server) {
    queries_.push_back(std::make_unique<Query>(Query{socket, server.address, {}}));
    Query &query = *queries_.back();
    dispatch(query, query.stun.start(loop_.now()));
}

void IceTransport::start_relay(std::size_t socket, const IceServer &server) {
    const bool reliable = server.way != IceServer::Way::udp;
    relays_.push_back(std::make_unique<Relay>(
        Relay{socket, sockets_[socket].component, server,
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
    if (!step.send.empty()) events_.send(query.socket, query.server, step.send);
    if (step.done && !query.stun.mapped())
        events_.trouble("the STUN server " + query.server.to_string() + " does not answer");
    if (step.done) look_whether_gathered();
}

void IceTransport::dispatch(Relay &relay, TurnClient::Step step) {
    for (const auto &packet : step.send)
        if (relay.stream)
            relay.stream->send(packet);
        else
            events_.send(relay.socket, relay.server.address, packet);
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
            events_.send(base_sockets_[send.base], send.to, send.bytes);
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

std::optional<Address> IceTransport::mapped(std::size_t socket) const {
    for (const auto &query : queries_)
        if (query->socket == socket && query->stun.mapped()) return query->stun.mapped();
    for (const auto &relay : relays_)
        if (relay->socket == socket && !relay->stream && relay->client.mapped())
            return relay->client.mapped();
    return std::nullopt;
}

Address IceTransport::default_address(unsigned component) const {
    const std::size_t first = first_socket(component);
    const Address &socket = sockets_.at(first).address;
    if (options_.relay_only)
        for (const auto &relay : relays_)
            if (relay->component == component && relay->client.relayed()) return *relay->client.relayed();
    return options_.public_ip.empty() ? mapped(first).value_or(socket) : socket;
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

void IceTransport::offer(std::string foundation, const IceBase &base, IceCandidateType type,
                         const Address &address, const Address &related) {
    candidates_.push_back({std::move(foundation), base.component,
                           ice_priority(type, base.preference, base.component), address, type, related});
}

// The socket, and how the outside sees it: the base is the same, so that needs no pairs of its own.
void IceTransport::offer_socket(std::size_t socket) {
    const Address &address = sockets_[socket].address;
    const unsigned number = address_number(socket);
    const std::string which = std::to_string(number);
    const IceBase base{sockets_[socket].component, address, false,
                       static_cast<std::uint16_t>(best_preference - preference_step * number)};
    bases_.push_back(base);
    base_sockets_.push_back(socket);
    offer("h" + which, base, IceCandidateType::host, address, {});
    auto outside = mapped(socket);
    if (!options_.public_ip.empty() && number == 0)
        if (auto known = Address::parse(options_.public_ip, address.port())) outside = *known;
    if (outside && !(*outside == address))
        offer("s" + which, base, IceCandidateType::server_reflexive, *outside, address);
}

void IceTransport::offer_relays(std::size_t socket) {
    const Address &local = sockets_[socket].address;
    for (const auto &relay : relays_) {
        const auto &address = relay->client.relayed();
        if (relay->socket != socket || !address) continue;
        relay->base = bases_.size();
        const IceBase base{relay->component, *address, true};
        bases_.push_back(base);
        base_sockets_.push_back(socket);
        // raddr is for diagnosis only; with relay_only it would tell what is to be kept.
        offer("r" + std::string(way_name(relay->server.way)), base, IceCandidateType::relayed, *address,
              options_.relay_only ? Address::any(local.family(), 9) : relay->client.mapped().value_or(local));
    }
}

void IceTransport::make_agent() {
    for (std::size_t socket = 0; socket < sockets_.size(); ++socket) {
        if (!options_.relay_only) offer_socket(socket);
        offer_relays(socket);
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

void IceTransport::add_remote(const IceCandidate &candidate) {
    if (!agent_) return;
    agent_->add_remote(candidate);
    arm();
}

bool IceTransport::is_server(const Address &from) const noexcept {
    return std::ranges::any_of(queries_, [&](const auto &query) { return query->server == from; }) ||
           std::ranges::any_of(
               relays_, [&](const auto &relay) { return !relay->stream && relay->server.address == from; });
}

void IceTransport::received(std::size_t socket, const Address &from, Bytes datagram) {
    const auto now = loop_.now();
    for (auto &query : queries_)
        if (query->socket == socket && query->server == from)
            dispatch(*query, query->stun.received(datagram));
    for (auto &relay : relays_)
        if (relay->socket == socket && !relay->stream && relay->server.address == from)
            dispatch(*relay, relay->client.received(datagram, now));
    if (agent_ && !options_.relay_only && looks_like_stun(datagram))
        for (std::size_t base = 0; base < bases_.size(); ++base)
            if (base_sockets_[base] == socket && !bases_[base].relayed)
                dispatch(agent_->received(base, from, datagram, now));
    arm();
}

void IceTransport::send(unsigned component, Bytes datagram) {
    if (!connected(component)) return;
    const auto pair = *agent_->selected(component);
    if (Relay *relay = relay_of(pair.base))
        dispatch(*relay, relay->client.send(pair.remote, datagram, loop_.now()));
    else
        events_.send(base_sockets_[pair.base], pair.remote, datagram);
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
