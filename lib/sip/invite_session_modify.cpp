// Our re-INVITEs (RFC 3261 §14.1): one exchange at a time, 491 retried in the window the RFC gives.
#include "base/random.hpp"
#include "sip/invite_session.hpp"

namespace offhook::sip {

void InviteSession::reinvite() {
    if (!modifiable() || listener_ == nullptr) return;
    reinvite_wanted_ = true;
    if (modify_request_ || ack_pending_ || retry_timer_.running()) return; // done as soon as that is over
    send_reinvite();
}

bool InviteSession::modifiable() const {
    if (hanging_up_ || state_ == DialogState::terminated) return false;
    if (state_ == DialogState::confirmed) return true;
    return exchange_ == Exchange::done && peer_updates_ && !reliable_.holds_back_success() &&
           (dialog_ || !early_.empty());
}

void InviteSession::send_reinvite() {
    reinvite_wanted_ = false;
    auto offer = listener_->make_offer();
    if (!offer) return reinvite_failed(offer.error());
    const bool early = state_ != DialogState::confirmed; // RFC 3311 §5.1
    Dialog *dialog = dialog_ ? &*dialog_ : nullptr;
    for (Early &fork : early_) // the one whose answer counts
        if (!dialog_ && fork.dialog.id.remote_tag == early_tag_) dialog = &fork.dialog;
    if (dialog == nullptr) return reinvite_failed({Errc::rejected, "the called device has given up"});
    Draft draft = dialog->request(early ? "UPDATE" : "INVITE");
    session_timer_.ask(draft);
    draft.set_body("application/sdp", *offer);
    modify_request_ =
        ua_.request(in_dialog(std::move(draft), *dialog), {},
                    [this](const ClientRequest::Outcome &outcome) { on_reinvite_final(outcome); });
}

void InviteSession::on_reinvite_final(const ClientRequest::Outcome &outcome) {
    if (outcome.response && outcome.response->status() / 100 == 2)
        return on_reinvite_success(*outcome.response, outcome.flow);
    const Error error =
        outcome.response
            ? Error{Errc::rejected,
                    "the peer refused the change: " + std::to_string(outcome.response->status()) + " " +
                        std::string(outcome.response->reason()),
                    outcome.response->status()}
            : outcome.response.error();
    ua_.loop().post([request = std::shared_ptr<ClientRequest>(std::move(modify_request_))] {});
    if (listener_ == nullptr || state_ == DialogState::terminated) return;
    if (error.sip == 422 && outcome.response && session_timer_.raise(*outcome.response)) {
        listener_->on_reinvited(fail(error)); // rolled back, and offered again at once
        return send_reinvite();
    }
    const bool early = state_ != DialogState::confirmed; // the INVITE itself is still open
    // RFC 3261 §14.1 and RFC 5057 §5.1: these two mean that the dialog itself is gone.
    if (!early && (error.sip == 481 || error.sip == 408 || error.code == Errc::timeout)) {
        send_bye({});
        return finish({.by = SessionEnd::By::network, .status = 200, .reason = error.what, .error = error});
    }
    if (error.sip == 491) {
        listener_->on_reinvited(fail(error));
        // The owner of the Call-ID waits 2.1–4 s, the other side 0–2 s, in steps of 10 ms.
        const Duration wait{10 * static_cast<int>(uas_ ? random_below(200) : 210 + random_below(190))};
        return retry_timer_.start(wait, [this] {
            if (modifiable()) send_reinvite();
        });
    }
    reinvite_failed(error);
}

void InviteSession::on_reinvite_success(const Message &response, const Flow &flow) {
    if (!modify_request_) { // a retransmitted 2xx
        if (!ack_bytes_.empty()) ua_.transactions().resend(ack_flow_, ack_bytes_);
        return;
    }
    if (modify_request_->draft().method == "INVITE") acknowledge(response, flow, {});
    if (dialog_) dialog_->refresh_target(response);
    finished_modify_ = std::move(modify_request_); // keeps absorbing repeated 2xx
    if (listener_ == nullptr || state_ == DialogState::terminated) return;
    note_peer(response);
    session_timer_.answered(response);
    if (state_ == DialogState::confirmed) arm_session_timer();
    auto taken = listener_->on_answer(response.body());
    if (!taken) return reinvite_failed(taken.error());
    listener_->on_reinvited({});
    if (reinvite_wanted_) reinvite();
}

void InviteSession::reinvite_failed(Error error) {
    if (listener_ != nullptr) listener_->on_reinvited(fail(std::move(error)));
    if (reinvite_wanted_) reinvite();
}

} // namespace offhook::sip
