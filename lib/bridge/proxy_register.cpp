// REGISTER, expiry of bindings, and the file they are kept in.
#include <algorithm>
#include <fstream>
#include <sstream>
#include <utility>

#include "base/log.hpp"
#include "bridge/proxy.hpp"
#include "bridge/replace_file.hpp"
#include "sip/digest.hpp"

namespace offhook::bridge {

namespace {

using Kind = Location::Change::Kind;
constexpr Duration sweep_every{1'000}, save_after{500}, save_refreshed_after{30'000};

std::string_view event_name(Kind kind) {
    return kind == Kind::added || kind == Kind::refreshed ? "bridge.registered" : "bridge.unregistered";
}

std::string text_of(const Location::Change &change) {
    const std::string who = change.binding.user + " at " +
                            std::string(sip::uri_token(change.binding.flow.kind)) + ":" +
                            change.binding.flow.remote.to_string();
    switch (change.kind) {
    case Kind::added:
        return who + " registered";
    case Kind::refreshed:
        return who + " registered again";
    case Kind::removed:
        return who + " unregistered";
    default:
        return who + " expired";
    }
}

std::string member(const Json &object, std::string_view key) {
    const Json *value = object.find(key);
    const std::string *text = value != nullptr ? value->as_string() : nullptr;
    return text != nullptr ? *text : std::string();
}

std::int64_t number(const Json &object, std::string_view key) {
    const Json *value = object.find(key);
    const std::int64_t *whole = value != nullptr ? value->as_int() : nullptr;
    return whole != nullptr ? *whole : 0;
}

} // namespace

void Proxy::register_(const sip::Message &request, const sip::Flow &flow,
                      const sip::ServerTransaction &server) {
    ++counters_.registers;
    const auto to = request.to();
    const auto uri = request.uri();
    if (!to || !uri) return server.respond(400);
    if (upstream_ && is_web(flow.kind))
        return upstream_->register_(
            request, flow, server,
            [this](const std::vector<Location::Change> &changes) { registered(changes); });
    if (upstream_ || (lines_ && !is_web(flow.kind)))
        return refuse(server, 403, "phones register at the upstream", flow.remote.ip());
    if (!in_domain(*uri) || !in_domain(to->uri))
        return refuse(server, 403, "not our domain: " + (in_domain(*uri) ? to->uri.host : uri->host),
                      flow.remote.ip());
    const auto verdict = authenticate(request, flow, server, to->uri.user_decoded());
    if (!verdict) return;
    std::optional<std::chrono::seconds> proof;
    if (verdict->until) proof = std::chrono::seconds(*verdict->until - unix_time());
    auto answer = core_.location.process(request, flow, *verdict->user, core_.loop.now(), proof);
    if (answer.response.status == 200 && is_web(flow.kind) && !settings_.door_code.empty())
        answer.response.add("Door-Code",
                            settings_.door_code); // for the web phone's button; nobody else is told
    server.respond(answer.response);
    registered(answer.changes);
}

void Proxy::registered(const std::vector<Location::Change> &changes) {
    for (const auto &change : changes) {
        if (change.kind != Kind::refreshed)
            core_.tell(std::string(event_name(change.kind)), text_of(change),
                       Json::object()
                           .add("user", change.binding.user)
                           .add("contact", change.binding.contact)
                           .add("transport", sip::uri_token(change.binding.flow.kind))
                           .add("address", change.binding.flow.remote.to_string())
                           .add("agent", change.binding.user_agent));
        if (change.kind == Kind::added || change.kind == Kind::refreshed) {
            if (is_web(change.binding.flow.kind)) visitors_.known(change.binding.flow);
            device_back(change.binding.device);
        }
        if (lines_) lines_->here(change.binding.user, !core_.location.of(change.binding.user).empty());
    }
    save_later(changes);
}

// Connections are not kept. A refresh can wait: what it lengthens is there already, and memory cards wear
// out.
void Proxy::save_later(const std::vector<Location::Change> &changes) {
    const auto kept = [](const Location::Change &change) {
        return !sip::is_stream(change.binding.flow.kind);
    };
    if (settings_.state_file.empty() || std::ranges::none_of(changes, kept)) return;
    const bool soon = std::ranges::any_of(changes, [&](const Location::Change &change) {
        return kept(change) && change.kind != Kind::refreshed;
    });
    if (save_.running() && (save_soon_ || !soon)) return;
    save_soon_ = soon;
    save_.start(soon ? save_after : save_refreshed_after, [this] { save_state(); });
}

void Proxy::device_back(const std::string &device) {
    if (cluster_) cluster_->device_back(device);
    found_again(device);
}

void Proxy::found_again(const std::string &device) {
    core_.device_back.tell(device);
    for (const auto &entry : calls_)
        entry.second->device_back(device);
}

void Proxy::sweep() {
    registered(core_.location.expire(core_.loop.now()));
    count_media_strangers();
    for (const auto &flow : visitors_.overdue(core_.loop.now()))
        send_away(flow, "no registration and no call in half a minute");
    sweep_.start(sweep_every, [this] { sweep(); });
}

std::string encode_state(const Location &location, TimePoint now, std::int64_t unix_now) {
    Json::Array bindings;
    location.each([&](const Binding &b) {
        if (sip::is_stream(b.flow.kind)) return; // its connection ends with us; the phone registers again
        const auto left = std::chrono::duration_cast<std::chrono::seconds>(b.expires - now).count();
        Json::Array path(b.path.begin(), b.path.end());
        bindings.push_back(Json::object()
                               .add("user", b.user)
                               .add("contact", b.contact)
                               .add("instance", b.instance)
                               .add("reg_id", b.reg_id)
                               .add("device", b.device)
                               .add("call_id", b.call_id)
                               .add("cseq", b.cseq)
                               .add("agent", b.user_agent)
                               .add("q", b.q)
                               .add("path", path)
                               .add("local", b.flow.local.ip())
                               .add("local_port", b.flow.local.port())
                               .add("remote", b.flow.remote.ip())
                               .add("remote_port", b.flow.remote.port())
                               .add("expires", unix_now + left));
    });
    return Json::object().add("version", 1).add("bindings", bindings).dump() + "\n";
}

Result<std::vector<Binding>> decode_state(std::string_view text, TimePoint now, std::int64_t unix_now) {
    const auto json = Json::parse(text);
    if (!json) return fail(Errc::config, json.error().what);
    const Json *list = json->find("bindings");
    const auto *items = list != nullptr ? list->as_array() : nullptr;
    if (items == nullptr) return fail(Errc::config, "no list of bindings");
    std::vector<Binding> out;
    for (const auto &item : *items) {
        Binding b;
        const auto left = number(item, "expires") - unix_now;
        auto uri = sip::Uri::parse(member(item, "contact"));
        const auto local =
            Address::parse(member(item, "local"), static_cast<std::uint16_t>(number(item, "local_port")));
        const auto remote =
            Address::parse(member(item, "remote"), static_cast<std::uint16_t>(number(item, "remote_port")));
        if (!uri || !local || !remote || left <= 0) continue;
        b.user = member(item, "user");
        b.contact = member(item, "contact");
        b.uri = *uri;
        b.instance = member(item, "instance");
        b.reg_id = static_cast<unsigned>(number(item, "reg_id"));
        b.device = member(item, "device");
        b.call_id = member(item, "call_id");
        b.cseq = static_cast<std::uint32_t>(number(item, "cseq"));
        b.user_agent = member(item, "agent");
        if (const Json *path = item.find("path"); path != nullptr && path->as_array() != nullptr)
            for (const auto &hop : *path->as_array())
                if (const auto *route = hop.as_string()) b.path.push_back(*route);
        b.flow = {sip::TransportKind::udp, *local, *remote, 0};
        b.expires = now + std::chrono::seconds(left);
        out.push_back(std::move(b));
    }
    return out;
}

void Proxy::load_state() {
    if (settings_.state_file.empty()) return;
    std::ifstream in(settings_.state_file);
    if (!in) return save_state(); // the first start: tells at once when the file cannot be there
    std::stringstream text;
    text << in.rdbuf();
    auto bindings = decode_state(text.str(), core_.loop.now(), unix_time());
    if (!bindings)
        return log_warning(settings_.state_file + ": " + bindings.error().what +
                           "; phones have to register again");
    for (auto &binding : *bindings)
        if (core_.gate.user(binding.user) != nullptr) core_.location.restore(std::move(binding));
}

// Once, until it works again.
void Proxy::save_state() {
    const auto text = encode_state(core_.location, core_.loop.now(), unix_time());
    const auto written = replace_file(settings_.state_file, text);
    if (!written && !std::exchange(state_lost_, true))
        log_warning(written.error().what + ": registrations will not survive a restart");
    if (written) state_lost_ = false;
}

void Proxy::save_now() {
    if (!save_.running()) return;
    save_.cancel();
    save_state();
}

} // namespace offhook::bridge
