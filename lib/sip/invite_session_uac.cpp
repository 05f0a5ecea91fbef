// The caller's INVITE: provisionals, forks, ACK, CANCEL races (RFC 3261 §13.2, §9.1).
#include <algorithm>

#include "sip/invite_session.hpp"
#include "sip/session_description.hpp"

namespace offhook::sip {

namespace {

// The Contacts of a 3xx by falling q (RFC 3261 §8.1.3.4).
std::vector<std::string> redirections(const Message &response) {
    auto contacts = response.addresses(HeaderId::contact);
    if (!contacts) return {};
    const auto q = [](const NameAddr &contact) {
        const std::string text(contact.params.get("q"));
        return text.empty() ? 1.0 : std::strtod(text.c_str(), nullptr);
    };
    std::stable_sort(contacts->begin(), contacts->end(),
                     [&](const NameAddr &a, const NameAddr &b) { return q(a) > q(b); });
    std::vector<std::string> uris;
    for (const NameAddr &contact : *contacts)
        if (!contact.star) uris.push_back(contact.uri.encode());
    return uris;
}

} // namespace

std::unique_ptr<InviteSession> InviteSession::outgoing(UserAgent &ua, const NameAddr &target,
                                                       std::string offer, Options options,
                                                       Listener &listener) {
    std::unique_ptr<InviteSession> session(new InviteSession(ua, std::move(options), listener));
    session->send_invite(target, std::move(offer));
    return session;
}

void InviteSession::send_invite(const NameAddr &target, std::string offer) {
    local_tag_ = random_token(8);
    call_id_ = random_token(16);
    NameAddr from = options_.from;
    from.params.set("tag", local_tag_);
    Draft draft = Draft::request("INVITE", target.uri.encode());
    for (const std::string &route : options_.route)
        draft.add("Route", route);
    draft.add("From", from.encode());
    NameAddr to = target;
    to.uri.params.erase("transport"); // RFC 3261 §19.1.1: not allowed in To
    draft.add("To", to.encode());
    draft.add("Call-ID", call_id_);
    draft.add("CSeq", "1 INVITE");
    ua_.add_capabilities(draft);
    draft.add("Accept", "application/sdp");
    session_timer_.ask(draft);
    for (const auto &[name, value] : options_.headers)
        draft.add(name, value);
    offer_sent_ = !offer.empty();
    if (offer_sent_) {
        draft.set_body("application/sdp", offer);
        exchange_ = Exchange::ours;
    }
    next_hop_ = target.uri;
    if (!options_.route.empty())
        if (auto route = NameAddr::parse(options_.route.front())) next_hop_ = route->uri;
    if (options_.next_hop) next_hop_ = *options_.next_hop;
    start_invite(std::move(draft));
}

void InviteSession::start_invite(Draft draft) {
    ClientRequest::Options request;
    request.next_hop = next_hop_;
    request.draft = std::move(draft);
    request.alternatives = options_.alternatives;
    request.transport = options_.transport;
    request.flow = options_.flow;
    request.authenticator = options_.authenticator;
    request.trusted = options_.trusted;
    request.prepare = [this](Draft &invite, const Flow &flow) {
        invite.set("Contact", contact_for(flow));
        flow_ = flow;
    };
    invite_request_ = ua_.request(
        std::move(request),
        [this](const Message &response, const Flow &flow) { on_provisional(response, flow); },
        [this](const ClientRequest::Outcome &outcome) { on_final(outcome); });
}

void InviteSession::on_provisional(const Message &response, const Flow &flow) {
    if (listener_ == nullptr || state_ == DialogState::confirmed || state_ == DialogState::terminated) return;
    flow_ = flow;
    const auto to = response.to();
    const bool tagged = to && !to->tag().empty() && response.status() > 100;
    apply(tagged ? DialogEvent::provisional_with_tag : DialogEvent::provisional_without_tag);
    if (tagged && !take_early(response)) return; // told before
    if (listener_ != nullptr) listener_->on_progress(response);
}

void InviteSession::on_final(const ClientRequest::Outcome &outcome) {
    if (outcome.response && outcome.response->status() / 100 == 2)
        return on_success(*outcome.response, outcome.flow);
    if (state_ == DialogState::confirmed || state_ == DialogState::terminated) return;
    if (outcome.response && outcome.response->status() == 422 && retry_longer(*outcome.response)) return;
    SessionEnd end;
    end.authenticated = outcome.authenticated;
    if (failure_)
        return finish(
            {.by = SessionEnd::By::local, .status = 488, .reason = failure_->what, .error = failure_});
    if (!outcome.response) {
        const Error &error = outcome.response.error();
        end.by = hanging_up_                   ? SessionEnd::By::local
                 : error.code == Errc::timeout ? SessionEnd::By::timeout
                                               : SessionEnd::By::network;
        end.status = hanging_up_ ? 487 : 0;
        end.reason = error.what;
        end.error = error;
    } else {
        end.by = hanging_up_ ? SessionEnd::By::local : SessionEnd::By::remote;
        end.status = outcome.response->status();
        end.reason = outcome.response->reason();
        end.reason_header = outcome.response->value(HeaderId::reason);
        if (end.status / 100 == 3) end.redirect = redirections(*outcome.response);
    }
    finish(std::move(end));
}

// RFC 4028 §7.3: the same call once more, with the interval that was asked for.
bool InviteSession::retry_longer(const Message &response) {
    constexpr unsigned most_tries = 3; // each proxy on the way may want more than the one before
    const auto cseq = CSeq::parse(invite_request_->draft().get("CSeq"));
    if (hanging_up_ || listener_ == nullptr || !cseq || longer_tries_ >= most_tries ||
        !session_timer_.raise(response))
        return false;
    ++longer_tries_;
    Draft draft = invite_request_->draft();
    draft.set("CSeq", std::to_string(cseq->number + 1) + " INVITE");
    draft.erase("Via").erase("Authorization").erase("Proxy-Authorization");
    session_timer_.ask(draft);
    ua_.loop().post([old = std::shared_ptr<ClientRequest>(std::move(invite_request_))] {});
    drop_early_dialogs();
    start_invite(std::move(draft));
    return true;
}

void InviteSession::on_success(const Message &response, const Flow &flow) {
    const auto to = response.to();
    const std::string tag(to ? to->tag() : std::string_view{});
    if (state_ == DialogState::confirmed || state_ == DialogState::terminated) {
        const bool ours = dialog_ && dialog_->id.remote_tag == tag;
        if (ours && !ack_bytes_.empty())
            ua_.transactions().resend(ack_flow_, ack_bytes_); // our ACK was lost
        else if (!ours)
            ua_.refuse_fork(invite_request_->draft(), response, flow);
        return;
    }
    flow_ = flow;
    auto dialog = Dialog::uac(invite_request_->draft(), response);
    if (const auto early =
            std::ranges::find(early_, tag, [](const Early &e) { return e.dialog.id.remote_tag; });
        dialog && early != early_.end()) { // PRACK and UPDATE have counted on
        dialog->local_cseq = std::max(dialog->local_cseq, early->dialog.local_cseq);
        dialog->remote_cseq = early->dialog.remote_cseq;
    }
    drop_early_dialogs();
    if (!dialog) {
        ua_.refuse_fork(invite_request_->draft(), response, flow);
        return finish({.by = SessionEnd::By::network,
                       .reason = "the answer makes no dialog: " + dialog.error().what,
                       .error = dialog.error()});
    }
    set_dialog(std::move(*dialog));
    invite_cseq_ = dialog_->local_cseq;
    note_peer(response);
    session_timer_.answered(response);
    apply(DialogEvent::answered);
    confirm(response, flow, tag);
}

// ACK first (RFC 3261 §13.2.2.4: without undue delay), then what the answer means.
void InviteSession::confirm(const Message &response, const Flow &flow, const std::string &tag) {
    Result<> outcome;
    std::string sdp;
    const bool settled = exchange_ == Exchange::done && early_tag_ == tag; // by reliable provisionals
    if (!offer_sent_ && !settled) { // late offer: the 2xx has it, our answer goes into the ACK
        auto answer = listener_ != nullptr ? listener_->on_offer(response.body()) : fail(Errc::internal, "");
        if (answer)
            sdp = std::move(*answer);
        else
            outcome = fail(answer.error());
    }
    acknowledge(response, flow, sdp);
    if (hanging_up_) return send_bye(hang_up_reason_); // the 2xx overtook our CANCEL
    if (offer_sent_ && !settled && listener_ != nullptr) {
        if (holds_sdp(response))
            outcome = listener_->on_answer(response.body());
        else if (early_tag_ != tag)
            outcome = fail(Errc::media, "the answer holds no session description");
    }
    exchange_ = Exchange::done;
    if (listener_ == nullptr) return;
    if (outcome) {
        arm_session_timer();
        return listener_->on_confirmed(response);
    }
    const Error error = outcome.error();
    send_bye("SIP;cause=488;text=\"Not Acceptable Here\"");
    finish({.by = SessionEnd::By::local, .status = 488, .reason = error.what, .error = error});
}

void InviteSession::acknowledge(const Message &response, const Flow &flow, std::string_view sdp) {
    const auto cseq = response.cseq();
    auto next_hop = dialog_->next_hop();
    if (!cseq || !next_hop) return;
    Draft ack = dialog_->request("ACK", cseq->number);
    // RFC 3261 §13.2.2.4: the ACK carries the credentials of the INVITE.
    const Draft &invite = (modify_request_ ? modify_request_ : invite_request_)->draft();
    for (const char *name : {"Authorization", "Proxy-Authorization"})
        if (const std::string_view value = invite.get(name); !value.empty()) ack.add(name, value);
    if (!sdp.empty()) ack.set_body("application/sdp", sdp);
    const std::weak_ptr<char> here = alive_; // the next hop may be looked up first, and we be gone by then
    ua_.send_ack(std::move(ack), *next_hop, flow, [this, here](const std::string &bytes, const Flow &way) {
        if (here.expired()) return;
        ack_bytes_ = bytes;
        ack_flow_ = way;
    });
}

} // namespace offhook::sip
