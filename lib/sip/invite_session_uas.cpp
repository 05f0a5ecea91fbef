// The callee's side: ringing, 2xx until the ACK, CANCEL, and the peer's re-INVITEs (RFC 3261 §13.3, §14.2).
#include "base/random.hpp"
#include "sip/invite_session.hpp"

namespace offhook::sip {

Result<std::unique_ptr<InviteSession>> InviteSession::incoming(UserAgent &ua, const Message &invite,
                                                               const Flow &flow,
                                                               ServerTransaction transaction, Options options,
                                                               Listener &listener) {
    std::string tag = random_token(8);
    auto dialog = Dialog::uas(invite, tag);
    if (!dialog) {
        transaction.respond(400, dialog.error().what, tag);
        return fail(dialog.error());
    }
    std::unique_ptr<InviteSession> session(new InviteSession(ua, std::move(options), listener));
    if (session->refuse_interval(invite, transaction)) {
        session->state_ = DialogState::terminated;
        return fail(Errc::rejected, "the session interval is too small", 422);
    }
    session->uas_ = true;
    session->reliable_required_ = invite.lists_token(HeaderId::require, "100rel");
    session->reliable_supported_ =
        session->reliable_required_ || invite.lists_token(HeaderId::supported, "100rel");
    session->exchange_ = invite.body().empty() ? Exchange::none : Exchange::theirs;
    session->session_timer_.asked(invite);
    session->note_peer(invite);
    session->invite_ = invite;
    session->flow_ = flow;
    session->call_id_ = invite.call_id();
    session->local_tag_ = std::move(tag);
    session->server_ = transaction;
    session->set_dialog(std::move(*dialog));
    session->apply(DialogEvent::provisional_without_tag);
    ua.watch_invite(transaction, *session);
    return session;
}

Draft InviteSession::answer_draft(const ServerTransaction &transaction, unsigned status,
                                  std::string_view sdp) {
    Draft draft = Draft::response(transaction.request(), status, {}, local_tag_);
    if (status < 300) draft.add("Contact", contact_for(transaction.flow()));
    ua_.add_capabilities(draft);
    if (status / 100 == 2) session_timer_.reply(draft);
    if (!sdp.empty()) draft.set_body("application/sdp", sdp);
    return draft;
}

void InviteSession::ring(unsigned status, std::string_view sdp) {
    if (!uas_ || server_.answered() || state_ == DialogState::terminated) return;
    if (reliable_required_ || (reliable_supported_ && !sdp.empty()))
        return ring_reliably(status, std::string(sdp));
    apply(DialogEvent::provisional_with_tag);
    server_.respond(answer_draft(server_, status, sdp));
}

void InviteSession::accept(std::string sdp) {
    if (!uas_ || server_.answered() || state_ == DialogState::terminated) return;
    if (reliable_.holds_back_success()) { // RFC 3262 §3
        accepted_ = std::move(sdp);
        return;
    }
    provisional_timer_.cancel();
    offer_in_success_ = exchange_ == Exchange::none;
    if (exchange_ == Exchange::done) sdp.clear();
    exchange_ = offer_in_success_ ? Exchange::ours : Exchange::done;
    send_success(server_, sdp);
}

void InviteSession::reject(unsigned status, std::string_view reason,
                           const std::vector<std::pair<std::string, std::string>> &headers) {
    if (!uas_ || server_.answered() || state_ == DialogState::terminated) return;
    Draft draft = Draft::response(invite_, status, reason, local_tag_);
    ua_.add_capabilities(draft);
    for (const auto &[name, value] : headers)
        draft.add(name, value);
    server_.respond(draft);
    finish({.by = SessionEnd::By::local, .status = status, .reason = std::string(reason)});
}

// RFC 3261 §13.3.1.4: the 2xx is repeated by the UA core, over any transport, until the ACK comes.
void InviteSession::send_success(const ServerTransaction &transaction, const std::string &sdp) {
    success_ = answer_draft(transaction, 200, sdp);
    ack_pending_ = true;
    server_ = transaction;
    transaction.respond(*success_);
    arm_session_timer();
    const TimerValues &timers = ua_.transactions().timers();
    success_interval_ = timers.t1;
    success_timer_.start(success_interval_, [this] { retransmit_success(); });
    success_limit_.start(64 * timers.t1, [this] {
        success_timer_.cancel();
        ack_pending_ = false;
        send_bye("SIP;cause=408;text=\"No ACK\"");
        finish({.by = SessionEnd::By::timeout,
                .status = 408,
                .reason = "no ACK came for our answer",
                .error = Error{Errc::timeout, "no ACK came for our answer"}});
    });
}

void InviteSession::retransmit_success() {
    ua_.transactions().resend(flow_, success_->encode());
    success_interval_ = std::min(2 * success_interval_, ua_.transactions().timers().t2);
    success_timer_.start(success_interval_, [this] { retransmit_success(); });
}

void InviteSession::on_ack(const Message &ack) {
    const auto cseq = ack.cseq();
    const auto invite_cseq = success_ ? CSeq::parse(success_->get("CSeq")) : fail(Errc::parse, "");
    if (!ack_pending_ || !cseq || !invite_cseq || cseq->number != invite_cseq->number) return;
    ack_pending_ = false;
    success_timer_.cancel();
    success_limit_.cancel();
    const bool first = state_ != DialogState::confirmed;
    apply(DialogEvent::answered);
    if (hanging_up_) return send_bye(hang_up_reason_); // hung up between 2xx and ACK
    if (offer_in_success_ && listener_ != nullptr) {
        offer_in_success_ = false;
        exchange_ = Exchange::done;
        if (auto taken = listener_->on_answer(ack.body()); !taken) {
            const Error error = taken.error();
            send_bye("SIP;cause=488;text=\"Not Acceptable Here\"");
            return finish({.by = SessionEnd::By::local, .status = 488, .reason = error.what, .error = error});
        }
    }
    if (first && listener_ != nullptr) listener_->on_confirmed(ack);
    if (reinvite_wanted_) reinvite();
}

void InviteSession::on_cancel(const ServerTransaction &invite, const Message &cancel) {
    if (invite.answered()) return;
    invite.respond(487, {}, local_tag_);
    if (state_ == DialogState::confirmed) return; // a cancelled re-INVITE leaves the session as it was
    finish({.by = SessionEnd::By::remote,
            .status = 487,
            .reason_header = std::string(cancel.value(HeaderId::reason))});
}

void InviteSession::on_server_failure(const ServerTransaction &, const Error &error) {
    if (state_ == DialogState::confirmed || state_ == DialogState::terminated || ack_pending_) return;
    finish({.by = SessionEnd::By::network, .reason = error.what, .error = error});
}

void InviteSession::on_reinvite(const Message &request, const ServerTransaction &transaction) {
    if (modify_request_) return transaction.respond(491); // RFC 3261 §14.2: glare
    if (refuse_interval(request, transaction)) return;
    if ((server_ && !server_.answered()) || ack_pending_) {
        Draft busy = Draft::response(request, 500);
        busy.add("Retry-After", std::to_string(random_below(10)));
        return transaction.respond(busy);
    }
    if (listener_ == nullptr || hanging_up_) return transaction.respond(481);
    const bool late = request.body().empty();
    auto sdp = late ? listener_->make_offer() : listener_->on_offer(request.body());
    if (!sdp) return transaction.respond(sdp.error().sip >= 400 ? sdp.error().sip : 488);
    dialog_->refresh_target(request);
    note_peer(request);
    session_timer_.asked(request);
    offer_in_success_ = late;
    ua_.watch_invite(transaction, *this);
    send_success(transaction, *sdp);
}

} // namespace offhook::sip
