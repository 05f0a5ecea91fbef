// Who sent a request, and whom it is for.
#include <algorithm>

#include "base/text.hpp"
#include "bridge/proxy.hpp"

namespace offhook::bridge {

using sip::HeaderId;

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
    const auto verdict = authenticate(request, flow, server, name);
    if (!verdict) return {};
    Origin out;
    out.user = verdict->user;
    out.party = {is_web(flow.kind), flow, {}, name, {}, {}};
    if (const Binding *binding = core_.location.by_flow(flow); binding != nullptr && binding->user == name)
        out.party.device = binding->device;
    if (const auto contacts = request.addresses(HeaderId::contact);
        !out.party.web && contacts && !contacts->empty())
        out.party.hop = contacts->front().uri;
    return out;
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
        const auto binding = upstream_->target(request);
        if (!binding) return tl::unexpected(binding.error());
        add(**binding);
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

} // namespace offhook::bridge
