#include "tests/support/sip_party.hpp"

#include <algorithm>

namespace offhook::test {

using namespace offhook::sip;

SipParty::SipParty(Loop &loop, std::string name, TransportKind kind, const char *ip)
    : ua(loop, UserAgent::Options{.product = "test"}, *this), name_(std::move(name)), kind_(kind) {
    listening_ = ua.transports().listen(kind, *Address::parse(ip)).value();
    options.from = address();
    options.contact_user = name_;
}

NameAddr SipParty::address() const {
    NameAddr address;
    address.uri.scheme = "sip";
    address.uri.user = name_;
    address.uri.host = listening_.ip();
    address.uri.port = listening_.port();
    if (kind_ != TransportKind::udp) address.uri.params.set("transport", uri_token(kind_));
    return address;
}

InviteSession &SipParty::call(const SipParty &other, std::string offer) {
    session = InviteSession::outgoing(ua, other.address(), std::move(offer), options, *this);
    return *session;
}

bool SipParty::saw(std::string_view what) const {
    return std::find(events.begin(), events.end(), what) != events.end();
}

void SipParty::on_invite(const Message &invite, const Flow &flow, ServerTransaction transaction) {
    auto made = InviteSession::incoming(ua, invite, flow, std::move(transaction), options, *this);
    if (!made) return;
    session = std::move(*made);
    events.emplace_back("invite");
    if (!redirect_to.empty()) return session->reject(302, {}, {{"Contact", "<" + redirect_to + ">"}});
    if (refuse_with != 0) return session->reject(refuse_with);
    if (auto_ring) session->ring();
    if (auto_accept) session->accept(session->offer().empty() ? offer_sdp : answer_sdp);
}

Result<std::string> SipParty::on_offer(std::string_view sdp) {
    events.push_back("offer " + std::string(sdp));
    if (refuse_reinvite_with != 0) return fail(Errc::media, "no", refuse_reinvite_with);
    return answer_sdp;
}

Result<> SipParty::on_answer(std::string_view sdp) {
    events.push_back("answer " + std::string(sdp));
    return {};
}

void SipParty::on_reinvited(const Result<> &outcome) {
    events.push_back(outcome ? "reinvited" : "reinvite failed " + std::to_string(outcome.error().sip));
}

void SipParty::on_progress(const Message &provisional) {
    events.push_back("progress " + std::to_string(provisional.status()));
}

unsigned SipParty::on_info(const Message &info) {
    events.push_back("info " + std::string(info.body()));
    return 200;
}

void SipParty::on_ended(const SessionEnd &ended) {
    static constexpr const char *by[] = {"local", "remote", "network", "timeout"};
    events.push_back("ended " + std::to_string(ended.status) + " " + by[static_cast<int>(ended.by)]);
    end = ended;
}

} // namespace offhook::test
