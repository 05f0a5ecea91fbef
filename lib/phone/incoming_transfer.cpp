#include "phone/incoming_transfer.hpp"

#include "base/text.hpp"
#include "sip/status.hpp"

namespace offhook {

namespace {

constexpr std::uint32_t refer_life = 180; // seconds; a call rings no longer (timer C, RFC 3261 §16.6)
// The transferor ends the old call when it hears of the 200 (RFC 5589 §6.1); if it does not, we do.
constexpr Duration farewell_patience{2'000};

// What a failure without a SIP status is called in a NOTIFY.
unsigned true_code(const event::CallEnded &ended) {
    if (ended.code >= 300) return ended.code;
    return ended.by == EndedBy::timeout ? 408 : 503;
}

} // namespace

IncomingTransfer::IncomingTransfer(TransferHost &host, Call &call, sip::ReferTo target,
                                   const sip::ServerTransaction &refer, bool first)
    : host_(host), id_(call.id()), view_(call.view()), target_(std::move(target)), event_("refer"),
      expiry_(host.loop()), farewell_(host.loop()) {
    machine_.max_expires = refer_life;
    const auto &request = refer.request();
    referred_by_ = request.value(sip::HeaderId::referred_by);
    if (const auto cseq = request.cseq(); cseq && !first) event_ += ";id=" + std::to_string(cseq->number);
    subscribed_ = sip::refer_sub_of(request).value_or(true);
    auto accepted = sip::Draft::response(request, 202);
    host.user_agent().add_capabilities(accepted);
    const auto context = call.session()->context();
    accepted.add("Contact", sip::contact_value(host.user_agent(), refer.flow(), context.contact_user,
                                               context.public_address));
    if (!subscribed_) accepted.add("Refer-Sub", "false");
    refer.respond(accepted);
    if (subscribed_) apply({.kind = sip::NotifierEvent::Kind::subscribe});
}

IncomingTransfer::~IncomingTransfer() {
    if (orphan_) host_.user_agent().remove_usage(orphan_->dialog.id, *this);
}

// Notifications -------------------------------------------------------------------------------------------

sip::NotifierDecision IncomingTransfer::apply(sip::NotifierEvent event) {
    event.now = host_.loop().now();
    auto decision = sip::step(machine_, event);
    machine_ = decision.next;
    if (decision.wait)
        expiry_.start(*decision.wait, [this] { apply({.kind = sip::NotifierEvent::Kind::timer}); });
    if (decision.notify) send_notify(decision.state);
    if (decision.over) subscribed_ = false;
    forget_when_told();
    return decision;
}

void IncomingTransfer::send_notify(const sip::SubscriptionStatus &state) {
    auto *call = host_.find(id_);
    sip::ClientRequest::Options options;
    if (orphan_)
        options = orphan_->request(host_.user_agent(), "NOTIFY");
    else if (call != nullptr && call->session() != nullptr && call->session()->dialog())
        options = call->session()->other_request("NOTIFY");
    else
        return;
    options.draft.add("Event", event_);
    options.draft.add("Subscription-State", state.encode());
    options.draft.set_body("message/sipfrag;version=2.0", sip::make_sipfrag(code_, reason_));
    notify_ = host_.user_agent().request(
        std::move(options), {}, [this](const sip::ClientRequest::Outcome &outcome) {
            // The request is still inside its callback: the next one must not replace it there.
            const unsigned status = outcome.response ? outcome.response->status() : 0;
            host_.loop().post([this, still = std::weak_ptr<char>(alive_), status] {
                if (!still.expired()) apply({.kind = sip::NotifierEvent::Kind::answered, .status = status});
            });
        });
}

bool IncomingTransfer::on_subscribe(const sip::Message &request, const sip::ServerTransaction &transaction) {
    const auto event = sip::EventName::parse(request.value(sip::HeaderId::event));
    if (!event || (event->encode() != event_ && event->encode() != "refer")) return false;
    sip::NotifierEvent asked{.kind = sip::NotifierEvent::Kind::subscribe};
    if (const auto expires = sip::parse_delta_seconds(request.value(sip::HeaderId::expires)))
        asked.expires = *expires;
    if (!subscribed_) {
        transaction.respond(481);
        return true;
    }
    // The answer goes out before the NOTIFY that follows from it.
    const auto foreseen = sip::step(machine_, asked);
    auto answer = sip::Draft::response(request, foreseen.answer);
    if (foreseen.answer == 200) answer.add("Expires", std::to_string(foreseen.expires));
    host_.user_agent().add_capabilities(answer);
    transaction.respond(answer);
    if (foreseen.answer == 200) apply(asked);
    return true;
}

// The new call --------------------------------------------------------------------------------------------

void IncomingTransfer::ask() {
    asking_ = true;
    tell(false, 0);
}

void IncomingTransfer::approve() {
    asking_ = false;
    auto *call = host_.find(id_);
    if (call == nullptr || done_) return;
    std::vector<std::pair<std::string, std::string>> headers;
    if (!referred_by_.empty()) headers.emplace_back("Referred-By", referred_by_);
    if (target_.replaces) headers.emplace_back("Replaces", target_.replaces->encode());
    auto dialled = host_.dial_for(*call, target_.uri, std::move(headers));
    if (!dialled) {
        const unsigned code = dialled.error().sip >= 300 ? dialled.error().sip : 503;
        return finish(code, sanitise(dialled.error().what), sip::exit_code(dialled.error()));
    }
    next_ = *dialled;
    tell(false, 0);
}

void IncomingTransfer::refuse(unsigned status) {
    asking_ = false;
    finish(status, std::string(sip::reason_phrase(status)), sip::exit_code(status, sip::Purpose::call));
}

void IncomingTransfer::on_event(const Event &event) {
    const auto *view = call_of(event);
    if (view == nullptr || !next_ || view->id != *next_) return;
    if (const auto *ringing = std::get_if<event::CallRinging>(&event))
        progress(ringing->code, ringing->reason);
    if (const auto *early = std::get_if<event::CallEarly>(&event))
        progress(early->code, std::string(sip::reason_phrase(early->code)));
    if (std::holds_alternative<event::CallAnswered>(event)) connected();
    if (const auto *ended = std::get_if<event::CallEnded>(&event))
        finish(true_code(*ended), ended->reason, ended->exit);
}

void IncomingTransfer::progress(unsigned code, const std::string &reason) {
    if (done_ || code == code_) return;
    code_ = code;
    reason_ = reason;
    tell(false, 0);
    if (subscribed_) apply({.kind = sip::NotifierEvent::Kind::changed});
}

void IncomingTransfer::connected() {
    if (done_) return;
    auto *call = host_.find(id_);
    if (auto *next = host_.find(*next_); next != nullptr && call != nullptr) hand_over(*call, *next);
    farewell_.start(farewell_patience, [this] {
        if (auto *old = host_.find(id_); old != nullptr && !old->over()) (void)old->hang_up();
        forget_when_told();
    });
    finish(200, "OK", 0);
}

void IncomingTransfer::hand_over(Call &old, Call &next) {
    if (!std::exchange(handed_over_, true)) next.take_place_of(old);
}

void IncomingTransfer::finish(unsigned code, const std::string &reason, int exit) {
    if (std::exchange(done_, true)) return;
    code_ = code;
    reason_ = reason;
    tell(true, exit);
    if (subscribed_) apply({.kind = sip::NotifierEvent::Kind::stop, .reason = "noresource"});
    forget_when_told();
}

void IncomingTransfer::forget_when_told() {
    const auto *old = host_.find(id_);
    const bool farewell = code_ / 100 == 2 && old != nullptr && !old->over() && !orphan_;
    if (!done_ || subscribed_ || (farewell && !forgotten_ && farewell_.running())) return;
    if (!std::exchange(forgotten_, true)) host_.forget(*this);
}

// The old call --------------------------------------------------------------------------------------------

void IncomingTransfer::on_call_over(Call &call) {
    view_ = call.view();
    if (const auto *session = call.session(); session != nullptr && session->dialog()) {
        orphan_ = session->context();
        host_.user_agent().add_usage(orphan_->dialog.id, *this);
    }
    if (asking_) refuse(487); // nobody will decide any more
    // The transferor did not wait for the outcome: the call goes on as the one that is on its way.
    if (auto *next = next_ && !done_ ? host_.find(*next_) : nullptr; next != nullptr && !next->over()) {
        hand_over(call, *next);
        if (next->confirmed()) connected(); // its event bears the other number
    }
    forget_when_told();
}

void IncomingTransfer::on_renumbered(CallId one, CallId other) {
    renumber(id_, one, other);
    if (next_) renumber(*next_, one, other);
}

void IncomingTransfer::on_request(const sip::Message &request, const sip::Flow &,
                                  sip::ServerTransaction transaction) {
    const auto cseq = request.cseq();
    if (!cseq || !orphan_->dialog.accept_cseq(cseq->number))
        return transaction.respond(500, "CSeq out of order");
    if (request.method() != sip::Method::subscribe || !on_subscribe(request, transaction))
        transaction.respond(481);
}

void IncomingTransfer::tell(bool done, int exit) {
    if (const auto *call = host_.find(handed_over_ ? *next_ : id_)) view_ = call->view();
    event::CallTransfer event{view_};
    event.role = TransferRole::transferee;
    event.attended = target_.replaces.has_value();
    event.target = plain_uri(target_.uri);
    event.code = code_;
    event.reason = sanitise(reason_.empty() ? sip::reason_phrase(code_) : reason_);
    event.asks = asking_;
    event.done = done;
    event.exit = exit;
    if (!handed_over_) event.next = next_;
    host_.tell(std::move(event));
}

} // namespace offhook
