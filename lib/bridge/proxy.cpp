#include "bridge/proxy.hpp"

#include <algorithm>

#include "base/descriptors.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "base/text.hpp"
#include "bridge/rewrite.hpp"
#include "sip/digest.hpp"

namespace offhook::bridge {

namespace {

using sip::HeaderId;
using sip::Method;

constexpr std::size_t most_calls = 20'000, most_connections = 20'000;
constexpr std::size_t most_proved = 10'000;
constexpr Duration proof_lasts{3'600'000};
constexpr std::size_t most_visits = 3; // of one request to us

bool has_to_tag(const sip::Message &request) {
    const auto to = request.to();
    return to && !to->tag().empty();
}

std::string allow() {
    return "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, PRACK, REFER, SUBSCRIBE, NOTIFY, MESSAGE, "
           "REGISTER";
}

} // namespace

Proxy::Proxy(Loop &loop, const Settings &settings, MediaPlane &media)
    : settings_(settings), web_(settings, {[this] { return metrics(); }}),
      core_(loop, *this, settings, media, random_u32()), flood_({50, 200, 1'000, 2'000}), sweep_(loop),
      save_(loop) {}

Proxy::~Proxy() {
    save_now();
    calls_.clear();
}

Result<> Proxy::start() {
    core_.transports().set_tls(settings_.tls);
    core_.transports().set_web_server(&web_);
    sip::Transports::Limits limits;
    // The rest is for media and files. A reverse proxy or an office is one address.
    limits.connections = std::min(most_connections, descriptor_limit() / 4 * 3);
    limits.per_address = limits.connections;
    limits.half_open_per_address = limits.connections / 16;
    core_.transports().set_limits(limits);
    for (const auto *list : {&settings_.sip, &settings_.web})
        for (const auto &socket : *list) {
            auto opened = core_.transports().listen(socket.kind, socket.address);
            if (!opened) return fail(opened.error());
            const std::string where = std::string(sip::uri_token(socket.kind)) + ":" + opened->to_string();
            core_.tell("bridge.listening", "listening on " + where, Json::object().add("address", where));
        }
    if (settings_.upstream && settings_.upstream_mode == UpstreamMode::credentials) {
        lines_ = std::make_unique<UpstreamLines>(core_);
        lines_->start();
    } else if (settings_.upstream) {
        upstream_ = std::make_unique<Upstream>(core_, *settings_.upstream, settings_.upstream_mode);
        upstream_->start();
    }
    if (!settings_.peers.empty()) {
        cluster_ = std::make_unique<Cluster>(core_, settings_.peers,
                                             [this](const std::string &device) { found_again(device); });
        core_.cluster = cluster_.get();
    }
    load_state();
    sweep();
    return {};
}

bool Proxy::in_domain(const sip::Uri &uri) const {
    if (!uri.is_sip()) return false;
    if (sip::iequals(uri.host, settings_.domain)) return true;
    return const_cast<Core &>(core_).transports().is_local(uri.host, uri.port);
}

void Proxy::refuse(const sip::ServerTransaction &server, unsigned status, const std::string &why,
                   const std::string &source, std::string_view phrase) {
    ++counters_.refused;
    core_.tell("bridge.refused",
               std::string(server.request().method_token()) + " from " + source + " refused: " + why,
               Json::object().add("source", source).add("code", status).add("reason", why));
    server.respond(sip::Draft::response(server.request(), status, phrase, sip::random_token(8)));
}

void Proxy::on_request(const sip::Message &request, const sip::Flow &flow, sip::ServerTransaction server) {
    if (request.method() == Method::ack) {
        if (const auto call = call_of(request))
            call->in_dialog(request, flow, {});
        else if (cluster_)
            cluster_->take(request, flow, {});
        return;
    }
    const auto local = [this](std::string_view host, unsigned short port) {
        return core_.transports().is_local(host, port);
    };
    if (visits(request, local) > most_visits) return server.respond(482);
    if (request.has(HeaderId::proxy_require)) {
        auto bad = sip::Draft::response(request, 420, {}, sip::random_token(8));
        return server.respond(bad.add("Unsupported", request.value(HeaderId::proxy_require)));
    }
    if (has_to_tag(request)) return in_dialog(request, flow, server);
    if (cluster_ && cluster_->take(request, flow, server)) return;
    if (!admit(request, flow, server)) return;
    if (request.method() == Method::register_) return register_(request, flow, server);
    out_of_dialog(request, flow, server);
}

bool Proxy::admit(const sip::Message &request, const sip::Flow &flow, const sip::ServerTransaction &server) {
    const auto now = core_.loop.now();
    const auto known = proved_.find(flow.remote.with_port(0));
    if (known != proved_.end() && now - known->second < proof_lasts) return true;
    if ((upstream_ && upstream_->trusts(flow)) || (lines_ && lines_->trusts(flow))) return true;
    switch (flood_.admit(flow.remote, now)) {
    case sip::FloodGuard::Verdict::pass:
        return true;
    case sip::FloodGuard::Verdict::refuse:
        ++counters_.refused;
        server.respond(sip::Draft::response(request, 503, {}, sip::random_token(8)).add("Retry-After", "10"));
        return false;
    default:
        ++counters_.refused;
        server.drop();
        return false;
    }
}

void Proxy::proved(const sip::Flow &flow) {
    if (proved_.size() >= most_proved) proved_.clear(); // they prove it again
    proved_[flow.remote.with_port(0)] = core_.loop.now();
}

Proxy::CallPtr Proxy::call_of(const sip::Message &request) const {
    const auto [begin, end] = calls_.equal_range(std::string(request.call_id()));
    for (auto it = begin; it != end; ++it)
        if (it->second->sender(request)) return it->second;
    return {};
}

void Proxy::in_dialog(const sip::Message &request, const sip::Flow &flow,
                      const sip::ServerTransaction &server) {
    if (const auto call = call_of(request)) return call->in_dialog(request, flow, server);
    if (cluster_ && cluster_->take(request, flow, server)) return;
    server.respond(481);
}

void Proxy::on_cancel(const sip::ServerTransaction &invite, const sip::Message &cancel) {
    const auto [begin, end] = calls_.equal_range(std::string(invite.request().call_id()));
    std::vector<CallPtr> calls;
    for (auto it = begin; it != end; ++it)
        calls.push_back(it->second);
    if (cluster_ && cluster_->cancelled(invite, cancel)) return;
    if (std::ranges::none_of(calls, [&](const CallPtr &call) { return call->cancelled(invite, cancel); }))
        invite.respond(487);
}

void Proxy::on_server_failure(const sip::ServerTransaction &server, const Error &error) {
    log_debug("bridge: " + std::string(server.request().call_id()) + ": " + error.what);
}

void Proxy::on_flow_failed(const sip::Flow &flow, const Error &error) {
    if (!sip::is_stream(flow.kind)) return;
    if (const Binding *binding = core_.location.by_flow(flow))
        core_.tell("bridge.disconnected", binding->user + " lost its connection: " + error.what,
                   Json::object().add("user", binding->user).add("address", flow.remote.to_string()));
    core_.location.flow_lost(flow);
    if (lines_) lines_->flow_failed(flow);
    std::vector<CallPtr> calls;
    for (const auto &entry : calls_)
        calls.push_back(entry.second);
    for (const auto &call : calls)
        call->flow_lost(flow);
}

void Proxy::on_over(const CallPtr &call) {
    const auto [begin, end] = calls_.equal_range(call->call_id());
    for (auto it = begin; it != end; ++it)
        if (it->second == call) {
            calls_.erase(it);
            return;
        }
}

void Proxy::hang_up_all(const std::string &reason) {
    std::vector<CallPtr> calls;
    for (const auto &entry : calls_)
        if (entry.second->invite()) calls.push_back(entry.second);
    for (const auto &call : calls)
        call->hang_up(reason);
    if (lines_) lines_->sign_off();
}

bool Proxy::busy() const {
    return !calls_.empty() || (lines_ && lines_->any_registered());
}

// In front of somebody else's registrar, that one authenticates; here only the side matters.
std::optional<Proxy::Origin> Proxy::upstream_origin(const sip::Message &request,
                                                    const sip::Flow &flow) const {
    Origin out;
    out.party.flow = flow;
    const auto from = request.from();
    out.party.name = from ? from->uri.user_decoded() : "";
    if (is_web(flow.kind)) {
        const Binding *binding = core_.location.by_flow(flow);
        if (binding == nullptr) return {}; // not registered: a stranger
        out.party.web = true;
        out.party.device = binding->device;
        return out;
    }
    if (!upstream_->trusts(flow)) return {};
    out.upstream = true;
    out.party.hop = upstream_->party().hop;
    return out;
}

// Calls for a line of ours; what else comes from there is none of ours.
std::optional<Proxy::Origin> Proxy::line_origin(const sip::Message &request, const sip::Flow &flow) const {
    if (!lines_->trusts(flow)) return {};
    Origin out;
    out.upstream = true;
    const auto *line = lines_->target(request);
    if (line != nullptr) out.party = lines_->party(line->user().name);
    out.party.flow = flow;
    const auto from = request.from();
    out.party.name = from ? from->uri.user_decoded() : "";
    return out;
}

std::optional<Proxy::Origin> Proxy::device_origin(const sip::Message &, const sip::Flow &flow) const {
    if (is_web(flow.kind)) return {};
    for (const auto &device : settings_.devices)
        if (device.address.same_ip(flow.remote)) {
            Origin out;
            out.party = {false, flow, {}, device.name, device.uri, {}};
            return out;
        }
    return {};
}

// Who is calling? Answers the request itself (challenge, refusal) when that is not settled.
std::optional<Proxy::Origin> Proxy::origin(const sip::Message &request, const sip::Flow &flow,
                                           const sip::ServerTransaction &server) {
    const std::string source = flow.remote.ip();
    const auto from = request.from();
    if (upstream_) {
        auto known = upstream_origin(request, flow);
        if (!known) refuse(server, 403, "neither registered here nor the upstream", source);
        return known;
    }
    if (lines_ && !is_web(flow.kind)) {
        auto known = line_origin(request, flow);
        if (!known) refuse(server, 403, "not the upstream", source);
        return known;
    }
    if (!from) {
        server.respond(400);
        return {};
    }
    const std::string name = in_domain(from->uri) ? from->uri.user_decoded() : std::string();
    const bool claims_user = core_.gate.user(name) != nullptr;
    if (!claims_user)
        if (auto device = device_origin(request, flow)) return device;
    if (name.empty()) {
        refuse(server, 403, "calls from strangers are not accepted", source);
        return {};
    }
    const auto verdict = core_.gate.judge(request, true, name, source, core_.loop.now());
    switch (verdict.outcome) {
    case Gatekeeper::Outcome::ok: {
        proved(flow);
        Origin out;
        out.user = verdict.user;
        out.party = {is_web(flow.kind), flow, {}, name, {}, {}};
        if (const Binding *binding = core_.location.by_flow(flow);
            binding != nullptr && binding->user == name)
            out.party.device = binding->device;
        if (const auto contacts = request.addresses(HeaderId::contact);
            !out.party.web && contacts && !contacts->empty())
            out.party.hop = contacts->front().uri;
        return out;
    }
    case Gatekeeper::Outcome::locked:
        ++counters_.locked;
        refuse(server, 403, "too many wrong passwords", source);
        return {};
    default:
        ++counters_.challenges;
        if (verdict.now_locked)
            core_.tell("bridge.locked", source + " guessed passwords of " + name + ": locked out",
                       Json::object().add("source", source).add("user", name));
        server.respond(core_.gate.challenge(request, true, name,
                                            verdict.outcome == Gatekeeper::Outcome::stale, core_.loop.now()));
        return {};
    }
}

bool Proxy::may_call(const UserSettings &user, const sip::Uri &uri) const {
    if (user.may_call.empty()) return true;
    const std::string name = uri.user_decoded(), full = "sip:" + name + "@" + settings_.domain;
    return std::ranges::any_of(user.may_call, [&](const std::string &pattern) {
        return glob_match(pattern, name) || glob_match(pattern, full);
    });
}

tl::expected<std::vector<Call::Target>, unsigned>
Proxy::targets(const sip::Message &request, const sip::Uri &uri, const Origin &from) const {
    std::vector<Call::Target> out;
    const auto add = [&](const Binding &binding) {
        const bool own = !from.party.device.empty() && binding.device == from.party.device;
        if (!binding.reachable || own) return;
        Party party{
            is_web(binding.flow.kind), binding.flow, binding.device, binding.user, binding.uri, binding.path};
        if (!binding.path.empty())
            if (auto hop = sip::NameAddr::parse(binding.path.front())) party.hop = hop->uri;
        out.push_back({std::move(party), binding.contact});
    };
    if (upstream_ && from.upstream) {
        if (const Binding *binding = upstream_->target(request)) add(*binding);
        if (out.empty()) return tl::unexpected(upstream_->target(request) != nullptr ? 480U : 404U);
        return out;
    }
    if (upstream_) {
        out.push_back({upstream_->party(), std::string(request.request_uri())});
        return out;
    }
    if (lines_ && from.upstream) {
        if (from.party.line == nullptr) return tl::unexpected(404U);
        for (const auto &binding : core_.location.of(from.party.line->user().name))
            add(binding);
        if (out.empty()) return tl::unexpected(480U);
        return out;
    }
    if (lines_) {
        out.push_back({lines_->party(from.party.name), uri.encode()});
        return out;
    }
    if (!in_domain(uri)) {
        // A transfer to the very device somebody uses names its Contact.
        if (const Binding *binding = core_.location.by_contact(uri);
            binding != nullptr && from.user != nullptr)
            add(*binding);
        for (const auto &device : settings_.devices)
            if (device.uri.equals(uri))
                out.push_back({{false, {}, {}, device.name, device.uri, {}}, device.uri.encode()});
        if (out.empty()) return tl::unexpected(uri.host.ends_with(".invalid") ? 404U : 403U);
        return out;
    }
    const std::string name = uri.user_decoded();
    for (const auto &device : settings_.devices)
        if (device.name == name)
            out.push_back({{false, {}, {}, device.name, device.uri, {}}, device.uri.encode()});
    const auto bindings = core_.location.of(name);
    for (const auto &binding : bindings)
        add(binding);
    if (!out.empty()) return out;
    return tl::unexpected(core_.gate.user(name) != nullptr ? 480U : 404U);
}

void Proxy::out_of_dialog(const sip::Message &request, const sip::Flow &flow,
                          const sip::ServerTransaction &server) {
    const auto uri = request.uri();
    if (!uri || !uri->is_sip()) return server.respond(416);
    const bool options = request.method() == Method::options;
    if (options && in_domain(*uri) && uri->user.empty()) {
        auto ok = sip::Draft::response(request, 200, {}, sip::random_token(8));
        return server.respond(ok.add("Allow", allow()).add("Accept", "application/sdp"));
    }
    if (max_forwards(request) == 0) return server.respond(483);
    switch (request.method()) {
    case Method::invite:
    case Method::message:
    case Method::subscribe:
    case Method::options:
    case Method::refer:
    case Method::info:
    case Method::notify:
        break;
    default: {
        auto no = sip::Draft::response(request, 405, {}, sip::random_token(8));
        return server.respond(no.add("Allow", allow()));
    }
    }
    auto from = origin(request, flow, server);
    if (!from) return;
    if (from->user != nullptr && !may_call(*from->user, *uri))
        return refuse(server, 403, from->party.name + " may not call " + uri->user, flow.remote.ip());
    auto to = targets(request, *uri, *from);
    if (!to) {
        if (to.error() == 403) return refuse(server, 403, "not our domain: " + uri->host, flow.remote.ip());
        return server.respond(to.error());
    }
    if (calls_.size() >= most_calls)
        return server.respond(sip::Draft::response(request, 503).add("Retry-After", "30"));
    if (request.method() == Method::invite) ++counters_.calls;
    if (request.method() == Method::message) ++counters_.messages;
    auto call = std::make_shared<Call>(core_, *this, server, from->party, next_call_++);
    calls_.emplace(call->call_id(), call);
    call->start(std::move(*to));
}

std::string Proxy::metrics() const {
    std::size_t web = 0, phones = 0, answered = 0, ringing = 0;
    core_.location.each([&](const Binding &b) { ++(is_web(b.flow.kind) ? web : phones); });
    for (const auto &entry : calls_)
        if (entry.second->invite()) ++(entry.second->established() ? answered : ringing);
    std::string out;
    const auto put = [&out](const char *name, const char *type, const char *help, std::uint64_t value) {
        out += "# HELP offhook_bridge_" + std::string(name) + " " + help + "\n# TYPE offhook_bridge_" + name +
               " " + type + "\noffhook_bridge_" + name + " " + std::to_string(value) + "\n";
    };
    put("browsers_registered", "gauge", "Bindings over WebSocket", web);
    put("phones_registered", "gauge", "Bindings over UDP, TCP and TLS", phones);
    put("calls_answered", "gauge", "Calls that are up", answered);
    put("calls_ringing", "gauge", "Calls that ring", ringing);
    put("calls_total", "counter", "Calls since the start", counters_.calls);
    put("messages_total", "counter", "MESSAGE requests since the start", counters_.messages);
    put("registers_total", "counter", "REGISTER requests since the start", counters_.registers);
    put("challenges_total", "counter", "Requests that were challenged", counters_.challenges);
    put("refused_total", "counter", "Requests refused by policy", counters_.refused);
    put("locked_total", "counter", "Requests refused after too many wrong passwords", counters_.locked);
    put("origins_refused_total", "counter", "WebSocket handshakes of foreign pages", web_.refused_origins());
    const auto media = core_.media.traffic();
    put("media_strangers_total", "counter", "Datagrams to the browsers' common port that were nobody's",
        media.strangers);
    put("media_tcp_total", "counter", "TCP connections of browsers for media", media.tcp_taken);
    put("media_tcp_refused_total", "counter",
        "TCP connections that were neither TLS, HTTP nor a browser's media", media.tcp_refused);
    return out;
}

Json Proxy::status() const {
    Json::Array users, calls;
    const auto now = core_.loop.now();
    core_.location.each([&](const Binding &binding) {
        users.push_back(
            Json::object()
                .add("user", binding.user)
                .add("contact", binding.contact)
                .add("transport", sip::uri_token(binding.flow.kind))
                .add("address", binding.flow.remote.to_string())
                .add("expires",
                     std::chrono::duration_cast<std::chrono::seconds>(binding.expires - now).count())
                .add("reachable", binding.reachable)
                .add("agent", binding.user_agent));
    });
    for (const auto &entry : calls_)
        if (entry.second->invite()) calls.push_back(entry.second->describe());
    std::size_t connections = 0;
    core_.location.each(
        [&](const Binding &b) { connections += sip::is_stream(b.flow.kind) && b.reachable ? 1 : 0; });
    return Json::object()
        .add("domain", settings_.domain)
        .add("up_s", std::chrono::duration_cast<std::chrono::seconds>(now - started_).count())
        .add("calls_total", counters_.calls)
        .add("refused_total", counters_.refused)
        .add("connections", connections)
        .add("bindings", users)
        .add("calls", calls);
}

} // namespace offhook::bridge
