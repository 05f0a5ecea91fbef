// Transfers of the phone's calls: commands, and REFER and NOTIFY that arrive.
#include <algorithm>

#include "base/text.hpp"
#include "phone/phone_self.hpp"
#include "sip/refer.hpp"

namespace offhook {

namespace {

template <class Transfers>
auto *of_call(const Transfers &transfers, CallId call, bool under_way) {
    const auto found = std::ranges::find_if(transfers, [&](const auto &transfer) {
        return transfer->call() == call && (!under_way || transfer->under_way());
    });
    return found == transfers.end() ? nullptr : found->get();
}

} // namespace

// Commands ------------------------------------------------------------------------------------------------

Result<> Phone::transfer(CallId call, std::string_view target, TransferOptions options) {
    auto &self = *self_;
    const auto found = self.need(call);
    if (!found) return fail(found.error());
    const auto parsed = self.parse(target, (*found)->account().settings().name);
    if (!parsed) return fail(parsed.error());
    OutgoingTransfer::Plan plan;
    plan.target = parsed->uri;
    plan.attended = options.attended;
    plan.wait = options.wait;
    plan.patience = options.patience;
    return self.hand_on(**found, std::move(plan));
}

Result<> Phone::transfer(CallId call, CallId to) {
    auto &self = *self_;
    const auto found = self.need(call);
    const auto other = self.need(to);
    if (!found) return fail(found.error());
    if (!other) return fail(other.error());
    if (call == to || !(*other)->confirmed())
        return fail(Errc::invalid_argument, "expected another call that is answered, not " + to_string(to));
    OutgoingTransfer::Plan plan;
    plan.target = (*other)->address_for_others();
    plan.consult = to;
    return self.hand_on(**found, std::move(plan));
}

Result<> Phone::accept_transfer(CallId call) {
    return self_->asked_transfer(call).map([](IncomingTransfer *transfer) { transfer->approve(); });
}

Result<> Phone::refuse_transfer(CallId call) {
    return self_->asked_transfer(call).map([](IncomingTransfer *transfer) { transfer->refuse(603); });
}

Result<> Phone::Self::hand_on(Call &call, OutgoingTransfer::Plan plan) {
    if (!call.confirmed()) return fail(Errc::invalid_argument, "the call is not answered");
    if (of_call(outgoing_transfers_, call.id(), true) != nullptr ||
        of_call(incoming_transfers_, call.id(), true) != nullptr)
        return fail(Errc::invalid_argument, "the call is being transferred already");
    outgoing_transfers_.push_back(std::make_unique<OutgoingTransfer>(*this, call, std::move(plan)));
    outgoing_transfers_.back()->start();
    return {};
}

Result<IncomingTransfer *> Phone::Self::asked_transfer(CallId call) const {
    for (const auto &transfer : incoming_transfers_)
        if (transfer->call() == call && transfer->waits_for_approval()) return transfer.get();
    return fail(Errc::invalid_argument, "no transfer of " + to_string(call) + " waits for a decision");
}

// TransferHost --------------------------------------------------------------------------------------------

Result<CallId> Phone::Self::dial_for(Call &call, const sip::Uri &target,
                                     std::vector<std::pair<std::string, std::string>> headers) {
    if (shutting_down_) return fail(Errc::invalid_argument, "the phone is shutting down", 480);
    if (live_calls() >= most_calls)
        return fail(Errc::invalid_argument, "there are too many calls already", 486);
    DialOptions options;
    options.account = call.account().settings().name;
    options.headers = std::move(headers);
    const CallId id{++last_call_};
    calls_.push_back(
        Call::outgoing(*this, id, call.account(), target, plain_uri(target), std::move(options)));
    return id;
}

void Phone::Self::forget(const OutgoingTransfer &transfer) {
    loop_.post([this, gone = &transfer, still = std::weak_ptr<char>(alive_)] {
        if (!still.expired())
            std::erase_if(outgoing_transfers_, [&](const auto &t) { return t.get() == gone; });
    });
}

void Phone::Self::forget(const IncomingTransfer &transfer) {
    loop_.post([this, gone = &transfer, still = std::weak_ptr<char>(alive_)] {
        if (!still.expired())
            std::erase_if(incoming_transfers_, [&](const auto &t) { return t.get() == gone; });
    });
}

void Phone::Self::on_hold_ended(Call &call, bool ok) {
    if (auto *transfer = of_call(outgoing_transfers_, call.id(), true)) transfer->on_hold_ended(ok);
}

void Phone::Self::on_call_over(Call &call) {
    for (const auto &transfer : outgoing_transfers_)
        if (transfer->call() == call.id()) transfer->on_call_over(call);
    for (const auto &transfer : incoming_transfers_)
        if (transfer->call() == call.id()) transfer->on_call_over(call);
}

void Phone::Self::on_renumbered(CallId one, CallId other) {
    for (const auto &transfer : outgoing_transfers_)
        transfer->on_renumbered(one, other);
    for (const auto &transfer : incoming_transfers_)
        transfer->on_renumbered(one, other);
}

// From the event queue, so that a transfer never acts inside the call that it listens to.
void Phone::Self::follow_transfers(const Event &event) {
    for (const auto &transfer : outgoing_transfers_)
        transfer->on_event(event);
    for (const auto &transfer : incoming_transfers_)
        transfer->on_event(event);
}

// Requests ------------------------------------------------------------------------------------------------

void Phone::Self::on_other_usage(Call &call, const sip::Message &request,
                                 const sip::ServerTransaction &transaction) {
    switch (request.method()) {
    case sip::Method::refer:
        return on_refer(call, transaction);
    case sip::Method::notify:
        for (const auto &transfer : outgoing_transfers_)
            if (transfer->call() == call.id() && transfer->on_notify(request, transaction)) return;
        tell(event::Log{"warning", to_string(call.id()) +
                                       ": refused a NOTIFY that nobody asked for (Event: " +
                                       sanitise(request.value(sip::HeaderId::event)) + ")"});
        return transaction.respond(481);
    default: // SUBSCRIBE
        for (const auto &transfer : incoming_transfers_)
            if (transfer->call() == call.id() && transfer->on_subscribe(request, transaction)) return;
        transaction.respond(481);
    }
}

// The status that refuses the REFER, and why; or nothing: it is let in.
std::optional<Error> Phone::Self::refusal_of(const Call &call, const sip::Uri &target) const {
    const auto no = [](unsigned status, std::string why) {
        return Error{Errc::rejected, std::move(why), status};
    };
    if (settings_.refer.value_or(ReferPolicy::deny) == ReferPolicy::deny)
        return no(603, "transfers are not taken (--refer)");
    if (!call.confirmed()) return no(403, "the call is not established");
    if (of_call(outgoing_transfers_, call.id(), true) != nullptr ||
        of_call(incoming_transfers_, call.id(), true) != nullptr)
        return no(491, "the call is being transferred already");
    if (!settings_.refer_anywhere && !call.account().peer_to_peer() && !call.account().in_domain(target))
        return no(603, plain_uri(target) + " is not in the account's domain (refer_to)");
    return std::nullopt;
}

// A number is one of the account's domain, as when the user calls it.
Result<sip::ReferTo> Phone::Self::target_of(const Call &call, const sip::Message &refer) const {
    auto target = sip::refer_to_of(refer);
    if (!target || target->uri.is_sip()) return target;
    auto number = parse_target(target->uri.encode(), {}, call.account().domain());
    if (!number) return fail(Errc::rejected, number.error().what, 416);
    target->uri = std::move(number->uri);
    return target;
}

void Phone::Self::on_refer(Call &call, const sip::ServerTransaction &transaction) {
    auto target = target_of(call, transaction.request());
    std::optional<Error> refusal;
    if (!target)
        refusal = target.error();
    else
        refusal = refusal_of(call, target->uri);
    if (refusal) {
        tell(
            event::Log{"warning", to_string(call.id()) + ": refused a transfer: " + sanitise(refusal->what)});
        return transaction.respond(refusal->sip);
    }
    const bool first = std::ranges::none_of(
        incoming_transfers_, [&](const auto &transfer) { return transfer->call() == call.id(); });
    incoming_transfers_.push_back(
        std::make_unique<IncomingTransfer>(*this, call, std::move(*target), transaction, first));
    if (settings_.refer == ReferPolicy::ask)
        incoming_transfers_.back()->ask();
    else
        incoming_transfers_.back()->approve();
}

} // namespace offhook
