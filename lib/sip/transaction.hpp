// The four transaction machines of RFC 3261 §17 with RFC 6026, as pure step functions: no clock, no I/O.
// TransactionLayer (transaction_layer.hpp) owns them, runs their timers and does the sending.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/clock.hpp"

namespace offhook::sip {

// RFC 3261 §17.1.1.1. Values may be scaled down by tests.
struct TimerValues {
    Duration t1{500}, t2{4000}, t4{5000};
};

enum class TransactionKind : std::uint8_t {
    invite_client,
    non_invite_client,
    invite_server,
    non_invite_server
};

enum class TransactionState : std::uint8_t {
    calling,    // INVITE client (trying for non-INVITE)
    trying,     //
    proceeding, //
    completed,  //
    accepted,   // RFC 6026: 2xx passed, retransmissions still absorbed
    confirmed,  // INVITE server: ACK arrived
    terminated
};

enum class TimerId : std::uint8_t { a, b, c, d, e, f, g, h, i, j, k, l, m };

struct TransactionEvent {
    enum class Kind : std::uint8_t {
        start,         // client: the request goes out; server: the request came in
        request_again, // server: retransmission received
        ack,           // INVITE server: ACK for a non-2xx
        response,      // client: received; server: the user sends it; `status` set
        timer,         // `timer` set
        transport_failed
    } kind = Kind::start;
    unsigned status = 0;
    TimerId timer = TimerId::a;
};

struct TransactionAction {
    enum class Kind : std::uint8_t {
        send,           // client: the request (again); server: the last response (again)
        send_ack,       // INVITE client: ACK to a non-2xx (RFC 3261 §17.1.1.3)
        start_timer,    // `timer`, `delay`
        stop_timer,     // `timer`
        pass_up,        // to the user: the event's request or response
        report_timeout, // to the user: timer B, F, H or L … expired without the expected message
        report_failure  // to the user: transport error
    } kind;
    TimerId timer = TimerId::a;
    Duration delay{0};
};

struct Transaction {
    TransactionKind kind = TransactionKind::non_invite_client;
    bool reliable = false; // stream transport: no retransmissions, zero-wait completed states
    TransactionState state = TransactionState::trying;
    Duration retransmit{0}; // current interval of timer A, E or G
};

struct TransactionStep {
    Transaction next;
    std::vector<TransactionAction> actions;
};

TransactionStep step(const Transaction &transaction, const TransactionEvent &event,
                     const TimerValues &timers);

std::string_view name(TransactionState state) noexcept;

} // namespace offhook::sip
