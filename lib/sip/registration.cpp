#include "sip/registration.hpp"

#include <random>
#include <unordered_map>
#include <utility>

#include "sip/register_message.hpp"
#include "sip/registration_policy.hpp"
#include "sip/status.hpp"

namespace offhook::sip {

namespace {

using namespace std::chrono_literals;

constexpr Duration unregister_patience = 5s;

Duration default_keep_alive(TransportKind kind) {
    return is_reliable(kind) ? 110s : 25s; // RFC 5626 §4.4: TCP 95 to 120 s, UDP 24 to 29 s
}

Error refusal(const Uri &registrar, const Message &response, bool authenticated) {
    const unsigned status = response.status();
    const bool credentials = status == 401 || status == 403 || status == 407;
    std::string reason(response.reason().empty() ? reason_phrase(status) : response.reason());
    std::string what =
        registrar.host_port() + " refused the registration: " + std::to_string(status) + " " + reason;
    if (credentials && status != 403)
        what += authenticated ? " (wrong user or password)" : " (no credentials for it)";
    return {credentials ? Errc::authentication : Errc::rejected, std::move(what), status};
}

std::optional<std::uint32_t> seconds_of(const Message &response, HeaderId id) {
    auto text = response.value(id);
    text = trim(text.substr(0, text.find_first_of(";("))); // Retry-After: 120 (maintenance);duration=60
    const auto seconds = parse_delta_seconds(text);
    return seconds ? std::optional(*seconds) : std::nullopt;
}

} // namespace

struct Registration::Self : std::enable_shared_from_this<Self> {
    using Kind = RegistrationEvent::Kind;

    Self(Loop &loop_, TransactionLayer &layer_, Resolver &resolver_, Options options_, Listener &listener_)
        : loop(loop_), layer(layer_), resolver(resolver_), options(std::move(options_)), listener(&listener_),
          timer(loop_) {
        policy.expires = static_cast<std::uint32_t>(options.expires.count());
        policy.once = options.once;
        identity = {random_token(), random_token(8), 0};
    }

    void apply(RegistrationEvent event, const Error &error = {});
    void send();
    void answered(const ClientRequest::Outcome &outcome, std::uint32_t asked);
    void accepted(const Message &response, const Flow &over, std::uint32_t asked);
    bool correct_contact(const Message &response, const Flow &over);
    void removed(const ClientRequest::Outcome &outcome);
    ClientRequest::Options request_options(Draft draft) const;
    void unregister(bool all);
    void drop_flow();
    void keep_flow(const Message &response);
    [[nodiscard]] std::string contact_for(const Flow &way) const;
    void take_cseq();

