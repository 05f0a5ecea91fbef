#include <utility>

#include "sip/digest.hpp"
#include "sip/transaction_table.hpp"

namespace offhook::sip {

namespace {

Transaction machine_for(const Message &request, const Flow &flow) {
    const bool invite = request.method() == Method::invite;
    return {invite ? TransactionKind::invite_server : TransactionKind::non_invite_server,
            is_reliable(flow.kind)};
}

} // namespace

ServerTransaction::Shared::Shared(TransactionLayer::Self &owner, Message message, const Flow &way)
    : TransactionRunner(owner.loop, owner.timers, machine_for(message, way)), layer(&owner),
      request(std::move(message)), arrived(way), route_(way), unanswered_(owner.loop) {
    // The client of a non-INVITE gives up after timer F: whoever forgot to answer must not fill the table.
    if (request.method() != Method::invite)
        unanswered_.start(give_up(), [this] {
            if (!answered) drop();
        });
}

ServerTransaction ServerTransaction::Shared::handle() {
    ServerTransaction out;
    out.shared_ = std::static_pointer_cast<Shared>(shared_from_this());
    return out;
}

void ServerTransaction::Shared::respond(const Draft &response) {
    if (layer == nullptr || state() == TransactionState::terminated) return;
    const bool again = state() == TransactionState::accepted && response.status / 100 == 2;
    if (answered && !again) return;
    last_ = response.encode();
    responded = true;
    answered = response.status >= 200;
    if (const auto to = NameAddr::parse(response.get("To"))) to_tag = to->tag();
    apply({TransactionEvent::Kind::response, response.status});
}

void ServerTransaction::Shared::retransmitted(const Flow &flow) {
    if (is_stream(flow.kind) && !same_way(flow, arrived)) { // its client reconnected
        route_ = flow;
        moved_ = false;
    }
    apply({TransactionEvent::Kind::request_again});
}

void ServerTransaction::Shared::acknowledged(const Message &ack, const Flow &flow) {
    ack_.emplace(ack, flow);
    apply({TransactionEvent::Kind::ack});
}

void ServerTransaction::Shared::drop() {
    const auto keep = shared_from_this();
    stop();
    ended();
}

// RFC 3261 §18.2.2: a lost connection is replaced by one to where the request came from, at the sent-by port.
Result<> ServerTransaction::Shared::reopen() {
    const auto via = request.top_via();
    if (!via) return fail(via.error());
    const std::uint16_t port = via->port != 0 ? via->port : default_port(arrived.kind);
    auto flow = layer->transports.open({arrived.kind, arrived.remote.with_port(port), via->host});
    if (!flow) return fail(flow.error());
    route_ = *flow;
    moved_ = true;
    return {};
}

void ServerTransaction::Shared::send() {
    if (last_.empty()) return; // a retransmission before the first response
    Result<> sent;
    if (reliable() && !moved_ && !layer->transports.alive(route_)) sent = reopen();
    if (sent) sent = layer->transports.send(route_, last_);
    if (!sent) transport_failed_later(sent.error());
}

void ServerTransaction::Shared::flow_failed(const Flow &flow, const Error &reason) {
    if (!same_way(flow, route_)) return;
    if (reliable() && !moved_) return; // the next response tries a new connection
    transport_failed(reason);
}

void ServerTransaction::Shared::ended() {
    unanswered_.cancel();
    if (layer != nullptr) layer->servers.erase(key);
}

void ServerTransaction::Shared::report(TransactionAction::Kind kind) {
    if (layer == nullptr) return;
    auto &listener = layer->listener;
    if (kind == TransactionAction::Kind::pass_up) {
        const auto ack = std::exchange(ack_, {});
        if (ack)
            listener.on_request(ack->first, ack->second, {});
        else
            listener.on_request(request, arrived, handle());
    } else if (request.method() == Method::invite) {
        const bool timeout = kind == TransactionAction::Kind::report_timeout;
        listener.on_server_failure(
            handle(), timeout ? Error{Errc::timeout, "no ACK from " + describe(arrived), 0} : error());
    }
}

const Message &ServerTransaction::request() const {
    static const Message none;
    const auto shared = shared_.lock();
    return shared ? shared->request : none;
}

const Flow &ServerTransaction::flow() const {
    static const Flow none;
    const auto shared = shared_.lock();
    return shared ? shared->arrived : none;
}

void ServerTransaction::respond(const Draft &response) const {
    if (const auto shared = shared_.lock()) shared->respond(response);
}

void ServerTransaction::respond(unsigned status, std::string_view reason, std::string_view to_tag) const {
    const auto shared = shared_.lock();
    if (!shared) return;
    // Every response but 100 has a To tag, and a user that names none gets the same one each time (§8.2.6.2).
    if (to_tag.empty() && status > 100 && shared->to_tag.empty()) shared->to_tag = random_token(8);
    const std::string tag(to_tag.empty() ? std::string_view(shared->to_tag) : to_tag);
    shared->respond(Draft::response(shared->request, status, reason, tag));
}

bool ServerTransaction::answered() const {
    const auto shared = shared_.lock();
    return !shared || shared->answered;
}

void ServerTransaction::drop() const {
    const auto shared = shared_.lock();
    if (!shared) return;
    const bool repeatable = shared->answered && shared->request.method() != Method::invite;
    if (!shared->responded || repeatable) shared->drop();
}

} // namespace offhook::sip
