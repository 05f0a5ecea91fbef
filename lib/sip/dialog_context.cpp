#include "sip/dialog_context.hpp"

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
    options.prepare = [&ua, user = contact_user, address = public_address](Draft &draft, const Flow &way) {
        draft.set("Contact", contact_value(ua, way, user, address));
    };
    return options;
}

std::string contact_value(UserAgent &ua, const Flow &flow, const std::string &user,
                          const std::string &public_address) {
    const Address local = ua.transports().contact_address(flow);
    NameAddr contact;
    contact.uri.scheme = "sip";
    contact.uri.user = user;
    contact.uri.host = public_address.empty() ? local.ip() : public_address;
    contact.uri.port = local.port();
    if (flow.kind != TransportKind::udp) contact.uri.params.set("transport", uri_token(flow.kind));
    return contact.encode();
}

} // namespace offhook::sip
