#include "bridge/proxy.hpp"

#include <algorithm>

#include "base/descriptors.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "bridge/rewrite.hpp"
#include "sip/digest.hpp"

namespace offhook::bridge {

namespace {

using sip::HeaderId;
using sip::Method;

constexpr std::size_t most_calls = 20'000, most_connections = 20'000;
constexpr std::size_t most_of_one = 500; // calls, subscriptions and messages under way of one caller
constexpr std::size_t most_visits = 3;   // of one request to us

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
    : settings_(settings), web_(settings, web_source()),
      logins_(settings.logins, [this](const sip::Flow &flow) { return core_.transports().alive(flow); }),
      core_(loop, *this, settings, media, random_u32()), flood_({50, 200, 1'000, 2'000}), sweep_(loop),
      save_(loop) {}

Web::Source Proxy::web_source() {
    return {[this] { return metrics(); },
            [this](Refusal what, const Address &source, const std::string &why) {
                refused(what, source.ip(), source.ip() + ": " + why, why);
            },
            [this](const sip::HttpHead &request, const sip::Flow &flow) {
                logins_.opened(flow, request.value("Cookie"), unix_time());
            }};
}

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

void Proxy::on_request(const sip::Message &request, const sip::Flow &flow, sip::ServerTransaction server) {
    if (is_web(flow.kind) && !admit_visitor(request, flow, server)) return;
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
    if (admit(request, flow, server)) server.respond(481); // strangers can make up dialogs, too
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
    visitors_.gone(flow);
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
            if (const auto own = calls_of_.find(call->caller()); own != calls_of_.end() && --own->second == 0)
                calls_of_.erase(own);
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
        if (request.method() == Method::invite) tell_unreached(request, from->party, to.error());
        return server.respond(to.error());
    }
    if (calls_.size() >= most_calls)
        return server.respond(sip::Draft::response(request, 503).add("Retry-After", "30"));
    auto &own = calls_of_[from->party.name];
    if (!from->upstream && own >= most_of_one) {
        ++counters_.refused;
        return server.respond(sip::Draft::response(request, 503).add("Retry-After", "30"));
    }
    ++own;
    if (request.method() == Method::invite) ++counters_.calls;
    if (request.method() == Method::message) ++counters_.messages;
    auto call = std::make_shared<Call>(core_, *this, server, from->party, next_call_++);
    calls_.emplace(call->call_id(), call);
    call->start(std::move(*to));
}

} // namespace offhook::bridge
