#include "phone/outgoing_transfer.hpp"

#include "base/text.hpp"
#include "sip/event_headers.hpp"
#include "sip/status.hpp"

namespace offhook {

namespace {

constexpr int exit_no_answer = 11, exit_declined = 12, exit_network = 20;
constexpr Duration last_notify{5'000}; // how long the end of a subscription is awaited after its outcome

} // namespace

OutgoingTransfer::OutgoingTransfer(TransferHost &host, const Call &call, Plan plan)
    : host_(host), id_(call.id()), view_(call.view()), plan_(std::move(plan)), consultation_(plan_.consult),
      timer_(host.loop()), patience_(host.loop()) {
    machine_.attended = plan_.attended && !plan_.consult;
    machine_.subscription.timer_n = 64 * host.user_agent().transactions().timers().t1;
}

OutgoingTransfer::~OutgoingTransfer() {
    if (orphan_) host_.user_agent().remove_usage(orphan_->dialog.id, *this);
}

void OutgoingTransfer::start() {
    if (plan_.patience.count() > 0)
        patience_.start(plan_.patience, [this] {
            gave_up_ = true;
            apply({.kind = Kind::give_up});
        });
    tell(0, {});
    apply({.kind = Kind::start, .held = view_.held_locally});
}

sip::TransferorDecision OutgoingTransfer::take(sip::TransferorEvent event) {
    event.now = host_.loop().now();
    auto decision = sip::step(machine_, event);
    machine_ = decision.next;
    return decision;
}

// From the loop: what happened meanwhile, or what could not be done, is an event like any other.
void OutgoingTransfer::later(Kind kind, unsigned status, std::string reason) {
    host_.loop().post(
        [this, still = std::weak_ptr<char>(alive_), kind, status, why = std::move(reason)]() mutable {
            if (!still.expired()) apply({.kind = kind, .status = status, .reason = std::move(why)});
        });
}

void OutgoingTransfer::act(const sip::TransferorDecision &decision) {
    if (decision.wait) timer_.start(*decision.wait, [this] { apply({.kind = Kind::timer}); });
    if (decision.hold) hold();
    if (decision.consult) consult();
    if (decision.refer) refer();
    if (decision.progress) tell(*decision.progress, std::string(sip::reason_phrase(*decision.progress)));
    if (decision.outcome) {
        patience_.cancel();
        tell_outcome(*decision.outcome);
        if (!decision.over) timer_.start(last_notify, [this] { apply({.kind = Kind::timer}); });
    }
    auto *call = host_.find(id_);
    if (decision.resume && call != nullptr) (void)call->hold(false); // it may have ended this moment
    if (decision.hang_up && call != nullptr && !call->over()) (void)call->hang_up();
    if (decision.end_consultation && consultation_)
        if (auto *other = host_.find(*consultation_); other != nullptr && !other->over())
            (void)other->hang_up();
    if (decision.over) host_.forget(*this);
}

void OutgoingTransfer::hold() {
    auto *call = host_.find(id_);
    if (call == nullptr) return later(Kind::call_ended);
    if (auto held = call->hold(true); !held) later(Kind::hold_failed);
}

void OutgoingTransfer::on_hold_ended(bool ok) {
    if (machine_.phase == sip::Transferor::Phase::holding) later(ok ? Kind::held : Kind::hold_failed);
}

void OutgoingTransfer::consult() {
    auto *call = host_.find(id_);
    if (call == nullptr) return later(Kind::call_ended);
    auto dialled = host_.dial_for(*call, plan_.target, {});
    if (!dialled) return later(Kind::consult_failed, dialled.error().sip, dialled.error().what);
    consultation_ = *dialled;
}

void OutgoingTransfer::on_event(const Event &event) {
    const auto *view = call_of(event);
    if (view == nullptr || !consultation_ || view->id != *consultation_) return;
    if (std::holds_alternative<event::CallAnswered>(event)) apply({.kind = Kind::consulted});
    if (const auto *ended = std::get_if<event::CallEnded>(&event))
        apply({.kind = Kind::consult_failed, .status = ended->code, .reason = ended->reason});
}

void OutgoingTransfer::refer() {
    auto *call = host_.find(id_);
    if (call == nullptr || !call->confirmed()) return later(Kind::failed, 0, "the call is over");
    sip::ReferTo target{plan_.target, {}};
    if (consultation_) {
        const auto *other = host_.find(*consultation_);
        if (other == nullptr || !other->confirmed())
            return later(Kind::answered, 481, "the call to the target is over");
        target.uri = other->address_for_others();
        target.replaces = sip::Replaces::of(other->session()->dialog()->id);
    }
    auto options = call->session()->other_request("REFER");
    auto &draft = options.draft;
    draft.add("Refer-To", target.encode());
    if (auto local = sip::NameAddr::parse(call->session()->dialog()->local)) {
        local->params = {};
        draft.add("Referred-By", local->encode());
    }
    if (!plan_.wait) draft.add("Refer-Sub", "false");
    draft.set("Supported", "norefersub, replaces");
    request_ = host_.user_agent().request(
        std::move(options), {},
        [this](const sip::ClientRequest::Outcome &outcome) { on_refer_answered(outcome); });
}

void OutgoingTransfer::on_refer_answered(const sip::ClientRequest::Outcome &outcome) {
    if (!outcome.response) {
        apply({.kind = Kind::failed, .reason = outcome.response.error().what});
        return;
    }
    const auto &response = *outcome.response;
    apply({.kind = Kind::answered,
           .no_subscription = !sip::refer_sub_of(response).value_or(true),
           .status = response.status(),
           .reason = sanitise(response.reason())});
}

// RFC 3515 §2.4.6: the id is the CSeq of the REFER; the first of a dialog may go without.
bool OutgoingTransfer::of_our_refer(const sip::Message &notify) const {
    if (!request_) return false;
    const auto event = sip::EventName::parse(notify.value(sip::HeaderId::event));
    const auto cseq = sip::CSeq::parse(request_->draft().get("CSeq"));
    return event && event->package == "refer" && cseq &&
           (event->id.empty() || event->id == std::to_string(cseq->number));
}

bool OutgoingTransfer::on_notify(const sip::Message &request, const sip::ServerTransaction &transaction) {
    if (!of_our_refer(request)) return false;
    const auto state = sip::SubscriptionStatus::parse(request.value(sip::HeaderId::subscription_state));
    if (!state) {
        transaction.respond(400, "Subscription-State expected");
        return true;
    }
    sip::TransferorEvent event{.kind = Kind::notified};
    event.state = *state;
    if (sip::is_sipfrag(request.value(sip::HeaderId::content_type)))
        if (const auto told = sip::parse_sipfrag(request.body())) {
            event.status = told->status;
            event.reason = sanitise(told->reason);
        }
    const auto decision = take(std::move(event));
    transaction.respond(decision.answer); // before the BYE that may follow from it
    act(decision);
    return true;
}

void OutgoingTransfer::on_call_over(Call &call) {
    view_ = call.view();
    if (const auto *session = call.session(); session != nullptr && session->dialog()) {
        orphan_ = session->context();
        host_.user_agent().add_usage(orphan_->dialog.id, *this);
    }
    apply({.kind = Kind::call_ended});
}

void OutgoingTransfer::on_renumbered(CallId one, CallId other) {
    renumber(id_, one, other);
    if (consultation_) renumber(*consultation_, one, other);
}

void OutgoingTransfer::on_request(const sip::Message &request, const sip::Flow &,
                                  sip::ServerTransaction transaction) {
    const auto cseq = request.cseq();
    if (!cseq || !orphan_->dialog.accept_cseq(cseq->number))
        return transaction.respond(500, "CSeq out of order");
    if (request.method() != sip::Method::notify || !on_notify(request, transaction)) transaction.respond(481);
}

void OutgoingTransfer::tell(unsigned code, const std::string &reason) {
    if (const auto *call = host_.find(id_)) view_ = call->view();
    event::CallTransfer event{view_};
    event.attended = plan_.attended || plan_.consult;
    event.target = plain_uri(plan_.target);
    event.code = code;
    event.reason = reason;
    host_.tell(std::move(event));
}

void OutgoingTransfer::tell_outcome(const sip::TransferorDecision::Outcome &outcome) {
    if (const auto *call = host_.find(id_)) view_ = call->view();
    event::CallTransfer event{view_};
    event.attended = plan_.attended || plan_.consult;
    event.target = plain_uri(plan_.target);
    event.code = outcome.code;
    event.reason = outcome.reason;
    event.done = true;
    if (!outcome.success)
        event.exit = gave_up_            ? exit_no_answer
                     : outcome.code != 0 ? sip::exit_code(outcome.code, sip::Purpose::call)
                     : outcome.timed_out ? exit_network
                                         : exit_declined; // FIRST hung up before it could be asked
    host_.tell(std::move(event));
}

} // namespace offhook
