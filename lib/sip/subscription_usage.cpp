#include "sip/subscription_usage.hpp"

namespace offhook::sip {

namespace {

std::optional<std::uint32_t> seconds_in(const Message &message, HeaderId id) {
    if (!message.has(id)) return std::nullopt;
    const auto seconds = parse_delta_seconds(message.value(id));
    return seconds ? std::optional(*seconds) : std::nullopt;
}

} // namespace

SubscriptionUsage::SubscriptionUsage(UserAgent &ua, ClientRequest::Options subscribe, std::uint32_t expires_s,
                                     Listener &listener)
    : ua_(ua), options_(std::move(subscribe)), listener_(listener), timer_(ua.loop()) {
    machine_.expires = expires_s;
    if (auto event = EventName::parse(options_.draft.get("Event"))) event_ = *event;
    if (const auto from = NameAddr::parse(options_.draft.get("From"))) expected_.local_tag = from->tag();
    expected_.call_id = options_.draft.get("Call-ID");
    ua_.add_usage(expected_, *this);
}

SubscriptionUsage::~SubscriptionUsage() {
    ua_.remove_usage(expected_, *this);
    if (dialog_) ua_.remove_usage(dialog_->id, *this);
}

void SubscriptionUsage::start() {
    apply({.kind = Kind::start});
}

void SubscriptionUsage::stop() {
    apply({.kind = Kind::stop});
}

unsigned SubscriptionUsage::apply(SubscriberEvent event) {
    event.now = ua_.loop().now();
    auto decision = step(machine_, event);
    machine_ = decision.next;
    if (decision.wait) timer_.start(*decision.wait, [this] { apply({.kind = Kind::timer}); });
    if (decision.subscribe) subscribe(machine_.expires);
    if (decision.unsubscribe && dialog_) subscribe(0);
    // Nobody will send the last NOTIFY of what was never made.
    if (decision.unsubscribe && !dialog_) decision = {.next = machine_, .over = true, .why = "stopped"};
    if (decision.over) {
        machine_.phase = Subscriber::Phase::terminated;
        timer_.cancel();
        Error why = std::exchange(last_error_, {});
        if (why.what.empty()) why = {Errc::rejected, "the subscription ended: " + decision.why, 0};
        listener_.on_subscription_over(why, decision.again);
    }
    return decision.answer;
}

void SubscriptionUsage::subscribe(std::uint32_t expires) {
    ClientRequest::Options options = options_;
    if (dialog_) {
        Draft draft = dialog_->request("SUBSCRIBE");
        for (const char *name : {"Event", "Accept", "Contact", "User-Agent", "Allow-Events"})
            if (const auto value = options_.draft.get(name); !value.empty()) draft.add(name, value);
        options.draft = std::move(draft);
        if (auto hop = dialog_->next_hop()) options.next_hop = std::move(*hop);
        options.flow.reset();
        options.prepare = nullptr;
        cseq_ = dialog_->local_cseq;
    } else {
        options.draft.set("CSeq", std::to_string(cseq_++) + " SUBSCRIBE");
        // What was put in with the flow (Contact) is wanted for the refreshes too.
        options.prepare = [this, prepare = options_.prepare](Draft &draft, const Flow &flow) {
            if (prepare) prepare(draft, flow);
            options_.draft.set("Contact", draft.get("Contact"));
        };
    }
    options.draft.set("Expires", std::to_string(expires));
    ended_request_ = std::move(request_); // it may be at work above us
    request_ = ua_.request(std::move(options), {},
                           [this](const ClientRequest::Outcome &outcome) { on_final(outcome); });
}

void SubscriptionUsage::on_final(const ClientRequest::Outcome &outcome) {
    // Credential retries have used numbers of their own.
    if (const auto cseq = CSeq::parse(request_->draft().get("CSeq")); cseq) {
        cseq_ = cseq->number + 1;
        if (dialog_) dialog_->local_cseq = std::max(dialog_->local_cseq, cseq->number);
    }
    if (!outcome.response) {
        last_error_ = outcome.response.error();
        apply({.kind = Kind::failed});
        last_error_ = {};
        return;
    }
    const auto &response = *outcome.response;
    if (response.status() / 100 == 2) {
        apply({.kind = Kind::accepted, .granted = seconds_in(response, HeaderId::expires)});
        return;
    }
    const auto code = outcome.authenticated && (response.status() == 401 || response.status() == 407 ||
                                                response.status() == 403)
                          ? Errc::authentication
                          : Errc::rejected;
    last_error_ = {code, std::to_string(response.status()) + " " + std::string(response.reason()),
                   response.status()};
    apply({.kind = Kind::refused,
           .status = response.status(),
           .retry_after = seconds_in(response, HeaderId::retry_after),
           .min_expires = seconds_in(response, HeaderId::min_expires)});
    last_error_ = {};
}

bool SubscriptionUsage::ours(const Message &notify) const {
    const auto event = EventName::parse(notify.value(HeaderId::event));
    return event && *event == event_;
}

// The first notifier to come makes the dialog (RFC 6665 §4.4.1); false: this is another.
bool SubscriptionUsage::take_dialog(const Message &notify) {
    const auto from = notify.from();
    if (dialog_) return from && from->tag() == dialog_->id.remote_tag;
    auto dialog = Dialog::uas(notify, expected_.local_tag);
    if (!dialog) return false;
    dialog_ = std::move(*dialog);
    dialog_->local_cseq = cseq_;
    ua_.add_usage(dialog_->id, *this);
    return true;
}

void SubscriptionUsage::on_request(const Message &request, const Flow &, ServerTransaction transaction) {
    if (request.method() != Method::notify) return transaction.respond(405);
    if (!ours(request)) return transaction.respond(489);
    const auto state = SubscriptionStatus::parse(request.value(HeaderId::subscription_state));
    if (!state) return transaction.respond(400, "No Subscription-State");
    const bool first = !dialog_;
    if (!take_dialog(request)) return transaction.respond(481);
    const auto cseq = request.cseq();
    if (!first && cseq && !dialog_->accept_cseq(cseq->number))
        return transaction.respond(500, "CSeq out of order");
    dialog_->refresh_target(request);
    const bool known =
        machine_.phase != Subscriber::Phase::terminated && machine_.phase != Subscriber::Phase::idle;
    if (!known) return transaction.respond(481);
    transaction.respond(200);
    listener_.on_notify(request, *state);
    apply({.kind = Kind::notified, .state = *state});
}

} // namespace offhook::sip
