// What the bridge tells of itself: metrics and status.
#include "bridge/proxy.hpp"

namespace offhook::bridge {

// Nobody rings. Its name is one of a call, as for those that ring.
void Proxy::tell_unreached(const sip::Message &invite, const Party &from, unsigned status) {
    ++counters_.calls;
    ++counters_.unreached;
    const std::string name = "b" + std::to_string(next_call_++);
    const char *why = status == 404 ? "nobody of that name" : "not registered";
    core_.tell("bridge.unreached",
               name + ": " + from.name + " calls " + std::string(invite.request_uri()) + ": " + why,
               Json::object()
                   .add("call", name)
                   .add("from", from.name)
                   .add("to", invite.request_uri())
                   .add("code", status)
                   .add("reason", why));
}

std::string Proxy::metrics() const {
    std::size_t web = 0, phones = 0, answered = 0, ringing = 0;
    core_.location.each([&](const Binding &b) { ++(is_web(b.flow.kind) ? web : phones); });
    for (const auto &entry : calls_)
        if (entry.second->invite() && !entry.second->is_over())
            ++(entry.second->established() ? answered : ringing);
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
    put("calls_unreached_total", "counter", "Calls to names that nobody has or is registered with",
        counters_.unreached);
    put("messages_total", "counter", "MESSAGE requests since the start", counters_.messages);
    put("registers_total", "counter", "REGISTER requests since the start", counters_.registers);
    put("challenges_total", "counter", "Requests that were challenged", counters_.challenges);
    put("refused_total", "counter", "Requests refused by policy", counters_.refused);
    put("locked_total", "counter", "Requests refused after too many wrong passwords", counters_.locked);
    put("origins_refused_total", "counter", "WebSocket handshakes of foreign pages",
        refusals_.count(Refusal::origin));
    const auto media = core_.media.traffic();
    put("media_strangers_total", "counter", "Datagrams to the browsers' common port that were nobody's",
        media.strangers);
    put("media_tcp_total", "counter", "TCP connections of browsers for media", media.tcp_taken);
    put("media_tcp_refused_total", "counter",
        "TCP connections that were neither TLS, HTTP nor a browser's media", media.tcp_refused);
    out += "# HELP offhook_bridge_refusals_total What was refused, by reason\n"
           "# TYPE offhook_bridge_refusals_total counter\n";
    for (const auto &[name, count] : refusals_by_name(media))
        out += "offhook_bridge_refusals_total{reason=\"" + std::string(name) + "\"} " +
               std::to_string(count) + "\n";
    return out;
}

// Those of the media are newer than what refusals_ was told last.
std::vector<std::pair<std::string_view, std::uint64_t>>
Proxy::refusals_by_name(const MediaPlane::Traffic &media) const {
    std::vector<std::pair<std::string_view, std::uint64_t>> out;
    for (std::size_t i = 0; i < refusal_kinds; ++i) {
        const auto what = static_cast<Refusal>(i);
        out.emplace_back(name_of(what), what == Refusal::media_udp   ? media.strangers
                                        : what == Refusal::media_tcp ? media.tcp_refused
                                                                     : refusals_.count(what));
    }
    return out;
}

Json Proxy::status() const {
    Json::Array users, calls, lines;
    if (lines_)
        for (const auto &line : lines_->all())
            lines.push_back(line->describe());
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
        if (entry.second->invite() && !entry.second->is_over()) calls.push_back(entry.second->describe());
    std::size_t connections = 0;
    core_.location.each(
        [&](const Binding &b) { connections += sip::is_stream(b.flow.kind) && b.reachable ? 1 : 0; });
    auto refusals = Json::object();
    for (const auto &[name, count] : refusals_by_name(core_.media.traffic()))
        refusals.add(std::string(name), count);
    auto out = Json::object();
    out.add("domain", settings_.domain)
        .add("up_s", std::chrono::duration_cast<std::chrono::seconds>(now - started_).count())
        .add("calls_total", counters_.calls)
        .add("refused_total", counters_.refused)
        .add("refusals", refusals)
        .add("connections", connections)
        .add("bindings", users)
        .add("calls", calls);
    if (lines_) out.add("lines", lines);
    return out;
}

} // namespace offhook::bridge
