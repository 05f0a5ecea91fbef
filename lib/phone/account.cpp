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
    if (!set.proxy.empty()) {
        auto proxy = parse_outbound_proxy(set.proxy);
        if (!proxy)
            return fail(Errc::config,
                        "account \"" + set.name + "\": proxy \"" + set.proxy + "\": " + proxy.error().what);
        if (!proxy->as_route)
            host.user_agent().transports().set_websocket_path(proxy->uri.host, proxy->uri.port, proxy->path);
        account->proxy_ = std::move(*proxy);
    }
    if (!set.password.empty()) {
        sip::Authenticator::Options options;
        options.credentials = {set.auth_user.empty() ? aor->user_decoded() : set.auth_user, set.password};
        options.realm = set.realm;
        account->authenticator_ = std::make_shared<sip::Authenticator>(std::move(options));
    }
    return account;
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

std::optional<sip::Flow> Account::flow_for(const sip::Uri &target) const {
    if (!registered() || !(proxy_ || in_domain(target) || same_host(target, registrar_))) return std::nullopt;
    auto flow = registration_->flow();
    if (flow && !host_.user_agent().transports().alive(*flow)) flow.reset();
    return flow;
}

sip::Uri Account::next_hop(const sip::Uri &target) const {
    return proxy_ ? proxy_->uri : target;
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
    if (proxy_ && proxy_->as_route) options.route.push_back("<" + proxy_->uri.encode() + ">");
    if (proxy_ && !proxy_->as_route) options.next_hop = proxy_->uri;
    if (registered())
        for (auto &route : registration_->service_route())
            options.route.push_back(std::move(route));
    options.transport = settings_.transport;
    options.flow = flow_for(target);
    options.authenticator = authenticator_;
    options.trusted = proxy_ || in_domain(target) || (!peer_to_peer() && same_host(target, registrar_));
    return options;
}

sip::InviteSession::Options Account::answering_options(const sip::Message &invite) const {
    sip::InviteSession::Options options;
    if (const auto to = invite.to()) options.from = *to;
    options.from.params = {};
    const auto uri = invite.uri();
    options.contact_user = peer_to_peer() && uri && !uri->user.empty() ? uri->user : contact_user();
    options.public_address = settings_.public_address;
    options.transport = settings_.transport;
    options.authenticator = authenticator_;
    options.session_timer = session_timer();
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
    if (registration_)
        if (const auto flow = registration_->flow(); flow && flow->remote.same_ip(remote)) return true;
    return std::ranges::any_of(servers_, [&](const Address &server) { return server.same_ip(remote); });
}

void Account::resolve_servers() {
    queries_.clear();
    for (const auto &uri : {next_hop(registrar_), registrar_})
        queries_.push_back(host_.user_agent().resolver().resolve(
            uri, settings_.transport, [this](const Result<std::vector<sip::Hop>> &hops) {
                if (!hops) return; // the registration tells
                for (const auto &hop : *hops)
                    if (servers_.size() < 64 && std::ranges::find(servers_, hop.address) == servers_.end())
                        servers_.push_back(hop.address);
            }));
}

void Account::ensure_registration() {
    if (registration_) return;
    sip::Registration::Options options;
    options.aor = aor_;
    options.registrar = registrar_;
    options.contact_user = contact_user();
    if (proxy_ && proxy_->as_route) options.route.push_back(proxy_->uri);
    if (proxy_ && !proxy_->as_route) options.next_hop = proxy_->uri;
    options.expires = std::chrono::duration_cast<std::chrono::seconds>(settings_.expires);
    options.authenticator = authenticator_;
    options.transport = settings_.transport;
    options.instance_id = instance_id();
    sip::Draft capabilities;
    host_.user_agent().add_capabilities(capabilities);
    options.headers = capabilities.headers;
    auto &ua = host_.user_agent();
    sip::Registration::Listener &listener = *this;
    registration_ = std::make_unique<sip::Registration>(host_.loop(), ua.transactions(), ua.resolver(),
                                                        std::move(options), listener);
}

void Account::register_now() {
    servers_.clear();
    resolve_servers();
    ensure_registration();
    registration_->start();
}

void Account::unregister(std::function<void()> done) {
    if (!registered()) {
        registration_.reset(); // an attempt under way ends unheard
        return done();
    }
    registration_->unregister([done = std::move(done)](const Result<> &) { done(); });
}

void Account::remove_bindings() {
    ensure_registration();
    registration_->unregister(
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
    registration_->query([done = std::move(done)](const Result<std::vector<sip::NameAddr>> &bindings) {
        if (!bindings) return done(fail(bindings.error()));
        std::vector<std::string> texts;
        for (const auto &binding : *bindings)
            texts.push_back(sanitise(binding.encode()));
        done(std::move(texts));
    });
}

void Account::link_changed() {
    if (registration_) registration_->refresh_now();
}

void Account::flow_failed(const sip::Flow &flow) {
    if (registration_) registration_->flow_failed(flow);
}

void Account::on_registering() {
    host_.tell(event::AccountRegistering{settings_.name, settings_.aor, registrar_.encode()});
}

void Account::on_registered(const sip::Registration::Outcome &outcome) {
    event::AccountRegistered event{settings_.name,
                                   settings_.aor,
                                   {},
                                   std::string(sip::uri_token(outcome.flow.kind)),
                                   outcome.granted.count()};
    event.contact = registration_->contact_uri(outcome.flow);
    host_.tell(std::move(event));
}

void Account::on_failed(const Error &error, std::optional<Duration> retry_in) {
    event::AccountFailed event{settings_.name, settings_.aor, error.sip, sanitise(error.what)};
    event.exit = sip::exit_code(error, sip::Purpose::register_);
    event.retry_ms = retry_in ? retry_in->count() : -1;
    host_.tell(std::move(event));
}

void Account::on_unregistered() {
    host_.tell(event::AccountUnregistered{settings_.name, settings_.aor});
}

} // namespace offhook
