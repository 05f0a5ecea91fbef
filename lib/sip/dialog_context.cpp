#include "sip/dialog_context.hpp"

#include "sip/grammar.hpp"

namespace offhook::sip {

ClientRequest::Options DialogContext::request(UserAgent &ua, std::string_view method) {
    ClientRequest::Options options;
    options.draft = dialog.request(method);
    ua.add_capabilities(options.draft);
    if (auto next_hop = dialog.next_hop()) options.next_hop = std::move(*next_hop);
    options.transport = flow.kind;
    if (ua.leads_to(flow, options.next_hop)) options.flow = flow;
    options.authenticator = authenticator;
    options.trusted = trusted && !dialog.route.empty();
    options.prepare = [&ua, user = contact_user, address = public_address, unique = gruu](Draft &draft,
                                                                                          const Flow &way) {
        draft.set("Contact", contact_value(ua, way, user, address, unique));
    };
    return options;
}

std::string contact_value(UserAgent &ua, const Flow &flow, const std::string &user,
                          const std::string &public_address, const std::string &gruu) {
    if (!gruu.empty()) return "<" + gruu + ">";
    NameAddr contact;
    contact.uri.scheme = "sip";
    contact.uri.user = user;
    (void)grammar::parse_host_port(ua.transports().sent_by(flow), contact.uri.host, contact.uri.port);
    if (!public_address.empty() && contact.uri.port != 0) { // none for .invalid
        std::uint16_t port = 0;
        if (!grammar::parse_host_port(public_address, contact.uri.host, port))
            contact.uri.host = public_address; // IPv6 without brackets
        if (port != 0) contact.uri.port = port;
    }
    if (flow.kind != TransportKind::udp) contact.uri.params.set("transport", contact_token(flow.kind));
    return contact.encode();
}

} // namespace offhook::sip
