// Before the answer: a caller's early dialogs, reliable provisional responses and their PRACK on both sides
// (RFC 3261 §12.1, RFC 3262).
#include <algorithm>

#include "sip/invite_session.hpp"
#include "sip/session_description.hpp"

// g++ 12 at -O2 takes the element moved into a vector for the local variable that it came from.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wreturn-local-addr"
#endif

namespace offhook::sip {

namespace {

constexpr std::size_t most_forks = 16;
constexpr std::size_t most_waiting = 8; // provisionals; nobody rings that often
constexpr std::size_t most_pracks = 32; // remembered; older ones are answered long ago

} // namespace

Dialog *InviteSession::dialog_of(const Message &request) {
    if (dialog_) return &*dialog_;
    const auto from = request.from();
    const auto found = std::ranges::find_if(
        early_, [&](const Early &early) { return from && early.dialog.id.remote_tag == from->tag(); });
    return found == early_.end() ? nullptr : &found->dialog;
}

std::vector<DialogId> InviteSession::dialogs() const {
    if (dialog_) return {dialog_->id};
    std::vector<DialogId> ids;
    for (const auto &early : early_)
        ids.push_back(early.dialog.id);
    return ids;
}

InviteSession::Early *InviteSession::early_dialog(const Message &response) {
    auto dialog = Dialog::uac(invite_request_->draft(), response);
    if (!dialog) return nullptr; // without Contact: progress, but nothing to send requests to
    const auto known = std::ranges::find_if(
        early_, [&](const Early &early) { return early.dialog.id.remote_tag == dialog->id.remote_tag; });
    if (known != early_.end()) {
        known->dialog.remote_target = dialog->remote_target;
        return &*known;
    }
    if (early_.size() >= most_forks) return nullptr;
    ua_.add_usage(dialog->id, *this);
    early_.push_back({std::move(*dialog), {}});
    return &early_.back();
}

void InviteSession::drop_early_dialogs() {
    for (const auto &early : early_)
        ua_.remove_usage(early.dialog.id, *this);
    early_.clear();
}

// A provisional response with a To tag. False: it is a repetition, or came before one that was lost.
bool InviteSession::take_early(const Message &response) {
    Early *early = early_dialog(response);
    note_peer(response);
    const auto rseq = response.lists_token(HeaderId::require, "100rel")
                          ? parse_rseq(response.value(HeaderId::rseq))
                          : std::nullopt;
    const bool reliable = early != nullptr && rseq;
    if (reliable && early->reliable.receive(*rseq) != ReliableReceiver::Verdict::acknowledge) return false;
    std::string answer;
    if (holds_sdp(response))
        take_early_session(response, std::string(response.to()->tag()), reliable, answer);
    if (reliable) {
        const auto cseq = response.cseq();
        send_prack(*early, {*rseq, cseq ? cseq->number : 1, "INVITE"}, answer);
    }
    if (failure_) hang_up();
    return true;
}

// The answer may come in an unreliable provisional; the 2xx then repeats it (RFC 3261 §13.2.1). Another
// fork's early media replaces nothing: the first answer counts until the 2xx. An offer counts when it comes
// reliably.
void InviteSession::take_early_session(const Message &response, const std::string &tag, bool reliable,
                                       std::string &answer) {
    if (listener_ == nullptr || exchange_ == Exchange::done) return;
    if (offer_sent_) {
        if (early_tag_.empty() && listener_->on_answer(response.body())) early_tag_ = tag;
        if (reliable && early_tag_ == tag) exchange_ = Exchange::done;
        return;
    }
    if (!reliable) return;
    auto ours = listener_->on_offer(response.body());
    exchange_ = Exchange::done;
    early_tag_ = tag;
    if (ours)
        answer = std::move(*ours);
    else
        failure_ = ours.error();
}

void InviteSession::send_prack(Early &early, const RAck &rack, const std::string &answer) {
    Draft prack = early.dialog.request("PRACK");
    prack.add("RAck", rack.encode());
    if (!answer.empty()) prack.set_body("application/sdp", answer);
    if (pracks_.size() >= most_pracks) pracks_.erase(pracks_.begin());
    // Whatever comes back: the callee repeats its response until it has heard us, and the 2xx decides.
    pracks_.push_back(ua_.request(in_dialog(std::move(prack), early.dialog), {}, [](const auto &) {}));
}

void InviteSession::ring_reliably(unsigned status, std::string sdp) {
    if (reliable_.busy()) {
        if (provisionals_.size() < most_waiting) provisionals_.push_back({status, std::move(sdp)});
        return;
    }
    if (exchange_ == Exchange::done) sdp.clear();
    // RFC 3261 §13.2.1: without an offer in the INVITE the first reliable response has to bring it.
    if (exchange_ == Exchange::none) {
        if (sdp.empty() && listener_ != nullptr) {
            auto offer = listener_->make_offer();
            if (!offer) return reject(500, offer.error().what);
            sdp = std::move(*offer);
        }
        exchange_ = Exchange::ours;
    } else if (!sdp.empty()) {
        exchange_ = Exchange::done;
    }
    apply(DialogEvent::provisional_with_tag);
    const Duration t1 = ua_.transactions().timers().t1;
    const std::uint32_t rseq = reliable_.send(!sdp.empty(), t1);
    provisional_ = answer_draft(server_, status, sdp);
    provisional_->add("Require", "100rel").add("RSeq", std::to_string(rseq));
    server_.respond(*provisional_);
    repeat_provisional();
}

void InviteSession::repeat_provisional() {
    const auto wait = reliable_.next_wait(ua_.transactions().timers().t1);
    if (!wait) { // RFC 3262 §3: 64*T1 without PRACK
        server_.respond(504, "No PRACK came", local_tag_);
        return finish({.by = SessionEnd::By::timeout,
                       .status = 504,
                       .reason = "no PRACK came for our provisional response",
                       .error = Error{Errc::timeout, "no PRACK came for our provisional response"}});
    }
    provisional_timer_.start(*wait, [this] {
        if (server_.answered()) return;
        server_.respond(*provisional_);
        repeat_provisional();
    });
}

void InviteSession::on_prack(const Message &request, const ServerTransaction &transaction) {
    const auto rack = RAck::parse(request.value(HeaderId::rack));
    const auto cseq = invite_.cseq();
    if (!uas_ || !rack || !cseq || !reliable_.acknowledge(*rack, cseq->number))
        return transaction.respond(481, "No such provisional response");
    provisional_timer_.cancel();
    if (server_.answered() || listener_ == nullptr) return transaction.respond(200);
    auto answer = take_prack_session(request);
    if (!answer) {
        transaction.respond(answer.error().sip >= 400 ? answer.error().sip : 488);
        return reject(488, answer.error().what);
    }
    Draft reply = Draft::response(request, 200);
    if (!answer->empty()) reply.set_body("application/sdp", *answer);
    transaction.respond(reply);
    after_prack();
}

// RFC 3262 §5: the answer to our offer, or an offer of its own once the first exchange is over. Our answer to
// it, or nothing.
Result<std::string> InviteSession::take_prack_session(const Message &request) {
    if (exchange_ == Exchange::ours) {
        exchange_ = Exchange::done;
        if (!holds_sdp(request)) return fail(Errc::media, "the PRACK brought no answer to our offer", 488);
        if (auto taken = listener_->on_answer(request.body()); !taken) return fail(taken.error());
        return std::string{};
    }
    if (!holds_sdp(request)) return std::string{};
    if (exchange_ != Exchange::done) return fail(Errc::media, "an offer where an answer is due", 488);
    return listener_->on_offer(request.body());
}

void InviteSession::after_prack() {
    if (!provisionals_.empty()) {
        auto next = std::move(provisionals_.front());
        provisionals_.pop_front();
        ring_reliably(next.status, std::move(next.sdp));
    }
    if (accepted_ && !reliable_.holds_back_success()) accept(*std::exchange(accepted_, std::nullopt));
}

} // namespace offhook::sip