    Loop &loop;
    TransactionLayer &layer;
    Resolver &resolver;
    Options options;
    Listener *listener; // null: destroyed
    RegistrationPolicy policy;
    RegisterIdentity identity;
    Timer timer;
    std::unique_ptr<ClientRequest> request;
    std::unordered_map<std::uint64_t, std::unique_ptr<ClientRequest>> queries;
    std::uint64_t next_query = 1;
    std::vector<std::function<void(Result<>)>> unregistered;
    std::optional<Flow> flow;      // of the last 200
    std::optional<Flow> last_good; // for when names cannot be resolved
    std::optional<Address> public_address;
    std::vector<std::string> service_route;
    std::string gruu;
    std::string old_contact;            // to be removed with the next REGISTER
    std::optional<Address> nat_contact; // what our Contact says, behind a NAT
    std::optional<Uri> answering;       // the next hop that answered last
    bool bound = false;                 // the registrar has our Contact
    bool resolve_failed = false;
    std::minstd_rand random{std::random_device{}()};
};

std::string Registration::Self::contact_for(const Flow &way) const {
    if (nat_contact && way.kind == TransportKind::udp)
        return sip::contact_uri(options, way.kind, nat_contact->to_string());
    return sip::contact_uri(options, way.kind, layer.transports().sent_by(way));
}

void Registration::Self::apply(RegistrationEvent event, const Error &error) {
    const auto keep = shared_from_this();
    event.now = loop.now();
    event.random = std::uniform_real_distribution<>(0, 1)(random);
    const RegistrationDecision decision = step(policy, event);
    const bool refreshing = policy.phase == RegistrationPolicy::Phase::registered;
    policy = decision.next;
    if (decision.new_flow) drop_flow();
    if (decision.wait)
        timer.start(*decision.wait, [this] { apply({Kind::timer}); });
    else if (decision.register_now || policy.phase == RegistrationPolicy::Phase::stopped)
        timer.cancel();
    if (decision.report_failure && listener != nullptr) listener->on_failed(error, decision.wait);
    if (!decision.register_now) return;
    if (!refreshing && listener != nullptr) listener->on_registering();
    if (listener != nullptr && policy.phase == RegistrationPolicy::Phase::registering) send();
}

ClientRequest::Options Registration::Self::request_options(Draft draft) const {
    ClientRequest::Options out;
    out.draft = std::move(draft);
    out.next_hop = register_next_hop(options);
    out.alternatives = options.alternatives;
    if (answering) { // the one that works, then the others in their order
        std::erase_if(out.alternatives, [&](const Uri &uri) { return uri.encode() == answering->encode(); });
        if (answering->encode() != out.next_hop.encode()) {
            if (out.draft.get("Route") == "<" + out.next_hop.encode() + ">")
                out.draft.erase_first("Route").prepend("Route", "<" + answering->encode() + ">");
            out.alternatives.insert(out.alternatives.begin(), out.next_hop);
            out.next_hop = *answering;
        }
    }
    out.transport = options.transport;
    out.authenticator = options.authenticator;
    if (flow)
        out.flow = flow;
    else if (resolve_failed)
        out.flow = last_good;
    return out;
}

void Registration::Self::send() {
    request.reset();
    ++identity.cseq;
    Draft draft = make_register(options, identity);
    const std::uint32_t asked = policy.expires;
    draft.add("Expires", std::to_string(asked));
    auto prepared = request_options(std::move(draft));
    prepared.prepare = [this](Draft &out, const Flow &over) {
        std::string contacts = contact_value(options, contact_for(over));
        if (!old_contact.empty()) contacts += ", <" + old_contact + ">;expires=0";
        out.set("Contact", contacts);
    };
    request = std::make_unique<ClientRequest>(
        layer, resolver, loop, std::move(prepared), nullptr,
        [this, asked](const ClientRequest::Outcome &outcome) { answered(outcome, asked); });
}

// Retries with credentials counted on (RFC 3261 §10.2.4: one sequence per Call-ID).
void Registration::Self::take_cseq() {
    if (!request) return;
    if (const auto cseq = CSeq::parse(request->draft().get("CSeq"))) identity.cseq = cseq->number;
}

void Registration::Self::answered(const ClientRequest::Outcome &outcome, std::uint32_t asked) {
    const auto keep = shared_from_this();
    take_cseq();
    answering = outcome.response && request ? std::optional(request->next_hop()) : std::nullopt;
    bound = bound && outcome.response && outcome.response->status() / 100 == 2;
    if (!outcome.response) {
        const Error error = outcome.response.error();
        resolve_failed = !outcome.flow.remote.is_set();                            // no way was ever found
        if (error.code == Errc::timeout) layer.transports().abandon(outcome.flow); // half-open, perhaps
        drop_flow();
        const bool network =
            error.code == Errc::network || error.code == Errc::timeout || error.code == Errc::tls;
        RegistrationEvent event{Kind::failed};
        event.network = network;
        return apply(event, error);
    }
    const Message &response = *outcome.response;
    resolve_failed = false;
    if (response.status() / 100 == 2) return accepted(response, outcome.flow, asked);
    RegistrationEvent event{Kind::refused};
    event.status = response.status();
    event.retry_after = seconds_of(response, HeaderId::retry_after);
    event.min_expires = seconds_of(response, HeaderId::min_expires);
    apply(event, refusal(register_next_hop(options), response, outcome.authenticated));
}

// Behind a NAT, and the registrar keeps no flows: only the address that the NAT gave us can be reached. True
// when that is being registered.
bool Registration::Self::correct_contact(const Message &response, const Flow &over) {
    const bool outbound = requires_outbound(response) && !options.instance_id.empty();
    if (over.kind != TransportKind::udp || outbound || options.once || !public_address) return false;
    if (nat_contact == public_address) return false;
    old_contact = contact_for(over);
    nat_contact = public_address;
    send();
    return true;
}

void Registration::Self::accepted(const Message &response, const Flow &over, std::uint32_t asked) {
    const bool corrected = !std::exchange(old_contact, {}).empty();
    const auto own = Uri::parse(contact_for(over));
    RegistrationEvent event{Kind::accepted};
    event.granted = own ? granted_expires(response, *own, asked) : asked;
    if (event.granted == 0) {
        event.kind = Kind::refused;
        return apply(event,
                     {Errc::rejected, "the registrar accepted the registration for 0 s", response.status()});
    }
    if (flow && !(*flow == over)) layer.transports().keep_alive(*flow, Duration(0));
    flow = last_good = over;
    bound = true;
    public_address = seen_address(response, {layer.transports().contact_address(over), over.local});
    gruu = own ? public_gruu(response, *own) : "";
    service_route.clear();
    for (const auto value : response.list(HeaderId::service_route))
        service_route.emplace_back(value);
    keep_flow(response);
    if (!corrected && correct_contact(response, over)) return;
    Outcome outcome{std::chrono::seconds(event.granted),
                    response.addresses(HeaderId::contact).value_or(std::vector<NameAddr>{}), over};
    apply(event);
    if (listener != nullptr) listener->on_registered(outcome);
}

void Registration::Self::keep_flow(const Message &response) {
    if (options.once || !flow) return;
    Duration interval = options.keep_alive.value_or(default_keep_alive(flow->kind));
    const Header *flow_timer =
        response.find("Flow-Timer"); // RFC 5626 §4.4: what the registrar waits for pings
    if (const auto due = parse_delta_seconds(flow_timer != nullptr ? flow_timer->value : "");
        due && *due > 0 && interval.count() > 0)
        interval = std::min<Duration>(interval, Duration(std::chrono::seconds(*due)) * 9 / 10);
    layer.transports().keep_alive(*flow, interval, requires_outbound(response));
}

void Registration::Self::drop_flow() {
    request.reset();
    bound = false;
    nat_contact.reset(); // another NAT, perhaps
    if (!flow) return;
    layer.transports().keep_alive(*flow, Duration(0));
    layer.transports().abandon(*flow);
    flow.reset();
}

void Registration::Self::unregister(bool all) {
    timer.cancel();
    apply({Kind::stop});
    request.reset();
    ++identity.cseq;
    Draft draft = make_register(options, identity);
    draft.add("Expires", "0");
    auto prepared = request_options(std::move(draft));
    prepared.total = unregister_patience;
    prepared.prepare = [this, all](Draft &out, const Flow &way) {
        out.set("Contact", all ? "*" : contact_value(options, contact_for(way)));
    };
    request =
        std::make_unique<ClientRequest>(layer, resolver, loop, std::move(prepared), nullptr,
                                        [this](const ClientRequest::Outcome &outcome) { removed(outcome); });
}

void Registration::Self::removed(const ClientRequest::Outcome &outcome) {
    const auto keep = shared_from_this();
    take_cseq();
    if (flow) layer.transports().keep_alive(*flow, Duration(0));
    flow.reset();
    bound = false;
    Result<> result;
    if (!outcome.response)
        result = fail(outcome.response.error());
    else if (outcome.response->status() / 100 != 2)
        result = fail(refusal(register_next_hop(options), *outcome.response, outcome.authenticated));
    const auto waiting = std::exchange(unregistered, {});
    if (result && listener != nullptr) listener->on_unregistered();
    for (const auto &done : waiting)
        if (done) done(result);
}

Registration::Registration(Loop &loop, TransactionLayer &layer, Resolver &resolver, Options options,
                           Listener &listener)
    : self_(std::make_shared<Self>(loop, layer, resolver, std::move(options), listener)) {}

Registration::~Registration() {
    self_->listener = nullptr;
    self_->timer.cancel();
    self_->unregistered.clear();
    self_->request.reset();
    self_->queries.clear();
    if (self_->flow) self_->layer.transports().keep_alive(*self_->flow, Duration(0));
}

void Registration::start() {
    self_->apply({Self::Kind::start});
}

void Registration::refresh_now() {
    self_->apply({Self::Kind::link_changed});
}

void Registration::unregister(std::function<void(Result<>)> done, bool all) {
    self_->unregistered.push_back(std::move(done));
    self_->unregister(all);
}

void Registration::query(std::function<void(Result<std::vector<NameAddr>>)> done) {
    auto &self = *self_;
    auto prepared = self.request_options(make_register(self.options, {random_token(), random_token(8), 1}));
    const auto id = self.next_query++;
    auto finished = [&self, id, done = std::move(done)](const ClientRequest::Outcome &outcome) {
        const auto over = std::move(self.queries.extract(id).mapped()); // until we have returned
        if (!outcome.response) return done(fail(outcome.response.error()));
        if (outcome.response->status() / 100 == 2)
            return done(outcome.response->addresses(HeaderId::contact));
        done(fail(refusal(register_next_hop(self.options), *outcome.response, outcome.authenticated)));
    };
    self.queries.emplace(id,
                         std::make_unique<ClientRequest>(self.layer, self.resolver, self.loop,
                                                         std::move(prepared), nullptr, std::move(finished)));
}

void Registration::flow_failed(const Flow &flow) {
    auto &self = *self_;
    if (self.flow && self.flow->kind == flow.kind && self.flow->connection == flow.connection &&
        self.flow->remote == flow.remote)
        self.apply({Self::Kind::flow_lost});
}

bool Registration::registered() const {
    return self_->bound;
}

std::optional<Flow> Registration::flow() const {
    return self_->flow;
}

std::optional<Address> Registration::public_address() const {
    return self_->public_address;
}

std::vector<std::string> Registration::service_route() const {
    return self_->service_route;
}

Uri Registration::next_hop() const {
    return self_->answering.value_or(register_next_hop(self_->options));
}

std::string Registration::gruu() const {
    return self_->gruu;
}

std::string Registration::contact_uri(const Flow &flow) const {
    return self_->contact_for(flow);
}

} // namespace offhook::sip
