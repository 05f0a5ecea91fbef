// UPDATE (RFC 3311) and session timers (RFC 4028).
#include "base/random.hpp"
#include "sip/invite_session.hpp"
#include "sip/session_description.hpp"

namespace offhook::sip {

namespace {
constexpr Duration refresh_pause{2'000}; // before a refresh that failed is tried again
} // namespace

void InviteSession::note_peer(const Message &message) {
    if (message.has(HeaderId::allow)) peer_updates_ = message.lists_token(HeaderId::allow, "UPDATE");
}

// RFC 3311 §5.2: the status for an offer that meets another one; 0: none is open.
unsigned InviteSession::offer_collision(const Dialog &dialog) const {
    const bool ours = exchange_ == Exchange::ours || modify_request_ || (ack_pending_ && offer_in_success_);
    if (ours) return 491;
    if (exchange_ == Exchange::theirs || exchange_ == Exchange::none || reliable_.holds_back_success())
        return 500;
    // Another fork than the one whose media flows.
    return !dialog_ && dialog.id.remote_tag != early_tag_ ? 488 : 0;
}

bool InviteSession::refuse_interval(const Message &request, const ServerTransaction &transaction) {
    const auto minimum = session_timer_.too_small(request);
    if (!minimum) return false;
    Draft draft = Draft::response(request, 422, {}, local_tag_.empty() ? random_token(8) : local_tag_);
    draft.add("Min-SE", std::to_string(*minimum));
    transaction.respond(draft);
    return true;
}

void InviteSession::on_update(const Message &request, const ServerTransaction &transaction, Dialog &dialog) {
    if (listener_ == nullptr || hanging_up_) return transaction.respond(481);
    if (refuse_interval(request, transaction)) return;
    std::string answer;
    if (holds_sdp(request)) {
        if (const unsigned status = offer_collision(dialog); status != 0) {
            Draft later = Draft::response(request, status);
            if (status == 500) later.add("Retry-After", std::to_string(random_below(10)));
            return transaction.respond(later);
        }
        auto made = listener_->on_offer(request.body());
        if (!made) return transaction.respond(made.error().sip >= 400 ? made.error().sip : 488);
        answer = std::move(*made);
    }
    dialog.refresh_target(request);
    note_peer(request);
    const bool confirmed = state_ == DialogState::confirmed || ack_pending_;
    if (confirmed) session_timer_.asked(request);
    Draft reply = Draft::response(request, 200);
    reply.add("Contact", contact_for(transaction.flow()));
    ua_.add_capabilities(reply);
    if (confirmed) session_timer_.reply(reply);
    if (!answer.empty()) reply.set_body("application/sdp", answer);
    transaction.respond(reply);
    if (confirmed) arm_session_timer();
}

void InviteSession::arm_session_timer() {
    refresh_timer_.cancel();
    expiry_timer_.cancel();
    if (const auto wait = session_timer_.refresh_after()) refresh_timer_.start(*wait, [this] { refresh(); });
    if (const auto wait = session_timer_.expires_after())
        expiry_timer_.start(*wait, [this] { session_expired(); });
}

// By UPDATE where the peer takes it: no new offer, nothing to renegotiate (RFC 4028 §7.4).
void InviteSession::refresh() {
    if (state_ != DialogState::confirmed || hanging_up_ || listener_ == nullptr) return;
    if (!peer_updates_) return reinvite();
    if (refresh_request_) return;
    Draft draft = dialog_->request("UPDATE");
    session_timer_.ask(draft);
    refresh_request_ = ua_.request(in_dialog(std::move(draft)), {},
                                   [this](const ClientRequest::Outcome &outcome) { on_refreshed(outcome); });
}

void InviteSession::on_refreshed(const ClientRequest::Outcome &outcome) {
    ua_.loop().post([old = std::shared_ptr<ClientRequest>(std::move(refresh_request_))] {});
    if (state_ != DialogState::confirmed || hanging_up_ || listener_ == nullptr) return;
    const unsigned status = outcome.response ? outcome.response->status() : 408;
    if (status / 100 == 2) {
        dialog_->refresh_target(*outcome.response);
        note_peer(*outcome.response);
        session_timer_.answered(*outcome.response);
        return arm_session_timer();
    }
    // RFC 5057 §5.1: the dialog is gone, or the peer is.
    if (status == 481 || status == 408) {
        const Error error = outcome.response
                                ? Error{Errc::rejected, "the other side has lost the call", status}
                                : outcome.response.error();
        send_bye({});
        return finish({.by = SessionEnd::By::network, .status = 200, .reason = error.what, .error = error});
    }
    if (status == 405 || status == 501) peer_updates_ = false;
    if (status == 422 && session_timer_.raise(*outcome.response)) return refresh();
    refresh_timer_.start(refresh_pause, [this] { refresh(); });
}

// RFC 4028 §10.
void InviteSession::session_expired() {
    if (state_ != DialogState::confirmed || hanging_up_) return;
    send_bye("SIP;cause=408;text=\"Session timer expired\"");
    finish({.by = SessionEnd::By::timeout,
            .status = 408,
            .reason = "the session was not refreshed in time",
            .error = Error{Errc::timeout, "the session was not refreshed in time"}});
}

} // namespace offhook::sip
