#include "bridge/core.hpp"

namespace offhook::bridge {

std::int64_t unix_time() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

std::string party_id(const Party &party) {
    if (!party.device.empty()) return party.device;
    return "connection " + std::to_string(party.flow.connection);
}

bool Core::is_ours(const sip::Uri &uri) {
    if (transports().is_local(uri.host, uri.port)) return true;
    return tokens.open(uri.user).has_value();
}

std::string Core::record_route(const sip::Flow &flow, const std::string &device, bool doubled) {
    const bool web = is_web(flow.kind);
    const FlowToken token{epoch, web ? flow.connection : 0, device.empty() ? 0 : device_hash(device)};
    std::string uri = "<sip:" + tokens.seal(token) + "@" + transports().contact_address(flow).to_string();
    uri += ";transport=" + std::string(web ? "ws" : sip::uri_token(flow.kind));
    return uri + (doubled ? ";lr;r2=on>" : ";lr>");
}

void Core::add_record_route(sip::Draft &draft, const Party &from, const Party &to, const sip::Flow &out) {
    const bool doubled = from.flow.kind != out.kind ||
                         !(transports().contact_address(from.flow) == transports().contact_address(out));
    draft.prepend("Record-Route", record_route(from.flow, from.device, doubled));
    if (doubled) draft.prepend("Record-Route", record_route(out, to.device, doubled));
}

} // namespace offhook::bridge
