#include "sip/hop_by_hop.hpp"

namespace offhook::sip {

namespace {

Draft follow(const Draft &invite, std::string_view method, std::string_view to) {
    Draft draft = Draft::request(method, invite.uri);
    draft.add("Via", invite.get("Via"));
    for (const auto &[header, value] : invite.headers)
        if (header_id(header) == HeaderId::route) draft.add("Route", value);
    draft.add("Max-Forwards", "70").add("From", invite.get("From")).add("To", to);
    draft.add("Call-ID", invite.get("Call-ID"));
    const auto cseq = CSeq::parse(invite.get("CSeq"));
    draft.add("CSeq", std::to_string(cseq ? cseq->number : 0) + " " + std::string(method));
    return draft;
}

} // namespace

Draft ack_for(const Draft &invite, const Message &response) {
    return follow(invite, "ACK", response.value(HeaderId::to));
}

Draft cancel_for(const Draft &invite, std::string_view reason) {
    Draft draft = follow(invite, "CANCEL", invite.get("To"));
    if (!reason.empty()) draft.add("Reason", reason);
    return draft;
}

} // namespace offhook::sip
