#include "phone/dialog_info.hpp"

namespace offhook {

namespace {

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text)
        switch (c) {
        case '&':
            out += "&amp;";
            break;
        case '<':
            out += "&lt;";
            break;
        case '>':
            out += "&gt;";
            break;
        case '"':
            out += "&quot;";
            break;
        default:
            out += c;
        }
    return out;
}

std::string identity(std::string_view uri, std::string_view display) {
    std::string out = "<identity";
    if (!display.empty()) out += " display=\"" + escaped(display) + "\"";
    return out + ">" + escaped(uri) + "</identity>";
}

} // namespace

std::string dialog_info(std::string_view entity, std::uint32_t version, std::span<const CallView> calls) {
    std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                      "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"" +
                      std::to_string(version) + R"(" state="full" entity=")" + escaped(entity) + "\">\n";
    for (const auto &call : calls) {
        out += "<dialog id=\"" + to_string(call.id) + R"(" direction=")" +
               (call.direction == CallDirection::outgoing ? "initiator" : "recipient") + "\"><state>" +
               std::string(sip::name(call.state)) + "</state><local>" + identity(call.local, {});
        // RFC 4235 §4.1.6.2, RFC 5359: on hold.
        if (call.held_locally)
            out += "<target uri=\"" + escaped(call.local) +
                   R"("><param pname="+sip.rendering" pval="no"/></target>)";
        out += "</local>";
        if (!call.remote.empty()) out += "<remote>" + identity(call.remote, call.remote_name) + "</remote>";
        out += "</dialog>\n";
    }
    return out + "</dialog-info>\n";
}

} // namespace offhook
