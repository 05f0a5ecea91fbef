#include <utility>

#include "sip/hop_by_hop.hpp"
#include "sip/transaction_key.hpp"
#include "sip/transaction_table.hpp"

namespace offhook::sip {

namespace {

Transaction machine_for(const Draft &request, const Flow &flow) {
    const bool invite = parse_method(request.method) == Method::invite;
    return {invite ? TransactionKind::invite_client : TransactionKind::non_invite_client,
            is_reliable(flow.kind)};
}

} // namespace

ClientTransaction::Shared::Shared(TransactionLayer::Self &owner, Draft draft, const Flow &way)
    : TransactionRunner(owner.loop, owner.timers, machine_for(draft, way)), layer(&owner),
      request(std::move(draft)), bytes(request.encode()), method(request.method), flow(way) {
    const auto via = Via::parse(request.get("Via"));
    for (const auto &[name, value] : request.headers)
        if (header_id(name) == HeaderId::via) vias += split_list(value).size();
    key = client_key(via ? via->branch() : std::string_view{}, method);
}

bool ClientTransaction::Shared::belongs(const Message &response) const {
    const auto ours = CSeq::parse(request.get("CSeq"));
    const auto theirs = response.cseq();
    return ours && theirs && ours->number == theirs->number && response.call_id() == request.get("Call-ID") &&
           response.list(HeaderId::via).size() == vias;
}

void ClientTransaction::Shared::receive(const Message &response, const Flow &way) {
    last_ = response;
    came_by_ = way;
    apply({TransactionEvent::Kind::response, response.status()});
}

void ClientTransaction::Shared::send() {
    if (auto sent = layer->transports.send(flow, bytes); !sent) transport_failed_later(sent.error());
}

void ClientTransaction::Shared::send_ack() {
    if (ack_.empty()) ack_ = ack_for(request, last_).encode();
    if (auto sent = layer->transports.send(flow, ack_); !sent) transport_failed_later(sent.error());
}

void ClientTransaction::Shared::ended() {
    if (layer != nullptr) layer->clients.erase(key);
}

void ClientTransaction::Shared::report(TransactionAction::Kind kind) {
    if (kind == TransactionAction::Kind::pass_up)
        pass_response();
    else if (kind == TransactionAction::Kind::report_timeout)
        fail_with({Errc::timeout, "no answer to " + method + " from " + describe(flow), 0});
    else
        fail_with(error());
}

void ClientTransaction::Shared::pass_response() {
    const Message response = last_; // the user may let the next one in
    const Flow way = came_by_;
    if (response.status() >= 200)
        finished = true;
    else if (cancel_reason_ && !cancel_sent_)
        send_cancel();
    if (const auto listening = callbacks)
        listening->response(response, way);
    else if (layer != nullptr && parse_method(method) == Method::invite && response.status() / 100 == 2)
        layer->listener.on_stray_response(response, way); // or the callee would wait for an ACK in vain
}

void ClientTransaction::Shared::fail_with(const Error &reason) {
    if (std::exchange(finished, true)) return; // the final response was all there is to say
    if (const auto listening = callbacks) listening->failure(Error(reason));
}

void ClientTransaction::Shared::cancel(std::string_view reason) {
    if (finished || cancel_reason_ || layer == nullptr || parse_method(method) != Method::invite) return;
    cancel_reason_ = std::string(reason);
    if (state() == TransactionState::proceeding) send_cancel();
}

void ClientTransaction::Shared::send_cancel() {
    if (layer == nullptr) return;
    cancel_sent_ = true;
    start_timer(TimerId::b, give_up());
    layer->start(cancel_for(request, *cancel_reason_), flow, nullptr);
}

ClientTransaction::ClientTransaction(ClientTransaction &&) noexcept = default;

ClientTransaction &ClientTransaction::operator=(ClientTransaction &&other) noexcept {
    std::swap(shared_, other.shared_);
    return *this;
}

ClientTransaction::~ClientTransaction() {
    if (shared_) shared_->callbacks.reset();
}

void ClientTransaction::cancel(std::string_view reason_header) {
    if (const auto keep = shared_) keep->cancel(reason_header);
}

bool ClientTransaction::running() const {
    return shared_ && !shared_->finished && shared_->state() != TransactionState::terminated;
}

} // namespace offhook::sip
