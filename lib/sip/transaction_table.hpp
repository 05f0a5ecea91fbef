// The inside of TransactionLayer: its tables and the two kinds of transactions. Included by
// transaction_layer.cpp, client_transaction.cpp and server_transaction.cpp only.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>

#include "sip/transaction_layer.hpp"
#include "sip/transaction_runner.hpp"

namespace offhook::sip {

// The same way: the connection of a stream, the two addresses of a datagram.
bool same_way(const Flow &a, const Flow &b) noexcept;
std::string describe(const Flow &flow); // "udp:192.0.2.1:5060"

struct ClientTransaction::Shared final : TransactionRunner {
    struct Callbacks {
        OnResponse response;
        OnFailure failure;
    };

    Shared(TransactionLayer::Self &owner, Draft draft, const Flow &way);

    void receive(const Message &response, const Flow &way);
    // Call-ID and CSeq agree, and it has as many Vias as the request: one of ours, more of a proxy's
    // (RFC 3261 §8.1.3.3, §16.7).
    [[nodiscard]] bool belongs(const Message &response) const;
    void cancel(std::string_view reason);

    TransactionLayer::Self *layer; // null: the layer is gone
    Draft request;                 // as sent
    std::string key, bytes, method;
    std::size_t vias = 0; // in it
    Flow flow;
    std::shared_ptr<Callbacks> callbacks; // null: nobody listens any more
    bool finished = false;                // the user got the final response or an error

private:
    void send() override;
    void send_ack() override;
    void ended() override;
    void report(TransactionAction::Kind kind) override;
    void pass_response();
    void fail_with(const Error &reason);
    void send_cancel();

    Message last_; // the response being passed up
    Flow came_by_;
    std::string ack_;
    std::optional<std::string> cancel_reason_; // set: CANCEL is wanted
    bool cancel_sent_ = false;
};

struct ServerTransaction::Shared final : TransactionRunner {
    Shared(TransactionLayer::Self &owner, Message message, const Flow &way);

    void respond(const Draft &response);
    void retransmitted(const Flow &flow);
    void acknowledged(const Message &ack, const Flow &flow);
    void flow_failed(const Flow &flow, const Error &reason);
    void drop();
    ServerTransaction handle();

    TransactionLayer::Self *layer; // null: the layer is gone
    Message request;
    std::string key;
    Flow arrived;
    std::string to_tag; // of our responses
    bool responded = false, answered = false, cancelled = false;

private:
    void send() override;
    void ended() override;
    void report(TransactionAction::Kind kind) override;
    Result<> reopen();

    Flow route_;         // where responses go
    bool moved_ = false; // the request's connection was lost, route_ is one of ours
    std::string last_;
    std::optional<std::pair<Message, Flow>> ack_; // of a 2xx, with the INVITE's own branch
    Timer unanswered_;
};

struct TransactionLayer::Self final : Transports::Listener, std::enable_shared_from_this<Self> {
    Self(Loop &loop_, TransactionLayer::Listener &listener_, const TimerValues &timers_)
        : loop(loop_), listener(listener_), timers(timers_), transports(loop_, *this) {}
    ~Self() { close(); }
    Self(const Self &) = delete;
    Self &operator=(const Self &) = delete;

    void on_message(const Message &message, const Flow &flow) override;
    void on_flow_failed(const Flow &flow, const Error &error) override;
    void close();

    void receive_response(const Message &response, const Flow &flow);
    void receive_request(const Message &request, const Flow &flow);
    void receive_new(const Message &request, const Flow &flow, const std::string &key);
    void receive_ack(const Message &ack, const Flow &flow, const std::string &key);
    void receive_cancel(const Message &cancel, const Flow &flow, const std::string &key);
    void answer_statelessly(const Flow &flow, const Draft &response);
    std::shared_ptr<ClientTransaction::Shared>
    start(Draft request, const Flow &flow, std::shared_ptr<ClientTransaction::Shared::Callbacks> callbacks);
    void stamp(Draft &request, const Flow &flow) const; // Via and Max-Forwards

    Loop &loop;
    TransactionLayer::Listener &listener;
    TimerValues timers;
    Transports transports;
    std::unordered_map<std::string, std::shared_ptr<ClientTransaction::Shared>> clients;
    std::unordered_map<std::string, std::shared_ptr<ServerTransaction::Shared>> servers;
    TransactionLayer::Admission admission;
    bool closed = false;
};

} // namespace offhook::sip
