#include "sip/resolve_plan.hpp"

#include <algorithm>
#include <tuple>

#include "sip/headers.hpp"

namespace offhook::sip {

namespace {

std::optional<TransportKind> service_transport(std::string_view service) {
    if (iequals(service, "SIP+D2U")) return TransportKind::udp;
    if (iequals(service, "SIP+D2T")) return TransportKind::tcp;
    if (iequals(service, "SIPS+D2T")) return TransportKind::tls;
    if (iequals(service, "SIPS+D2U")) return TransportKind::dtls; // draft-jennings-sip-dtls
    if (iequals(service, "SIP+D2S")) return TransportKind::sctp;  // RFC 4168 §8
    return std::nullopt;
}

std::string srv_name(TransportKind kind, const std::string &host) {
    switch (kind) {
    case TransportKind::udp:
        return "_sip._udp." + host;
    case TransportKind::tcp:
        return "_sip._tcp." + host;
    case TransportKind::tls:
        return "_sips._tcp." + host;
    case TransportKind::dtls:
        return "_sips._udp." + host;
    case TransportKind::sctp:
        return "_sip._sctp." + host;
    default:
        return ""; // WebSocket servers are found by their URI (RFC 7118 §8)
    }
}

Result<std::optional<TransportKind>> wanted_transport(const Uri &uri,
                                                      std::optional<TransportKind> preferred) {
    std::optional<TransportKind> kind = preferred;
    if (const Param *param = uri.params.find("transport")) {
        kind = parse_transport(param->value);
        if (!kind) return fail(Errc::invalid_argument, "unknown transport \"" + param->value + "\"");
        // RFC 7118 §5.5 knows only transport=ws, over TLS too; who asked for TLS gets it.
        if (kind == TransportKind::ws && preferred == TransportKind::wss) kind = preferred;
    }
    if (!uri.is_sips() || !kind) return uri.is_sips() ? TransportKind::tls : kind;
    switch (*kind) {
    case TransportKind::udp:
        if (uri.params.has("transport"))
            return fail(Errc::invalid_argument, "a sips: URI cannot be reached over UDP");
        return TransportKind::tls;
    case TransportKind::ws:
    case TransportKind::wss:
        return TransportKind::wss;
    case TransportKind::dtls:
        return TransportKind::dtls;
    case TransportKind::sctp:
        return fail(Errc::invalid_argument, "a sips: URI cannot be reached over SCTP without TLS");
    default:
        return TransportKind::tls; // transport=tcp on sips is TLS (RFC 3261 §26.2.2)
    }
}

// "localhost", "pbx", "pbx.local": no DNS zone could publish services for them.
bool is_local_name(std::string_view host) {
    return host.find('.') == std::string_view::npos || host.ends_with(".local") ||
           host.ends_with(".localhost");
}

} // namespace

Result<ResolvePlan> plan_resolution(const Uri &uri, std::optional<TransportKind> preferred) {
    if (!uri.is_sip())
        return fail(Errc::invalid_argument, "cannot send to a " + uri.scheme + ": URI without a proxy");
    if (uri.host.ends_with(".invalid")) // never a name of DNS (RFC 6761 §6.4, RFC 7118 §5)
        return fail(Errc::network, "no way to " + uri.host + ": its WebSocket connection is gone");
    const auto wanted = wanted_transport(uri, preferred);
    if (!wanted) return fail(wanted.error());
    ResolvePlan plan;
    plan.host = uri.host;
    if (const auto maddr = uri.params.get("maddr"); !maddr.empty()) plan.host = maddr;
    plan.port = uri.port;
    plan.secure_only = uri.is_sips();
    plan.kind = wanted->value_or(TransportKind::udp);
    if (plan.port != 0 || Address::parse(plan.host) || is_local_name(plan.host)) return plan;
    const bool open = !uri.params.has("transport") && !preferred;
    plan.ask_naptr = open;
    if (open && !plan.secure_only) {
        for (const TransportKind kind : {TransportKind::udp, TransportKind::tcp, TransportKind::tls})
            plan.srv.push_back({kind, srv_name(kind, plan.host)});
    } else if (const std::string name = srv_name(plan.kind, plan.host); !name.empty()) {
        plan.srv.push_back({plan.kind, name});
    }
    return plan;
}

std::vector<SrvLookup> select_naptr(std::vector<NaptrRecord> records, bool secure_only) {
    std::ranges::stable_sort(records, {},
                             [](const NaptrRecord &r) { return std::tuple(r.order, r.preference); });
    std::vector<SrvLookup> lookups;
    for (const NaptrRecord &record : records) {
        const auto kind = service_transport(record.service);
        if (!kind || !iequals(record.flags, "s") || record.replacement.empty()) continue;
        if (secure_only && !is_secure(*kind)) continue;
        lookups.push_back({*kind, record.replacement});
    }
    return lookups;
}

std::vector<SrvRecord> order_srv(std::vector<SrvRecord> records,
                                 const std::function<std::uint32_t(std::uint32_t)> &random) {
    std::erase_if(records,
                  [](const SrvRecord &r) { return r.target.empty() || r.target == "." || r.port == 0; });
    // Weight 0 first, so that it still has a small chance (RFC 2782, "Usage rules").
    std::ranges::stable_sort(records, {},
                             [](const SrvRecord &r) { return std::tuple(r.priority, r.weight != 0); });
    std::vector<SrvRecord> ordered;
    while (!records.empty()) {
        const auto same = std::ranges::find_if(
            records, [&](const SrvRecord &r) { return r.priority != records.front().priority; });
        std::uint32_t total = 0;
        for (auto it = records.begin(); it != same; ++it)
            total += it->weight;
        const std::uint32_t pick = random(total);
        std::uint32_t running = 0;
        auto chosen = records.begin();
        for (auto it = records.begin(); it != same; ++it) {
            running += it->weight;
            chosen = it;
            if (running >= pick) break;
        }
        ordered.push_back(std::move(*chosen));
        records.erase(chosen);
    }
    return ordered;
}

} // namespace offhook::sip
