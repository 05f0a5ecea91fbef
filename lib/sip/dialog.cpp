#include "sip/dialog.hpp"

#include <algorithm>

#include "sip/transaction_key.hpp"

namespace offhook::sip {

namespace {

// From/To without their tag: the tags live in DialogId and are added where a request is built.
std::string without_tag(NameAddr address) {
    address.params.erase("tag");
    return address.encode();
}

std::vector<std::string> route_of(const Message &message, bool reversed) {
    std::vector<std::string> route;
    for (std::string_view value : message.list(HeaderId::record_route))
        route.emplace_back(value);
    if (reversed) std::reverse(route.begin(), route.end());
    return route;
}

Result<std::string> contact_uri(const Message &message) {
    auto contacts = message.addresses(HeaderId::contact);
    if (!contacts) return fail(contacts.error());
    if (contacts->size() != 1 || contacts->front().star)
        return fail(Errc::parse, "exactly one Contact expected", 400);
    if (!contacts->front().uri.is_sip()) return fail(Errc::parse, "Contact is not a SIP URI", 400);
    return contacts->front().uri.encode();
}

// A caller of RFC 2543 need not send a Contact; requests then go to its From (RFC 2543 §6.13). What gives the
// age away is the branch.
Result<std::string> target_of(const Message &request) {
    const auto via = request.top_via();
    if (request.has(HeaderId::contact) || !via || has_magic_cookie(via->branch()))
        return contact_uri(request);
    auto from = request.from();
    if (!from) return fail(from.error());
    if (!from->uri.is_sip()) return fail(Errc::parse, "From is not a SIP URI", 400);
    return from->uri.encode();
}

std::string with_tag(const std::string &address, const std::string &tag) {
    return tag.empty() ? address : address + ";tag=" + tag;
}

} // namespace

Result<Dialog> Dialog::uac(const Draft &request, const Message &response) {
    auto from = response.from();
    auto to = response.to();
    auto target = contact_uri(response);
    auto uri = Uri::parse(request.uri);
    auto cseq = response.cseq();
    if (!from) return fail(from.error());
    if (!to) return fail(to.error());
    if (!target) return fail(target.error());
    if (!cseq) return fail(cseq.error());
    Dialog dialog;
    dialog.id = {std::string(response.call_id()), std::string(from->tag()), std::string(to->tag())};
    dialog.local = without_tag(std::move(*from));
    dialog.remote = without_tag(std::move(*to));
    dialog.remote_target = std::move(*target);
    dialog.route = route_of(response, true);
    dialog.local_cseq = cseq->number;
    dialog.secure = uri && uri->is_sips();
    return dialog;
}

Result<Dialog> Dialog::uas(const Message &request, std::string_view local_tag) {
    auto from = request.from();
    auto to = request.to();
    auto target = target_of(request);
    auto cseq = request.cseq();
    if (!from) return fail(from.error());
    if (!to) return fail(to.error());
    if (!target) return fail(target.error());
    if (!cseq) return fail(cseq.error());
    Dialog dialog;
    dialog.id = {std::string(request.call_id()), std::string(local_tag), std::string(from->tag())};
    dialog.local = without_tag(std::move(*to));
    dialog.remote = without_tag(std::move(*from));
    dialog.remote_target = std::move(*target);
    dialog.route = route_of(request, false);
    dialog.remote_cseq = cseq->number;
    const auto uri = request.uri();
    dialog.secure = uri && uri->is_sips();
    return dialog;
}

Draft Dialog::request(std::string_view method, std::uint32_t cseq) {
    if (method != "ACK") cseq = ++local_cseq;
    Draft draft = Draft::request(method, remote_target);
    for (const std::string &hop : route)
        draft.add("Route", hop);
    draft.add("From", with_tag(local, id.local_tag));
    draft.add("To", with_tag(remote, id.remote_tag));
    draft.add("Call-ID", id.call_id);
    draft.add("CSeq", std::to_string(cseq) + " " + std::string(method));
    return draft;
}

Result<Uri> Dialog::next_hop() const {
    if (route.empty()) return Uri::parse(remote_target);
    auto top = NameAddr::parse(route.front());
    if (!top) return fail(top.error());
    if (!top->uri.params.has("lr"))
        return fail(Errc::not_supported,
                    "the proxy " + top->uri.host + " is a strict router (no lr), RFC 2543 style");
    return std::move(top->uri);
}

bool Dialog::accept_cseq(std::uint32_t cseq) noexcept {
    if (remote_cseq != 0 && cseq <= remote_cseq) return false;
    remote_cseq = cseq;
    return true;
}

void Dialog::refresh_target(const Message &message) {
    if (auto target = contact_uri(message)) remote_target = std::move(*target);
}

} // namespace offhook::sip
