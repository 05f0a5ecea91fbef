// A Call of which one side is a line of the upstream (mode "creds"): what each may see of the other.
#include "base/log.hpp"
#include "bridge/call.hpp"
#include "bridge/upstream_lines.hpp"

namespace offhook::bridge {

using sip::HeaderId;

std::string Call::contact_of(End browser, unsigned branch) const {
    return browser == End::callee ? branches_[branch].dialogs.current().contact
                                  : std::string(raw_uri(request_.value(HeaderId::contact)));
}

// Phones of the upstream answer to what they registered.
void Call::show_contact(sip::Draft &draft, const UpstreamLine &line, const sip::Flow &flow) const {
    if (!draft.get("Contact").empty()) draft.set("Contact", "<" + line.contact(flow) + ">");
}

void Call::dress_request(sip::Draft &draft, End from, unsigned branch) {
    if (!upstream_) return;
    if (party(other(from), branch).line != nullptr)
        upstream_->outward(draft, from == End::caller);
    else // it was sent to our Contact; a browser answers to its own
        draft.uri = contact_of(other(from), branch);
}

void Call::dress_response(sip::Draft &draft, const sip::Message &request, End to, unsigned branch) {
    if (!upstream_) return;
    const Party &asker = party(to, branch);
    if (asker.line != nullptr)
        show_contact(draft, *asker.line, asker.flow);
    else
        UpstreamDialog::inward(draft, request);
}

// The browser must not try its own password on a challenge that is none of its business.
bool Call::refused_line(unsigned status, End by, unsigned branch) {
    const Party &asked = party(by, branch);
    if (asked.line == nullptr || (status != 401 && status != 407)) return false;
    log_warning(
        "bridge: the upstream does not take the credentials of " + asked.line->user().name +
        (asked.line->authenticator() ? "" : ": it is not registered there yet, or names another realm"));
    return true;
}

} // namespace offhook::bridge
