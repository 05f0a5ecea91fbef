#include "bridge/upstream_dialog.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "sip/headers.hpp"

namespace offhook::bridge {

namespace {

using sip::HeaderId;

constexpr std::size_t most_invites = 16; // of one dialog whose ACK may still come

// What a browser could say about itself and is not for it to say here.
constexpr std::array not_for_upstream{"Via",
                                      "Record-Route",
                                      "Authorization",
                                      "Proxy-Authorization",
                                      "P-Asserted-Identity",
                                      "P-Preferred-Identity",
                                      "Remote-Party-ID"};
constexpr std::array not_for_browser{"Via", "WWW-Authenticate", "Proxy-Authenticate", "Authentication-Info",
                                     "Proxy-Authentication-Info"};

void map_address(sip::Draft &draft, const char *header, const UpstreamDialog::Outside &outside) {
    auto address = sip::NameAddr::parse(draft.get(header));
    if (!address) return;
    address->uri = outside(address->uri);
    draft.set(header, address->encode());
}

} // namespace

std::uint32_t UpstreamDialog::number_for(std::string_view method, std::uint32_t own) {
    if (method == "ACK") {
        const auto known = invites_.find(own);
        return known == invites_.end() ? own : known->second;
    }
    last_ = last_ == 0 ? own : last_ + 1;
    if (method == "INVITE") {
        if (invites_.size() >= most_invites) invites_.erase(invites_.begin());
        invites_[own] = last_;
        invite_ = own;
    }
    return last_;
}

void UpstreamDialog::outward(sip::Draft &request, bool caller) {
    for (const char *name : not_for_upstream)
        request.erase(name);
    if (caller)
        if (auto from = sip::NameAddr::parse(request.get("From"))) {
            from->uri = aor_;
            request.set("From", from->encode());
        }
    map_address(request, "To", outside_);
    map_address(request, "Refer-To", outside_);
    if (const auto uri = sip::Uri::parse(request.uri)) request.uri = outside_(*uri).encode();
    const auto cseq = sip::CSeq::parse(request.get("CSeq"));
    if (!cseq) return;
    // RAck: "response-number CSeq-number Method" (RFC 3262 §7.2).
    const std::string rack(request.get("RAck"));
    const auto first = rack.find(' ');
    const auto second = rack.find(' ', first + 1);
    if (first != std::string::npos && second != std::string::npos)
        if (const auto of = sip::parse_number(rack.substr(first + 1, second - first - 1)))
            if (const auto known = invites_.find(static_cast<std::uint32_t>(*of)); known != invites_.end())
                request.set("RAck",
                            rack.substr(0, first + 1) + std::to_string(known->second) + rack.substr(second));
    request.set("CSeq", std::to_string(number_for(request.method, cseq->number)) + " " + request.method);
}

void UpstreamDialog::answered(const sip::Message &response) {
    const auto sent = response.cseq();
    if (!sent) return;
    last_ = std::max(last_, sent->number);
    if (const auto known = invites_.find(invite_); known != invites_.end() && sent->method == "INVITE")
        known->second = sent->number;
}

void UpstreamDialog::inward(sip::Draft &response, const sip::Message &request) {
    const auto to = sip::NameAddr::parse(response.get("To"));
    for (const char *name : not_for_browser)
        response.erase(name);
    for (const char *name : {"From", "CSeq"})
        response.set(name, request.value(sip::header_id(name)));
    std::string back(request.value(HeaderId::to));
    if (const auto asked = request.to(); asked && asked->tag().empty() && to && !to->tag().empty())
        back += ";tag=" + std::string(to->tag());
    response.set("To", back);
    auto vias = request.list(HeaderId::via);
    std::ranges::reverse(vias);
    for (const auto via : vias)
        response.prepend("Via", via);
}

} // namespace offhook::bridge
