#include "sip/transaction_layer.hpp"

#include <utility>
#include <vector>

#include "sip/digest.hpp"
#include "sip/transaction_key.hpp"
#include "sip/transaction_table.hpp"

namespace offhook::sip {

namespace {

constexpr std::size_t max_server_transactions = 10'000;

template <class Shared>
std::vector<std::shared_ptr<Shared>>
copy_of(const std::unordered_map<std::string, std::shared_ptr<Shared>> &table) {
    std::vector<std::shared_ptr<Shared>> out;
    out.reserve(table.size());
    for (const auto &entry : table)
        out.push_back(entry.second);
    return out;
}

} // namespace

bool same_way(const Flow &a, const Flow &b) noexcept {
    if (a.kind != b.kind) return false;
    if (is_stream(a.kind)) return a.connection == b.connection;
    return a.remote == b.remote &&
           (a.local.port() == b.local.port() || a.local.port() == 0 || b.local.port() == 0);
}

std::string describe(const Flow &flow) {
    return std::string(uri_token(flow.kind)) + ":" + flow.remote.to_string();
}

void TransactionLayer::Self::close() {
    closed = true;
    for (const auto &entry : std::exchange(clients, {})) {
        entry.second->layer = nullptr;
        entry.second->stop();
    }
    for (const auto &entry : std::exchange(servers, {})) {
        entry.second->layer = nullptr;
        entry.second->stop();
    }
}

void TransactionLayer::Self::on_message(const Message &message, const Flow &flow) {
    if (closed) return;
    const auto keep = shared_from_this();
    if (message.is_request())
        receive_request(message, flow);
    else
        receive_response(message, flow);
}

void TransactionLayer::Self::receive_response(const Message &response, const Flow &flow) {
    const auto via = response.top_via();
    const auto cseq = response.cseq();
    if (!via || !cseq) return;
    const auto found = clients.find(client_key(via->branch(), cseq->method));
    if (found != clients.end()) {
        const auto transaction = found->second;
        if (transaction->belongs(response)) transaction->receive(response, flow);
    } else if (response.status() / 100 == 2 && parse_method(cseq->method) == Method::invite &&
               response.list(HeaderId::via).size() == 1) {
        listener.on_stray_response(response, flow);
    }
}

void TransactionLayer::Self::receive_request(const Message &request, const Flow &flow) {
    const auto key = server_key(request);
    if (!key) return;
    if (request.method() == Method::ack) return receive_ack(request, flow, *key);
    if (request.method() == Method::cancel) return receive_cancel(request, flow, *key);
    const auto found = servers.find(*key);
    if (found == servers.end()) return receive_new(request, flow, *key);
    const auto transaction = found->second;
    transaction->retransmitted(flow);
}

void TransactionLayer::Self::receive_new(const Message &request, const Flow &flow, const std::string &key) {
    const auto verdict = servers.size() >= max_server_transactions ? FloodGuard::Verdict::refuse
                         : admission                               ? admission(request, flow)
                                                                   : FloodGuard::Verdict::pass;
    if (verdict == FloodGuard::Verdict::drop) return;
    if (verdict == FloodGuard::Verdict::refuse)
        return answer_statelessly(flow,
                                  Draft::response(request, 503, {}, random_token(8)).add("Retry-After", "5"));
    const auto transaction = std::make_shared<ServerTransaction::Shared>(*this, request, flow);
    transaction->key = key;
    servers.emplace(key, transaction);
    transaction->apply({TransactionEvent::Kind::start});
    // RFC 3261 §17.2.1: within 200 ms; at once stops the retransmissions of the peer soonest.
    if (request.method() == Method::invite && !closed && !transaction->responded)
        transaction->respond(Draft::response(request, 100));
}

void TransactionLayer::Self::receive_ack(const Message &ack, const Flow &flow, const std::string &key) {
    const auto found = servers.find(key);
    auto transaction = found == servers.end() ? nullptr : found->second;
    const auto via = ack.top_via();
    if (transaction && via &&
        !has_magic_cookie(via->branch())) { // RFC 2543: the To tag tells whose ACK it is
        const auto to = ack.to();
        if (!to || to->tag() != transaction->to_tag) transaction.reset();
    }
    if (transaction)
        transaction->acknowledged(ack, flow);
    else
        listener.on_request(ack, flow, {});
}

// Answered without a transaction of its own: a retransmitted CANCEL finds the INVITE again and gets the same.
void TransactionLayer::Self::receive_cancel(const Message &cancel, const Flow &flow, const std::string &key) {
    const auto found = servers.find(key);
    const auto invite = found == servers.end() ? nullptr : found->second;
    const auto ours = invite ? invite->request.cseq() : Result<CSeq>(CSeq{});
    const auto theirs = cancel.cseq();
    if (!invite || !ours || !theirs || ours->number != theirs->number ||
        invite->request.call_id() != cancel.call_id())
        return answer_statelessly(flow, Draft::response(cancel, 481, {}, random_token(8)));
    if (invite->to_tag.empty()) invite->to_tag = random_token(8); // §9.2: one tag for all answers to a CANCEL
    answer_statelessly(flow, Draft::response(cancel, 200, {}, invite->to_tag));
    if (!invite->answered && !std::exchange(invite->cancelled, true))
        listener.on_cancel(invite->handle(), cancel);
}

void TransactionLayer::Self::answer_statelessly(const Flow &flow, const Draft &response) {
    // Whoever cannot be reached sends the request again.
    static_cast<void>(transports.send(flow, response.encode()));
}

void TransactionLayer::Self::on_flow_failed(const Flow &flow, const Error &error) {
    if (closed) return;
    const auto keep = shared_from_this();
    for (const auto &transaction : copy_of(clients))
        if (same_way(transaction->flow, flow)) transaction->transport_failed(error);
    for (const auto &transaction : copy_of(servers))
        if (!closed) transaction->flow_failed(flow, error);
    if (!closed) listener.on_flow_failed(flow, error);
}

void TransactionLayer::Self::stamp(Draft &request, const Flow &flow) const {
    const std::string via = "SIP/2.0/" + std::string(via_token(flow.kind)) + " " + transports.sent_by(flow);
    request.prepend("Via", via + ";branch=z9hG4bK" + random_token() + ";rport");
    if (request.get("Max-Forwards").empty()) request.add("Max-Forwards", "70");
}

std::shared_ptr<ClientTransaction::Shared>
TransactionLayer::Self::start(Draft request, const Flow &flow,
                              std::shared_ptr<ClientTransaction::Shared::Callbacks> callbacks) {
    auto transaction = std::make_shared<ClientTransaction::Shared>(*this, std::move(request), flow);
    transaction->callbacks = std::move(callbacks);
    clients.insert_or_assign(transaction->key, transaction);
    transaction->apply({TransactionEvent::Kind::start});
    return transaction;
}

TransactionLayer::TransactionLayer(Loop &loop, Listener &listener, TimerValues timers)
    : self_(std::make_shared<Self>(loop, listener, timers)) {}

TransactionLayer::~TransactionLayer() {
    self_->close();
    // Inside a callback of its transports they must outlive that callback.
    if (self_.use_count() > 1) self_->loop.post([keep = self_] {});
}

Transports &TransactionLayer::transports() {
    return self_->transports;
}

const TimerValues &TransactionLayer::timers() const {
    return self_->timers;
}

ClientTransaction TransactionLayer::request(Draft request, const Flow &flow,
                                            ClientTransaction::OnResponse response,
                                            ClientTransaction::OnFailure failure) {
    self_->stamp(request, flow);
    ClientTransaction out;
    out.shared_ =
        self_->start(std::move(request), flow,
                     std::make_shared<ClientTransaction::Shared::Callbacks>(
                         ClientTransaction::Shared::Callbacks{std::move(response), std::move(failure)}));
    return out;
}

Result<std::string> TransactionLayer::send_ack(Draft ack, const Flow &flow) {
    self_->stamp(ack, flow);
    std::string bytes = ack.encode();
    if (auto sent = self_->transports.send(flow, bytes); !sent) return fail(sent.error());
    return bytes;
}

void TransactionLayer::resend(const Flow &flow, std::string_view bytes) {
    static_cast<void>(self_->transports.send(flow, bytes)); // the next retransmission tries again
}

void TransactionLayer::set_admission(Admission admission) {
    self_->admission = std::move(admission);
}

std::size_t TransactionLayer::size() const {
    return self_->clients.size() + self_->servers.size();
}

} // namespace offhook::sip
