#include "phone/account.hpp"

#include <algorithm>
#include <chrono>

#include "base/text.hpp"
#include "sip/digest.hpp"
#include "sip/status.hpp"

namespace offhook {

namespace {

Result<sip::Uri> sip_uri(std::string_view text, std::string_view account, std::string_view key) {
    auto uri = sip::Uri::parse(text);
    const auto where =
        "account \"" + std::string(account) + "\": " + std::string(key) + " \"" + std::string(text) + "\": ";
    if (!uri) return fail(Errc::config, where + uri.error().what);
    if (!uri->is_sip()) return fail(Errc::config, where + "expected a sip: or sips: URI");
    return uri;
}

bool same_host(const sip::Uri &a, const sip::Uri &b) {
    return sip::iequals(a.host, b.host);
}

} // namespace

Account::Account(CallHost &host, AccountSettings settings) : host_(host), settings_(std::move(settings)) {}

Result<std::unique_ptr<Account>> Account::open(CallHost &host, AccountSettings settings) {
    std::unique_ptr<Account> account(new Account(host, std::move(settings)));
    const auto &set = account->settings_;
    if (set.aor.empty()) return account;
    auto aor = sip_uri(set.aor, set.name, "aor");
    if (!aor) return fail(aor.error());
    account->aor_ = *aor;
    account->registrar_.scheme = aor->scheme;
    account->registrar_.host = aor->host;
    account->registrar_.port = aor->port;
    if (!set.registrar.empty()) {
        auto registrar = sip_uri(set.registrar, set.name, "registrar");
        if (!registrar) return fail(registrar.error());
        account->registrar_ = *registrar;
    }
    if (auto opened = account->open_proxies(); !opened) return fail(opened.error());
    if (!set.password.empty()) {
        sip::Authenticator::Options options;
        options.credentials = {set.auth_user.empty() ? aor->user_decoded() : set.auth_user, set.password};
        options.realm = set.realm;
        account->authenticator_ = std::make_shared<sip::Authenticator>(std::move(options));
    }
    return account;
}

Result<> Account::open_proxies() {
    for (const auto &text : settings_.proxies) {
        auto proxy = parse_outbound_proxy(text);
        const auto where = "account \"" + settings_.name + "\": proxy \"" + text + "\": ";
        if (!proxy) return fail(Errc::config, where + proxy.error().what);
        if (!proxies_.empty() && proxy->as_route != proxies_.front().as_route)
            return fail(Errc::config, where + "URIs and URLs cannot stand for each other");
        if (!proxy->as_route)
            host_.user_agent().transports().set_websocket_path(proxy->uri.host, proxy->uri.port, proxy->path);
        proxies_.push_back(std::move(*proxy));
    }
    return {};
}

bool Account::registered() const {
    return std::ranges::any_of(flows_, [](const auto &flow) { return flow->registration->registered(); });
}

sip::Registration *Account::first() const {
    const auto up =
        std::ranges::find_if(flows_, [](const auto &flow) { return flow->registration->registered(); });
    if (up != flows_.end()) return (*up)->registration.get();
    return flows_.empty() ? nullptr : flows_.front()->registration.get();
}

bool Account::in_domain(const sip::Uri &uri) const {
    return !peer_to_peer() && same_host(uri, aor_);
}

bool Account::has_user(const sip::Uri &uri) const {
    return !peer_to_peer() && uri.user_decoded() == aor_.user_decoded();
}

std::string Account::contact_user() const {
    return peer_to_peer() ? login_user() : aor_.user;
}

// By the first registered flow that lives.
std::optional<sip::Flow> Account::flow_for(const sip::Uri &target) const {
    if (!(proxy() != nullptr || in_domain(target) || same_host(target, registrar_))) return std::nullopt;
    for (const auto &one : flows_) {
        if (!one->registration->registered()) continue;
        const auto flow = one->registration->flow();
        if (flow && host_.user_agent().transports().alive(*flow)) return flow;
    }
    return std::nullopt;
}

sip::Uri Account::next_hop(const sip::Uri &target) const {
    if (proxies_.empty()) return target;
    return registered() ? first()->next_hop() : proxies_.front().uri;
}

sip::InviteSession::Options Account::session_options(const sip::Uri &target, const Address &local) const {
    sip::InviteSession::Options options;
    options.from.display = settings_.display_name;
    options.from.uri = aor_;
    options.from.uri.params = {};
    if (peer_to_peer()) {
        options.from.uri.scheme = target.is_sips() ? "sips" : "sip";
        options.from.uri.user = login_user();
        options.from.uri.host = settings_.public_address.empty() ? local.ip() : settings_.public_address;
    }
    if (settings_.anonymous) { // RFC 3323 §4.1.1.3: nothing of ours in From; the server takes out the rest
        options.from.display = "Anonymous";
        options.from.uri.user = "anonymous";
        options.from.uri.host = "anonymous.invalid";
        options.from.uri.port = 0;
        options.headers.emplace_back("Privacy", "id");
    }
    options.session_timer = session_timer();
    options.contact_user = settings_.anonymous && peer_to_peer() ? "anonymous" : contact_user();
    options.public_address = settings_.public_address;
    if (proxy() != nullptr) {
        const auto hop = next_hop(target);
        if (proxy()->as_route) options.route.push_back("<" + hop.encode() + ">");
        options.next_hop = hop;
        for (const auto &other : proxies_)
            if (other.uri.encode() != hop.encode()) options.alternatives.push_back(other.uri);
    }
    options.transport = settings_.transport;
    options.flow = flow_for(target);
    options.authenticator = authenticator_;
    options.trusted =
        proxy() != nullptr || in_domain(target) || (!peer_to_peer() && same_host(target, registrar_));
    if (registered()) add_registered(options);
    return options;
}

// What the registrar gave us.
void Account::add_registered(sip::InviteSession::Options &options) const {
    const auto &registration = *first();
    for (auto &route : registration.service_route())
        options.route.push_back(std::move(route));
    if (settings_.gruu && !settings_.anonymous) options.gruu = registration.gruu();
    if (options.flow) add_seen_address(options, *options.flow);
}

// Behind a NAT the peer reaches us where the registrar does.
void Account::add_seen_address(sip::InviteSession::Options &options, const sip::Flow &flow) const {
    const auto seen = first()->public_address();
    if (seen && flow.kind == sip::TransportKind::udp && options.public_address.empty())
        options.public_address = seen->to_string();
}

sip::InviteSession::Options Account::answering_options(const sip::Message &invite,
                                                       const sip::Flow &flow) const {
    sip::InviteSession::Options options;
    if (const auto to = invite.to()) options.from = *to;
    options.from.params = {};
    const auto uri = invite.uri();
    options.contact_user = peer_to_peer() && uri && !uri->user.empty() ? uri->user : contact_user();
    options.public_address = settings_.public_address;
    options.transport = settings_.transport;
    options.authenticator = authenticator_;
    options.session_timer = session_timer();
    if (registered() && is_server(flow.remote)) add_seen_address(options, flow);
    if (settings_.gruu && !settings_.anonymous && registered()) options.gruu = first()->gruu();
    return options;
}

sip::SessionTimer::Options Account::session_timer() const {
    sip::SessionTimer::Options options;
    const auto wanted = std::chrono::duration_cast<std::chrono::seconds>(settings_.session_expires).count();
    options.interval =
        wanted == 0
            ? 0
            : std::max(options.minimum, static_cast<std::uint32_t>(std::min<std::int64_t>(wanted, 86'400)));
    return options;
}

bool Account::is_server(const Address &remote) const {
    for (const auto &one : flows_)
        if (const auto flow = one->registration->flow(); flow && flow->remote.same_ip(remote)) return true;
    return std::ranges::any_of(servers_, [&](const Address &server) { return server.same_ip(remote); });
}

void Account::resolve_servers() {
    queries_.clear();
    std::vector<sip::Uri> uris{registrar_};
    for (const auto &proxy : proxies_)
        uris.push_back(proxy.uri);
    for (const auto &uri : uris)
        queries_.push_back(host_.user_agent().resolver().resolve(
            uri, settings_.transport, [this](const Result<std::vector<sip::Hop>> &hops) {
                if (!hops) return; // the registration tells
                for (const auto &hop : *hops)
                    if (servers_.size() < 64 && std::ranges::find(servers_, hop.address) == servers_.end())
                        servers_.push_back(hop.address);
            }));
}

sip::Registration::Options Account::registration_options(unsigned reg_id) const {
    sip::Registration::Options options;
    options.aor = aor_;
    options.registrar = registrar_;
    options.contact_user = contact_user();
    // Each flow begins with another proxy and falls back to the others (RFC 5626 §4.2.1).
    for (std::size_t i = 0; i < proxies_.size(); ++i) {
        const auto &proxy = proxies_[(reg_id - 1 + i) % proxies_.size()];
        if (i > 0) options.alternatives.push_back(proxy.uri);
        if (i == 0 && proxy.as_route) options.route.push_back(proxy.uri);
        if (i == 0 && !proxy.as_route) options.next_hop = proxy.uri;
    }
    options.expires = std::chrono::duration_cast<std::chrono::seconds>(settings_.expires);
    options.authenticator = authenticator_;
    options.transport = settings_.transport;
    options.instance_id = instance_id();
    options.reg_id = reg_id;
    sip::Draft capabilities;
    host_.user_agent().add_capabilities(capabilities);
    options.headers = capabilities.headers;
    return options;
}

void Account::ensure_registration() {
    if (!flows_.empty()) return;
    auto &ua = host_.user_agent();
    for (unsigned reg_id = 1; reg_id <= settings_.flows; ++reg_id) {
        auto flow = std::make_unique<AccountFlow>(*this, reg_id);
        flow->registration = std::make_unique<sip::Registration>(
            host_.loop(), ua.transactions(), ua.resolver(), registration_options(reg_id), *flow);
        flows_.push_back(std::move(flow));
    }
}

void Account::register_now() {
    servers_.clear();
    resolve_servers();
    ensure_registration();
    for (const auto &flow : flows_) {
        flow->trying = true;
        flow->registration->start();
    }
}

void Account::unregister(std::function<void()> done) {
    if (!registered()) {
        flows_.clear(); // attempts under way end unheard
        return done();
    }
    struct Left {
        std::size_t flows;
        std::function<void()> done;
    };
    const auto left = std::make_shared<Left>(Left{flows_.size(), std::move(done)});
    for (const auto &flow : flows_)
        flow->registration->unregister([left](const Result<> &) {
            if (--left->flows == 0) left->done();
        });
}

void Account::remove_bindings() {
    ensure_registration();
    flows_.front()->registration->unregister(
        [this](const Result<> &removed) { // success is told by on_unregistered()
            if (removed) return;
            host_.tell(event::AccountFailed{settings_.name, settings_.aor, removed.error().sip,
                                            removed.error().what,
                                            sip::exit_code(removed.error(), sip::Purpose::register_), -1});
        },
        true);
}

void Account::query(std::function<void(Result<std::vector<std::string>>)> done) {
    ensure_registration();
    flows_.front()->registration->query(
        [done = std::move(done)](const Result<std::vector<sip::NameAddr>> &bindings) {
            if (!bindings) return done(fail(bindings.error()));
            std::vector<std::string> texts;
            for (const auto &binding : *bindings)
                texts.push_back(sanitise(binding.encode()));
            done(std::move(texts));
        });
}

void Account::link_changed() {
    for (const auto &flow : flows_)
        flow->registration->refresh_now();
}

void Account::flow_failed(const sip::Flow &flow) {
    for (const auto &one : flows_)
        one->registration->flow_failed(flow);
}

void Account::on_registering(AccountFlow &) {
    if (!registered())
        host_.tell(event::AccountRegistering{settings_.name, settings_.aor, registrar_.encode()});
}

void Account::on_registered(AccountFlow &flow, const sip::Registration::Outcome &outcome) {
    flow.trying = false;
    event::AccountRegistered event{settings_.name,
                                   settings_.aor,
                                   {},
                                   std::string(sip::uri_token(outcome.flow.kind)),
                                   outcome.granted.count()};
    event.contact = flow.registration->contact_uri(outcome.flow);
    event.flow = flow.reg_id;
    host_.tell(std::move(event));
}

// The account has failed when none of its flows stands or may still come to stand.
void Account::on_failed(AccountFlow &flow, const Error &error, std::optional<Duration> retry_in) {
    flow.trying = false;
    const bool others =
        registered() || std::ranges::any_of(flows_, [](const auto &one) { return one->trying; });
    if (others)
        return host_.tell(event::Log{"warning", "account " + settings_.name + ", flow " +
                                                    std::to_string(flow.reg_id) + ": " +
                                                    sanitise(error.what)});
    event::AccountFailed event{settings_.name, settings_.aor, error.sip, sanitise(error.what)};
    event.exit = sip::exit_code(error, sip::Purpose::register_);
    event.retry_ms = retry_in ? retry_in->count() : -1;
    host_.tell(std::move(event));
}

void Account::on_unregistered() {
    if (registered()) return; // by another flow
    host_.tell(event::AccountUnregistered{settings_.name, settings_.aor});
}

} // namespace offhook
