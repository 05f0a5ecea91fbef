#include "bridge/location.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <utility>

#include "sip/digest.hpp"

namespace offhook::bridge {

namespace {

using Change = Location::Change;

bool same_flow(const sip::Flow &a, const sip::Flow &b) {
    return a.kind == b.kind && a.connection == b.connection && a.remote == b.remote;
}

std::string without_brackets(std::string_view text) {
    if (text.size() >= 2 && text.front() == '<' && text.back() == '>') text = text.substr(1, text.size() - 2);
    return std::string(text);
}

sip::Draft refuse(const sip::Message &request, unsigned status, std::string_view reason = {}) {
    return sip::Draft::response(request, status, reason, sip::random_token(8));
}

double q_of(const sip::NameAddr &contact) {
    const std::string text(contact.params.get("q"));
    if (text.empty()) return 1;
    return std::clamp(std::strtod(text.c_str(), nullptr), 0.0, 1.0);
}

// SIP.js names no instance: its Contact user stays the same as long as the page lives.
std::string device_of(const Binding &binding) {
    if (!binding.instance.empty()) return binding.instance;
    const bool web = is_web(binding.flow.kind);
    return binding.user + " " + (web ? binding.uri.user : binding.uri.encode());
}

std::string contact_text(const Binding &binding, TimePoint now) {
    const auto left = std::chrono::duration_cast<std::chrono::seconds>(binding.expires - now).count();
    std::string text = "<" + binding.contact + ">";
    if (!binding.instance.empty()) text += ";+sip.instance=\"<" + binding.instance + ">\"";
    if (binding.reg_id != 0) text += ";reg-id=" + std::to_string(binding.reg_id);
    if (binding.q < 1) text += ";q=" + std::to_string(binding.q).substr(0, 5);
    return text + ";expires=" + std::to_string(std::max<long long>(left, 0));
}

Binding binding_of(const sip::Message &request, const sip::NameAddr &contact) {
    Binding binding;
    binding.uri = contact.uri;
    binding.instance = without_brackets(contact.params.get("+sip.instance"));
    const auto reg_id = sip::parse_number(contact.params.get("reg-id"));
    binding.reg_id = reg_id && !binding.instance.empty() ? static_cast<unsigned>(*reg_id) : 0;
    binding.q = q_of(contact);
    binding.call_id = request.call_id();
    binding.cseq = request.cseq().value_or(sip::CSeq{}).number;
    binding.user_agent = request.value(sip::HeaderId::user_agent);
    for (const auto hop : request.list(sip::HeaderId::path))
        binding.path.emplace_back(hop);
    return binding;
}

} // namespace

bool is_web(sip::TransportKind kind) noexcept {
    return kind == sip::TransportKind::ws || kind == sip::TransportKind::wss;
}

std::string_view raw_uri(std::string_view element) noexcept {
    bool quoted = false;
    for (std::size_t i = 0; i < element.size(); ++i) {
        if (element[i] == '\\' && quoted)
            ++i;
        else if (element[i] == '"')
            quoted = !quoted;
        else if (element[i] == '<' && !quoted)
            return element.substr(i + 1, element.find('>', i) - i - 1);
    }
    return sip::trim(element.substr(0, element.find(';')));
}

Binding *Location::find(Bindings &bindings, const Binding &like) {
    for (auto &known : bindings) {
        const bool same = !like.instance.empty() && like.reg_id != 0
                              ? known.instance == like.instance && known.reg_id == like.reg_id
                              : known.uri.equals(like.uri);
        if (same) return &known;
    }
    return nullptr;
}

tl::expected<std::vector<Location::Wanted>, sip::Draft>
Location::read_contacts(const sip::Message &request, const sip::Flow &flow, const UserSettings &user,
                        std::optional<std::chrono::seconds> proof) const {
    const auto general = sip::parse_delta_seconds(request.value(sip::HeaderId::expires));
    std::vector<Wanted> out;
    for (const std::string_view element : request.list(sip::HeaderId::contact)) {
        auto contact = sip::NameAddr::parse(element);
        if (!contact || contact->star || !contact->uri.is_sip())
            return tl::unexpected(refuse(request, 400, "Contact is no SIP address"));
        Wanted want;
        want.expires_s = static_cast<std::uint32_t>(
            std::chrono::duration_cast<std::chrono::seconds>(settings_.most_expires).count());
        if (general) want.expires_s = std::min(want.expires_s, *general);
        if (contact->params.has("expires")) {
            const auto own = sip::parse_delta_seconds(contact->params.get("expires"));
            if (!own) return tl::unexpected(refuse(request, 400, "expires is no number"));
            want.expires_s = *own;
        }
        const auto longest = std::chrono::duration_cast<std::chrono::seconds>(settings_.most_expires).count();
        const auto least = std::chrono::duration_cast<std::chrono::seconds>(settings_.least_expires).count();
        want.expires_s = std::min(want.expires_s, static_cast<std::uint32_t>(longest));
        if (want.expires_s != 0 && want.expires_s < least) {
            auto brief = refuse(request, 423);
            brief.add("Min-Expires", std::to_string(least));
            return tl::unexpected(brief);
        }
        if (proof)
            want.expires_s =
                static_cast<std::uint32_t>(std::min<std::int64_t>(want.expires_s, proof->count()));
        want.binding = binding_of(request, *contact);
        want.binding.contact = raw_uri(element);
        want.binding.user = user.name;
        want.binding.flow = flow;
        want.binding.device = device_of(want.binding);
        out.push_back(std::move(want));
    }
    return out;
}

// What Contact: * asks for (§10.2.2): an end for each binding.
tl::expected<std::vector<Location::Wanted>, sip::Draft> Location::without_any(const sip::Message &request,
                                                                              const Bindings &bindings) {
    if (sip::parse_delta_seconds(request.value(sip::HeaderId::expires)) != 0U)
        return tl::unexpected(refuse(request, 400, "Contact: * needs Expires: 0"));
    std::vector<Wanted> out;
    for (const auto &binding : bindings)
        out.push_back({binding, 0});
    return out;
}

std::vector<Change> Location::apply(Bindings &bindings, std::vector<Wanted> wanted, TimePoint now) const {
    std::vector<Change> changes;
    for (auto &want : wanted) {
        Binding *known = find(bindings, want.binding);
        want.binding.expires = now + std::chrono::seconds(want.expires_s);
        if (want.expires_s == 0) {
            if (known == nullptr) continue;
            changes.push_back({Change::Kind::removed, *known});
            bindings.erase(bindings.begin() + (known - bindings.data()));
        } else if (known != nullptr) {
            *known = want.binding;
            changes.push_back({Change::Kind::refreshed, *known});
        } else {
            bindings.push_back(want.binding);
            changes.push_back({Change::Kind::added, want.binding});
        }
    }
    return changes;
}

sip::Draft Location::listing(const sip::Message &request, const Bindings &bindings, TimePoint now) const {
    auto ok = sip::Draft::response(request, 200, {}, sip::random_token(8));
    for (const auto &binding : bindings)
        ok.add("Contact", contact_text(binding, now));
    for (const auto hop : request.list(sip::HeaderId::path))
        ok.add("Path", hop);
    // RFC 5626 §6: tells the client that its flow will be used.
    const bool flows = std::ranges::any_of(
        bindings, [&](const Binding &b) { return b.reg_id != 0 && b.call_id == request.call_id(); });
    if (flows && request.lists_token(sip::HeaderId::supported, "outbound")) ok.add("Require", "outbound");
    ok.add("Supported", "path, outbound");
    return ok;
}

Location::Answer Location::process(const sip::Message &request, const sip::Flow &flow,
                                   const UserSettings &user, TimePoint now,
                                   std::optional<std::chrono::seconds> proof) {
    const auto cseq = request.cseq();
    if (!cseq) return {refuse(request, 400, "CSeq is malformed"), {}};
    const auto elements = request.list(sip::HeaderId::contact);
    const bool all = elements.size() == 1 && elements[0] == "*";
    Bindings bindings = users_[user.name]; // a copy: all or nothing
    auto wanted = all ? without_any(request, bindings) : read_contacts(request, flow, user, proof);
    if (!wanted) return {wanted.error(), {}};
    // §10.3 step 7: an older request of the same client changes nothing.
    const auto outdated = [&](const Wanted &want) {
        const Binding *known = find(bindings, want.binding);
        return known != nullptr && known->call_id == request.call_id() && known->cseq >= cseq->number;
    };
    if (std::ranges::any_of(*wanted, outdated)) return {refuse(request, 500, "CSeq is out of order"), {}};
    auto changes = apply(bindings, std::move(*wanted), now);
    if (bindings.size() > user.devices) {
        // A page that was reloaded without saying goodbye must not lock its user out.
        std::erase_if(bindings, [&](const Binding &b) { return !b.reachable; });
        if (bindings.size() > user.devices) return {refuse(request, 403, "Too many devices"), {}};
    }
    for (const auto &binding : bindings)
        if (binding.flow.connection != 0) connections_[binding.flow.connection] = user.name;
    users_[user.name] = bindings;
    return {listing(request, bindings, now), std::move(changes)};
}

std::vector<Binding> Location::of(const std::string &user) const {
    const auto found = users_.find(user);
    if (found == users_.end()) return {};
    Bindings out = found->second;
    std::ranges::stable_sort(out, std::greater<>(), &Binding::q);
    return out;
}

void Location::each(const std::function<void(const Binding &)> &visit) const {
    for (const auto &entry : users_)
        for (const auto &binding : entry.second)
            visit(binding);
}

std::size_t Location::size() const {
    std::size_t count = 0;
    for (const auto &entry : users_)
        count += entry.second.size();
    return count;
}

const Binding *Location::by_contact(const sip::Uri &uri) const {
    for (const auto &entry : users_)
        for (const auto &binding : entry.second)
            if (binding.uri.user == uri.user && sip::iequals(binding.uri.host, uri.host) &&
                binding.uri.port == uri.port)
                return &binding;
    return nullptr;
}

const Binding *Location::by_device(const std::string &device) const {
    const Binding *newest = nullptr;
    each([&](const Binding &binding) {
        if (binding.device != device || !binding.reachable) return;
        if (newest == nullptr || binding.expires > newest->expires) newest = &binding;
    });
    return newest;
}

std::vector<Change> Location::expire(TimePoint now) {
    std::vector<Change> changes;
    for (auto &entry : users_)
        std::erase_if(entry.second, [&](const Binding &binding) {
            if (binding.expires > now) return false;
            changes.push_back({Change::Kind::expired, binding});
            return true;
        });
    return changes;
}

void Location::flow_lost(const sip::Flow &flow) {
    const auto owner = connections_.find(flow.connection);
    if (owner == connections_.end()) return;
    for (auto &binding : users_[owner->second])
        if (same_flow(binding.flow, flow)) binding.reachable = false;
    connections_.erase(owner);
}

const Binding *Location::by_flow(const sip::Flow &flow) const {
    const auto owner = connections_.find(flow.connection);
    if (flow.connection == 0 || owner == connections_.end()) return nullptr;
    const auto user = users_.find(owner->second);
    if (user == users_.end()) return nullptr;
    const auto found =
        std::ranges::find_if(user->second, [&](const Binding &b) { return same_flow(b.flow, flow); });
    return found == user->second.end() ? nullptr : &*found;
}

void Location::restore(Binding binding) {
    users_[binding.user].push_back(std::move(binding));
}

} // namespace offhook::bridge
