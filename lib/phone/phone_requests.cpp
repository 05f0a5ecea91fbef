// Requests outside of calls: OPTIONS and others, raw bytes, instant messages both ways.
#include <algorithm>

#include "base/text.hpp"
#include "phone/phone_self.hpp"
#include "sip/status.hpp"

namespace offhook {

namespace {

std::string contact_at(sip::UserAgent &ua, const sip::Flow &flow,
                       const sip::InviteSession::Options &account) {
    const Address local = ua.transports().contact_address(flow);
    sip::NameAddr contact;
    contact.uri.scheme = "sip";
    contact.uri.user = account.contact_user;
    contact.uri.host = account.public_address.empty() ? local.ip() : account.public_address;
    contact.uri.port = local.port();
    if (flow.kind != sip::TransportKind::udp) contact.uri.params.set("transport", sip::uri_token(flow.kind));
    return contact.encode();
}

// RFC 3261 §8.1.1.8: whatever may make a dialog names where requests inside it go; OPTIONS may (§11.1).
bool wants_contact(std::string_view method) {
    const auto known = sip::parse_method(method);
    return known == sip::Method::invite || known == sip::Method::options || known == sip::Method::subscribe ||
           known == sip::Method::notify || known == sip::Method::refer;
}

void apply_headers(sip::Draft &draft, const RequestSpec &spec) {
    std::vector<std::string> seen;
    for (const auto &[header, value] : spec.headers) {
        const auto same = [&name = header](const std::string &other) { return sip::iequals(name, other); };
        if (std::ranges::any_of(seen, same))
            draft.add(header, value);
        else
            draft.set(header, value);
        seen.push_back(header);
    }
}

bool gives(const RequestSpec &spec, std::string_view name, std::string_view compact) {
    return std::ranges::any_of(spec.headers, [&](const auto &header) {
        return sip::iequals(header.first, name) || sip::iequals(header.first, compact);
    });
}

sip::TransportKind transport_towards(const sip::ClientRequest::Options &options) {
    if (options.flow) return options.flow->kind;
    if (options.next_hop.is_sips()) return sip::TransportKind::tls;
    if (const auto kind = sip::parse_transport(options.next_hop.params.get("transport"))) return *kind;
    return options.transport.value_or(sip::TransportKind::udp);
}

// The flow a first try would take, as far as that can be told without asking anybody.
sip::Flow likely_flow(sip::Transports &transports, const sip::ClientRequest::Options &options) {
    sip::Flow flow;
    flow.kind = transport_towards(options);
    const auto anywhere = *Address::parse("192.0.2.1", 9); // RFC 5737: by the default route
    flow.remote = Address::parse(options.next_hop.host, 9).value_or(anywhere);
    auto local = local_address_towards(flow.remote);
    if (!local) local = *Address::parse(flow.remote.family() == AF_INET6 ? "::1" : "127.0.0.1");
    flow.local = *local;
    for (const auto &bound : transports.local_addresses(flow.kind))
        if (bound.family() == flow.local.family())
            flow.local = bound.is_any() ? flow.local.with_port(bound.port()) : bound;
    return flow;
}

bool is_plain_text(const sip::Message &message) {
    const auto type = message.value(sip::HeaderId::content_type);
    const auto encoding = message.value(sip::HeaderId::content_encoding);
    return sip::iequals(sip::trim(type.substr(0, type.find(';'))), "text/plain") &&
           (encoding.empty() || sip::iequals(encoding, "identity"));
}

std::string plain(const Result<sip::NameAddr> &address) {
    if (!address) return "";
    sip::Uri uri = address->uri;
    uri.params = {};
    uri.headers.clear();
    return sanitise(uri.encode());
}

} // namespace

// Composing ----------------------------------------------------------------------------------------------

Result<sip::ClientRequest::Options> Phone::Self::compose(std::string_view target, const RequestSpec &spec) {
    auto parsed = parse(target, spec.account);
    if (!parsed) return fail(parsed.error());
    const auto account = account_for(parsed->uri, spec.account.empty() ? parsed->account : spec.account);
    if (!account) return fail(account.error());
    parsed->uri.headers.clear();
    auto given = (*account)->session_options(parsed->uri, Address::any(AF_INET));
    given.from.params.set("tag", sip::random_token(8));
    sip::NameAddr to;
    to.uri = parsed->uri;

    sip::ClientRequest::Options options;
    auto &draft = options.draft;
    draft = sip::Draft::request(spec.method, parsed->uri.encode());
    draft.add("Max-Forwards", std::to_string(spec.max_forwards));
    for (const auto &route : given.route)
        draft.add("Route", route);
    draft.add("From", given.from.encode()).add("To", to.encode());
    draft.add("Call-ID", sip::random_token(16)).add("CSeq", "1 " + spec.method);
    ua_.add_capabilities(draft);
    if (spec.method == "OPTIONS") draft.add("Accept", "application/sdp, text/plain");
    if (!spec.body.empty()) draft.set_body(spec.content_type, spec.body);
    apply_headers(draft, spec);

    options.next_hop = parsed->uri;
    if (!given.route.empty())
        if (const auto route = sip::NameAddr::parse(given.route.front())) options.next_hop = route->uri;
    options.transport = given.transport;
    options.flow = given.flow;
    options.authenticator = given.authenticator;
    options.trusted = given.trusted;
    options.total = spec.patience;
    const bool local_from =
        (*account)->peer_to_peer() && given.public_address.empty() && !gives(spec, "From", "f");
    const bool contact = wants_contact(spec.method) && !gives(spec, "Contact", "m");
    options.prepare = [this, given, local_from, contact](sip::Draft &request, const sip::Flow &flow) {
        sip::NameAddr from = given.from;
        from.uri.host = ua_.transports().contact_address(flow).ip();
        if (local_from) request.set("From", from.encode());
        if (contact) request.set("Contact", contact_at(ua_, flow, given));
    };
    return options;
}

Result<std::unique_ptr<sip::ClientRequest>> Phone::request(std::string_view target, const RequestSpec &spec,
                                                           RequestHandlers handlers) {
    auto &self = *self_;
    auto options = self.compose(target, spec);
    if (!options) return fail(options.error());
    if (handlers.leaves)
        options->prepare = [prepare = std::move(options->prepare),
                            leaves = std::move(handlers.leaves)](sip::Draft &draft, const sip::Flow &flow) {
            prepare(draft, flow);
            leaves(flow);
        };
    const auto made = std::make_shared<sip::ClientRequest *>(nullptr);
    auto told = std::make_shared<bool>(false);
    auto request = self.ua_.request(
        std::move(*options),
        [heard = std::move(handlers.provisional)](const sip::Message &response, const sip::Flow &) {
            if (heard) heard(response);
        },
        [&self, made, told, invites = spec.method == "INVITE",
         final = std::move(handlers.final)](const sip::ClientRequest::Outcome &outcome) {
            if (invites && outcome.response && outcome.response->status() / 100 == 2)
                self.ua_.refuse_fork((*made)->draft(), *outcome.response, outcome.flow);
            if (!std::exchange(*told, true) && final) final(outcome);
        });
    *made = request.get();
    return request;
}

Result<std::string> Phone::compose(std::string_view target, const RequestSpec &spec) {
    auto &self = *self_;
    auto options = self.compose(target, spec);
    if (!options) return fail(options.error());
    const auto flow = likely_flow(self.ua_.transports(), *options);
    options->prepare(options->draft, flow);
    sip::Via via;
    via.transport = sip::via_token(flow.kind);
    const Address local = self.ua_.transports().contact_address(flow);
    via.host = local.ip();
    via.port = local.port();
    via.params.set("branch", "z9hG4bK" + sip::random_token(10));
    via.params.set_flag("rport");
    options->draft.prepend("Via", via.encode());
    return options->draft.encode();
}

// Raw bytes ----------------------------------------------------------------------------------------------

void Phone::Self::set_tap() {
    ua_.transports().set_tap([this](const sip::Flow &flow, bool sent, std::string_view bytes) {
        if (sip_tap_) sip_tap_(flow, sent, bytes);
        if (sent || !raw_ || !raw_->flow || !raw_->handlers.received) return;
        const auto &ours = *raw_->flow;
        if (flow.kind == ours.kind && flow.connection == ours.connection && flow.remote.same_ip(ours.remote))
            raw_->handlers.received(bytes);
    });
}

Result<> Phone::send_raw(std::string_view target, std::string bytes, RawHandlers handlers,
                         std::string_view account) {
    auto &self = *self_;
    const auto parsed = self.parse(target, account);
    if (!parsed) return fail(parsed.error());
    const auto chosen = self.account_for(parsed->uri, account.empty() ? parsed->account : account);
    if (!chosen) return fail(chosen.error());
    self.raw_ = std::make_unique<Self::Raw>();
    self.raw_->bytes = std::move(bytes);
    self.raw_->handlers = std::move(handlers);
    self.set_tap();
    return self.send_raw((*chosen)->next_hop(parsed->uri), (*chosen)->settings().transport);
}

Result<> Phone::Self::send_raw(const sip::Uri &next_hop, std::optional<sip::TransportKind> transport) {
    raw_->query =
        ua_.resolver().resolve(next_hop, transport, [this](const Result<std::vector<sip::Hop>> &hops) {
            auto &handlers = raw_->handlers;
            if (!hops) return handlers.failed(hops.error());
            const auto flow = ua_.transports().open(hops->front());
            if (!flow) return handlers.failed(flow.error());
            raw_->flow = *flow;
            if (auto sent = ua_.transports().send(*flow, raw_->bytes); !sent)
                return handlers.failed(sent.error());
            handlers.sent(*flow);
        });
    return {};
}

// Messages (RFC 3428) ------------------------------------------------------------------------------------

Result<> Phone::send_message(std::string_view target, std::string_view text, std::string_view account) {
    auto &self = *self_;
    if (text.size() > message_limit)
        return fail(Errc::invalid_argument, "the message has " + std::to_string(text.size()) +
                                                " bytes (expected at most " + std::to_string(message_limit) +
                                                ")");
    RequestSpec spec;
    spec.method = "MESSAGE";
    spec.account = account;
    spec.content_type = "text/plain;charset=UTF-8";
    spec.body = text;
    const auto to = resolve_target(target, account);
    if (!to) return fail(to.error());
    const auto slot = std::make_shared<sip::ClientRequest *>(nullptr);
    RequestHandlers handlers;
    handlers.final = [&self, slot, to = *to,
                      name = std::string(account)](const sip::ClientRequest::Outcome &outcome) {
        event::MessageSent event{name, sanitise(to)};
        if (outcome.response) {
            event.code = outcome.response->status();
            event.reason = sanitise(outcome.response->reason());
            event.exit = sip::exit_code(event.code, sip::Purpose::other, outcome.authenticated);
        } else {
            event.reason = sanitise(outcome.response.error().what);
            event.exit = sip::exit_code(outcome.response.error(), sip::Purpose::other);
        }
        self.tell(std::move(event));
        self.loop_.post([&self, still = std::weak_ptr<char>(self.alive_), message = *slot] {
            if (!still.expired()) self.forget_message(message);
        });
    };
    auto request = this->request(target, spec, std::move(handlers));
    if (!request) return fail(request.error());
    *slot = request->get();
    self.messages_.push_back(std::move(*request));
    return {};
}

void Phone::Self::forget_message(const sip::ClientRequest *message) {
    std::erase_if(messages_, [message](const auto &kept) { return kept.get() == message; });
}

void Phone::Self::on_message(const sip::Message &message, const sip::Flow &flow,
                             sip::ServerTransaction transaction) {
    if (!is_plain_text(message)) { // RFC 3428 §7
        auto refusal = sip::Draft::response(message, 415, {}, sip::random_token(8));
        refusal.add("Accept", "text/plain").add("Accept-Encoding", "identity");
        return transaction.respond(refusal);
    }
    transaction.respond(200, {}, sip::random_token(8));
    const auto from = message.from();
    const auto uri = message.uri();
    const auto *account = uri ? account_of(*uri) : nullptr;
    event::MessageReceived event;
    if (account != nullptr) event.account = account->settings().name;
    event.from = plain(from);
    event.from_name = from ? sanitise(from->display) : "";
    event.to = plain(message.to());
    event.text = escape_controls(message.body());
    event.source = std::string(sip::uri_token(flow.kind)) + ":" + flow.remote.to_string();
    tell(std::move(event));
}

} // namespace offhook
