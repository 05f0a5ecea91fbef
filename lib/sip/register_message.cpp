#include "sip/register_message.hpp"

#include <algorithm>

namespace offhook::sip {

namespace {

bool same_binding(const Uri &a, const Uri &b) {
    return a.scheme == b.scheme && a.user == b.user && iequals(a.host, b.host) && a.port == b.port;
}

std::optional<std::uint32_t> expires_of(const NameAddr &contact) {
    const auto *param = contact.params.find("expires");
    if (param == nullptr) return {};
    const auto seconds = parse_delta_seconds(param->value);
    return seconds ? std::optional(*seconds) : std::nullopt;
}

std::optional<NameAddr> own_contact(const Message &response, const Uri &own) {
    const auto contacts = response.addresses(HeaderId::contact);
    if (!contacts) return {};
    auto ours = std::find_if(contacts->begin(), contacts->end(),
                             [&](const NameAddr &contact) { return same_binding(contact.uri, own); });
    // A registrar or gateway on the way that rewrites addresses leaves one binding that can only be ours.
    if (ours == contacts->end() && contacts->size() == 1) ours = contacts->begin();
    return ours == contacts->end() ? std::nullopt : std::optional(*ours);
}

std::string registrar_uri(const Registration::Options &options) {
    Uri uri = options.registrar;
    if (uri.host.empty()) {
        uri.scheme = options.aor.scheme;
        uri.host = options.aor.host;
        uri.port = options.aor.port;
    }
    uri.user.clear();
    uri.password.clear();
    uri.headers.clear();
    return uri.encode();
}

std::string address_of_record(const Registration::Options &options) {
    Uri aor = options.aor;
    aor.params.items.clear();
    aor.headers.clear();
    return "<" + aor.encode() + ">";
}

} // namespace

Draft make_register(const Registration::Options &options, const RegisterIdentity &identity) {
    Draft draft = Draft::request("REGISTER", registrar_uri(options));
    for (Uri hop : options.route) {
        hop.params.set_flag("lr");
        draft.add("Route", "<" + hop.encode() + ">");
    }
    const std::string aor = address_of_record(options);
    draft.add("From", aor + ";tag=" + identity.from_tag).add("To", aor);
    draft.add("Call-ID", identity.call_id).add("CSeq", std::to_string(identity.cseq) + " REGISTER");
    draft.add("Supported", options.instance_id.empty() ? "path" : "path, outbound, gruu");
    for (const auto &[header, value] : options.headers)
        draft.add(header, value);
    return draft;
}

Uri register_next_hop(const Registration::Options &options) {
    if (options.next_hop) return *options.next_hop;
    if (!options.route.empty()) return options.route.front();
    return options.registrar.host.empty() ? options.aor : options.registrar;
}

std::string contact_uri(const Registration::Options &options, TransportKind kind, std::string_view sent_by) {
    std::string uri = options.aor.is_sips() ? "sips:" : "sip:";
    if (!options.contact_user.empty()) uri += options.contact_user + "@";
    uri += sent_by;
    if (kind != TransportKind::udp) uri += ";transport=" + std::string(contact_token(kind));
    if (!options.instance_id.empty()) uri += ";ob";
    return uri;
}

std::string contact_value(const Registration::Options &options, const std::string &uri) {
    std::string value = "<" + uri + ">";
    if (!options.instance_id.empty())
        value += ";+sip.instance=\"<" + options.instance_id + ">\";reg-id=" + std::to_string(options.reg_id);
    return value;
}

std::uint32_t granted_expires(const Message &response, const Uri &own, std::uint32_t asked) {
    const auto header = parse_delta_seconds(response.value(HeaderId::expires));
    const std::uint32_t fallback = header ? *header : asked;
    const auto ours = own_contact(response, own);
    return ours ? expires_of(*ours).value_or(fallback) : fallback;
}

std::string public_gruu(const Message &response, const Uri &own) {
    const auto ours = own_contact(response, own);
    if (!ours) return {};
    const auto gruu = Uri::parse(ours->params.get("pub-gruu"));
    return gruu && gruu->is_sip() && gruu->headers.empty() ? gruu->encode() : std::string();
}

bool requires_outbound(const Message &response) {
    const auto tags = response.list(HeaderId::require);
    return std::any_of(tags.begin(), tags.end(),
                       [](std::string_view tag) { return iequals(tag, "outbound"); });
}

std::optional<Address> seen_address(const Message &response, const std::vector<Address> &local) {
    const auto via = response.top_via();
    if (!via) return {};
    const std::string_view received = via->params.get("received");
    auto ip = Address::parse(received.empty() ? via->host : received);
    if (!ip) return {};
    const auto rport = parse_number(via->params.get("rport"));
    const bool usable = rport && *rport > 0 && *rport <= 65535;
    const Address seen = ip->with_port(usable ? static_cast<std::uint16_t>(*rport) : via->port);
    if (std::find(local.begin(), local.end(), seen) != local.end()) return {};
    return seen;
}

} // namespace offhook::sip
