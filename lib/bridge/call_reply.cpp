// Responses to requests inside the dialog of a Call.
#include <utility>

#include "base/log.hpp"
#include "bridge/call.hpp"
#include "bridge/rewrite.hpp"

namespace offhook::bridge {

namespace {

using sip::HeaderId;
using sip::Method;

bool ends_subscription(const sip::Message &request) {
    return request.method() == Method::notify &&
           request.value(HeaderId::subscription_state).starts_with("terminated");
}

} // namespace

void Call::on_reply(const ExchangePtr &exchange, const sip::Message &response, const sip::Flow &flow) {
    const auto keep = shared_from_this();
    if (over_ && response.status() < 200) return;
    Party &answerer = party(other(exchange->from), exchange->branch);
    if (answerer.web == is_web(flow.kind)) answerer.flow = flow;
    if (answerer.line != nullptr) upstream_->answered(response);
    if (refused_line(response.status(), other(exchange->from), exchange->branch))
        return on_reply_failure(exchange, {Errc::authentication, "refused by the upstream", 403});
    if (update_refused(exchange, response) || ask_longer(exchange, response)) return;
    if (exchange->as_invite && !taken_as_invite(exchange, response)) return;
    if (exchange->answer) return repeat(*exchange, response);
    auto draft = backward(response);
    dress_response(draft, exchange->request, exchange->from, exchange->branch);
    if (exchange->counted_on || exchange->as_invite)
        draft.set("CSeq", exchange->request.value(HeaderId::cseq));
    if (party(exchange->from, exchange->branch).web)
        fix_timers_towards_browser(draft, exchange->request, session_seconds_);
    if (response.status() >= 300 && exchange->offered && media_) media_->roll_back(exchange->branch);
    if (anchored(exchange->branch) && has_sdp(response) && describes(exchange->request)) {
        const bool expected = exchange->offered || exchange->request.method() == Method::invite;
        if (expected && response.status() < 300) return relay_answer(exchange, std::move(draft), response);
        strip_body(draft); // addresses and ports that are nothing to the other end
    }
    if (anchored(exchange->branch) && has_parts(response)) strip_body(draft);
    if (response.status() >= 200) exchange->answer = draft;
    serial_.add([this, exchange, draft = std::move(draft)](const Serial::Next &next) {
        reply(exchange, draft);
        next();
    });
}

// The 2xx of a re-INVITE, again: its ACK was lost.
void Call::repeat(const Exchange &exchange, const sip::Message &response) {
    if (exchange.server.answered() && response.status() / 100 == 2 && exchange.answer->status / 100 == 2)
        exchange.server.respond(*exchange.answer);
    else if (response.status() / 100 == 2 && exchange.request.method() == Method::invite &&
             exchange.answer->status >= 300)
        send_ack(core_, party(other(exchange.from), exchange.branch), ack_of(exchange.sent, response));
}

void Call::relay_answer(const ExchangePtr &exchange, sip::Draft draft, const sip::Message &response) {
    if (!exchange->offered && exchange->request.method() == Method::invite) {
        ack_answers_ = true;
        ack_answer_from_ = exchange->from;
    }
    if (response.status() >= 200) exchange->answer = draft;
    serial_.add([this, exchange, response, draft = std::move(draft)](const Serial::Next &next) {
        const auto done = [this, exchange, response, draft, next](Result<std::string> sdp) mutable {
            const End by = other(exchange->from);
            if (sdp) {
                if (exchange->offered) described_[index(exchange->from)] = exchange->request.body();
                described_[index(by)] = std::exchange(draft.body, std::move(*sdp));
                reply(exchange, std::move(draft));
            } else if (response.status() < 200) {
                strip_body(draft);
                reply(exchange, std::move(draft));
            } else {
                unusable(exchange, response, sdp.error());
            }
            next();
        };
        const End by = other(exchange->from);
        if (exchange->offered)
            media_->answer(by, exchange->branch, draft.body, done);
        else
            media_->offer(by, exchange->branch, draft.body, done);
    });
}

// For whoever asked nothing has changed (RFC 3261 §14.1). Whoever answered believes that it has: it is
// offered what held before, and the call ends if that does not help. Without an offer to answer to there is
// no way back.
void Call::unusable(const ExchangePtr &exchange, const sip::Message &response, const Error &error) {
    const End by = other(exchange->from);
    const std::string who = party(by, exchange->branch).name;
    told_unusable(by, exchange->branch, error);
    if (exchange->request.method() == Method::invite)
        send_ack(core_, party(by, exchange->branch), ack_of(exchange->sent, response));
    if (media_) media_->roll_back(exchange->branch);
    auto no = sip::Draft::response(exchange->request, 488);
    no.add("Warning", "399 offhook \"" + error.what.substr(0, 100) + "\"");
    exchange->refused_by_us = true;
    const bool offered = exchange->offered;
    reply(exchange, std::move(no));
    ack_answers_ = false;
    if (!winner_ || renewing_) return;
    if (offered && !described_[index(exchange->from)].empty()) return renew({by, true});
    hang_up("what " + who + " said cannot be used: " + error.what);
}

void Call::reply(const ExchangePtr &exchange, sip::Draft draft) {
    const auto keep = shared_from_this();
    disguise(draft, exchange->request, party(exchange->from, exchange->branch));
    if (draft.status >= 200) exchange->answer = draft;
    exchange->server.respond(draft);
    if (draft.status < 200) return;
    const bool success = draft.status / 100 == 2;
    // A re-INVITE stays for its repeated 2xx; the next one replaces it.
    const auto invites = [](const Exchange &e) {
        return e.as_invite || e.request.method() == Method::invite;
    };
    if (!invites(*exchange) || (!success && !exchange->refused_by_us)) exchanges_.remove(exchange);
    if (invites(*exchange))
        exchanges_.remove_if(
            [&](const ExchangePtr &e) { return e != exchange && invites(*e) && e->server.answered(); });
    if (exchange->request.method() == Method::bye && (winner_ || !invite_))
        over(exchange->from == End::caller ? "the caller hung up" : "the callee hung up");
    else if (!invite_ && ends_subscription(exchange->request))
        over("the subscription ended");
    else if (!invite_ && success)
        linger();
}

void Call::on_reply_failure(const ExchangePtr &exchange, const Error &error) {
    const auto keep = shared_from_this();
    log_debug("bridge: " + std::string(exchange->request.method_token()) + ": " + error.what);
    if (exchange->offered && media_) media_->roll_back(exchange->branch);
    // Whoever hangs up on somebody who is gone has done so.
    if (exchange->request.method() == Method::bye) {
        exchange->server.respond(200);
        exchanges_.remove(exchange);
        return over("hung up; the other side could not be reached");
    }
    exchange->server.respond(error.sip == 430 || error.sip == 0 ? 480 : error.sip);
    exchanges_.remove(exchange);
}

} // namespace offhook::bridge
