// UPDATE (RFC 3311) between ends of which one does not know it: JsSIP sends it whatever Allow says, and ends
// the call when it is refused; SIP.js knows none. And session timers (RFC 4028) that are too short for a
// phone.
#include <algorithm>

#include "bridge/call.hpp"
#include "bridge/rewrite.hpp"

namespace offhook::bridge {

using sip::HeaderId;
using sip::Method;

bool Call::knows_update(const Exchange &exchange) {
    if (exchange.from == End::caller) return dialog_of(exchange).allows_update;
    return caller_allows_update_;
}

// A session refresh (RFC 4028 §7.4) is ours to answer where nobody else would.
bool Call::refresh_here(const ExchangePtr &exchange) {
    const auto &request = exchange->request;
    if (request.method() != Method::update || has_sdp(request) || knows_update(*exchange)) return false;
    auto ok = sip::Draft::response(request, 200);
    if (request.has(HeaderId::session_expires))
        ok.add("Session-Expires", request.value(HeaderId::session_expires)).add("Require", "timer");
    ok.add("Contact", contact_beyond(*exchange));
    exchange->server.respond(ok);
    return true;
}

// Some list UPDATE in Allow and refuse it all the same. True: it has been seen to.
bool Call::update_refused(const ExchangePtr &exchange, const sip::Message &response) {
    const bool refused = response.status() == 405 || response.status() == 501;
    if (!refused || exchange->request.method() != Method::update || exchange->as_invite || !winner_)
        return false;
    if (exchange->from == End::caller)
        dialog_of(*exchange).allows_update = false;
    else
        caller_allows_update_ = false;
    if (refresh_here(exchange)) {
        exchanges_.remove(exchange);
        return true;
    }
    again(exchange);
    return true;
}

void Call::again(const ExchangePtr &exchange) {
    if (exchange->offered && media_) media_->roll_back(exchange->branch);
    exchange->offered = exchange->as_invite = false;
    ++inserted_[index(exchange->from)]; // the number is used up
    core_.loop.post([weak = weak_from_this(), exchange] {
        if (const auto keep = weak.lock(); keep && !keep->over_ && !exchange->cancelled)
            keep->forward(exchange);
    });
}

bool Call::lengthens(const sip::Message &request, const sip::Draft &sent, const sip::Message &response) {
    constexpr unsigned most = 4; // proxies on the way may have a minimum each
    const auto seconds = longer_session(request, sent, response);
    if (!seconds || longer_asked_ >= most) return false;
    ++longer_asked_;
    session_seconds_ = std::max(session_seconds_, *seconds);
    return true;
}

bool Call::ask_longer(const ExchangePtr &exchange, const sip::Message &response) {
    if (exchange->cancelled || over_ || !lengthens(exchange->request, exchange->sent, response)) return false;
    again(exchange);
    return true;
}

bool Call::ask_longer(unsigned index, const sip::Message &response) {
    Branch &branch = branches_[index];
    if (branch.cancelled || !lengthens(request_, branch.sent, response)) return false;
    auto draft = std::move(branch.sent);
    fix_timers_towards_phone(draft, session_seconds_);
    if (branch.target.party.line != nullptr) { // it counts by itself
        draft.set("CSeq", request_.value(HeaderId::cseq));
        upstream_->outward(draft, true);
    } else {
        draft.set("CSeq", std::to_string(caller_cseq_ + ++branch.raised) + " INVITE");
    }
    branch.courier->forget();
    send_branch(index, std::move(draft));
    return true;
}

// The answer to a re-INVITE that stands for an UPDATE is acknowledged here. False: whoever asked gets nothing
// of this.
bool Call::taken_as_invite(const ExchangePtr &exchange, const sip::Message &response) {
    if (response.status() < 200) return false;
    if (response.status() < 300)
        send_ack(core_, party(other(exchange->from), exchange->branch), ack_of(exchange->sent, response));
    return !std::exchange(exchange->acknowledged, true);
}

} // namespace offhook::bridge
