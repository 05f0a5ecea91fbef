#include "sip/transaction.hpp"

#include <algorithm>

namespace offhook::sip {

namespace {

using State = TransactionState;
using On = TransactionEvent::Kind;
using Do = TransactionAction::Kind;

bool provisional(unsigned status) {
    return status < 200;
}

bool success(unsigned status) {
    return status >= 200 && status < 300;
}

// Collects what one step does. What the user hears always comes last: it may re-enter the transaction.
class Builder {
public:
    Builder(const Transaction &transaction, const TimerValues &timers)
        : timers_(timers), out_{transaction, {}} {}

    Builder &go(State state) {
        out_.next.state = state;
        return *this;
    }
    Builder &act(Do kind) {
        out_.actions.push_back({kind, TimerId::a, Duration{0}});
        return *this;
    }
    Builder &start(TimerId timer, Duration delay) {
        out_.actions.push_back({Do::start_timer, timer, delay});
        return *this;
    }
    Builder &stop(TimerId timer) {
        out_.actions.push_back({Do::stop_timer, timer, Duration{0}});
        return *this;
    }
    // Retransmissions happen on unreliable transports only.
    Builder &retransmit(TimerId timer, Duration delay) {
        if (out_.next.reliable) return *this;
        out_.next.retransmit = delay;
        return start(timer, delay);
    }
    // Waits for retransmissions of the peer, then ends; a stream brings none.
    Builder &linger(State state, TimerId timer, Duration delay) {
        if (out_.next.reliable) return go(State::terminated);
        return go(state).start(timer, delay);
    }
    Builder &fail(Do report) { return go(State::terminated).act(report); }

    [[nodiscard]] Duration doubled() const { return out_.next.retransmit * 2; }
    [[nodiscard]] Duration doubled_to_t2() const { return std::min(doubled(), timers_.t2); }
    [[nodiscard]] Duration give_up() const { return timers_.t1 * 64; }
    [[nodiscard]] const TimerValues &timers() const { return timers_; }
    TransactionStep done() { return std::move(out_); }

private:
    const TimerValues &timers_;
    TransactionStep out_;
};

bool is_timer(const TransactionEvent &event, TimerId timer) {
    return event.kind == On::timer && event.timer == timer;
}

// RFC 3261 §17.1.1 figure 5 with RFC 6026 §7.2 (accepted, timer M).
void invite_client_response(Builder &b, unsigned status) {
    if (provisional(status)) {
        b.go(State::proceeding).stop(TimerId::a);
    } else if (success(status)) {
        b.stop(TimerId::a).stop(TimerId::b).go(State::accepted).start(TimerId::m, b.give_up());
    } else {
        b.stop(TimerId::a).stop(TimerId::b).act(Do::send_ack);
        b.linger(State::completed, TimerId::d, b.give_up()); // "at least 32 seconds"
    }
}

void invite_client_calling(Builder &b, const TransactionEvent &event) {
    if (event.kind == On::response) {
        invite_client_response(b, event.status);
        if (provisional(event.status)) b.stop(TimerId::b);
        b.act(Do::pass_up);
    } else if (is_timer(event, TimerId::a)) {
        b.act(Do::send).retransmit(TimerId::a, b.doubled());
    } else if (is_timer(event, TimerId::b)) {
        b.stop(TimerId::a).fail(Do::report_timeout);
    } else if (event.kind == On::transport_failed) {
        b.stop(TimerId::a).stop(TimerId::b).fail(Do::report_failure);
    }
}

void invite_client_proceeding(Builder &b, const TransactionEvent &event) {
    if (event.kind == On::response) {
        if (!provisional(event.status)) invite_client_response(b, event.status);
        b.act(Do::pass_up);
    } else if (is_timer(event, TimerId::b)) {
        b.fail(Do::report_timeout); // runs again once CANCEL was sent (RFC 3261 §9.1)
    } else if (event.kind == On::transport_failed) {
        b.stop(TimerId::b).fail(Do::report_failure);
    }
}

void invite_client_completed(Builder &b, const TransactionEvent &event) {
    if (event.kind == On::response && event.status >= 300) b.act(Do::send_ack);
    if (is_timer(event, TimerId::d)) b.go(State::terminated);
    if (event.kind == On::transport_failed) b.stop(TimerId::d).fail(Do::report_failure);
}

void invite_client(Builder &b, State state, const TransactionEvent &event) {
    switch (state) {
    case State::trying: // not started
        if (event.kind == On::start)
            b.go(State::calling)
                .act(Do::send)
                .retransmit(TimerId::a, b.timers().t1)
                .start(TimerId::b, b.give_up());
        return;
    case State::calling:
        return invite_client_calling(b, event);
    case State::proceeding:
        return invite_client_proceeding(b, event);
    case State::completed:
        return invite_client_completed(b, event);
    case State::accepted:
        if (event.kind == On::response && success(event.status)) b.act(Do::pass_up);
        if (is_timer(event, TimerId::m)) b.go(State::terminated);
        return;
    case State::confirmed:
    case State::terminated:
        return;
    }
}

// RFC 3261 §17.1.2 figure 6.
void non_invite_client_pending(Builder &b, State state, const TransactionEvent &event) {
    if (event.kind == On::response && provisional(event.status)) {
        b.go(State::proceeding).act(Do::pass_up);
    } else if (event.kind == On::response) {
        b.stop(TimerId::e)
            .stop(TimerId::f)
            .linger(State::completed, TimerId::k, b.timers().t4)
            .act(Do::pass_up);
    } else if (is_timer(event, TimerId::e)) {
        const Duration next = state == State::trying ? b.doubled_to_t2() : b.timers().t2;
        b.act(Do::send).retransmit(TimerId::e, next);
    } else if (is_timer(event, TimerId::f)) {
        b.stop(TimerId::e).fail(Do::report_timeout);
    } else if (event.kind == On::transport_failed) {
        b.stop(TimerId::e).stop(TimerId::f).fail(Do::report_failure);
    }
}

void non_invite_client(Builder &b, State state, const TransactionEvent &event) {
    switch (state) {
    case State::trying:
        if (event.kind == On::start) {
            b.act(Do::send).retransmit(TimerId::e, b.timers().t1).start(TimerId::f, b.give_up());
            return;
        }
        [[fallthrough]];
    case State::proceeding:
        non_invite_client_pending(b, state, event);
        return;
    case State::completed:
        if (is_timer(event, TimerId::k)) b.go(State::terminated);
        return;
    case State::calling:
    case State::accepted:
    case State::confirmed:
    case State::terminated:
        return;
    }
}

// RFC 3261 §17.2.1 figure 7 with RFC 6026 §7.1 (accepted, timer L).
void invite_server_proceeding(Builder &b, const TransactionEvent &event) {
    if (event.kind == On::request_again || (event.kind == On::response && provisional(event.status))) {
        b.act(Do::send);
    } else if (event.kind == On::response && success(event.status)) {
        b.go(State::accepted).act(Do::send).start(TimerId::l, b.give_up());
    } else if (event.kind == On::response) {
        b.go(State::completed).act(Do::send);
        b.retransmit(TimerId::g, b.timers().t1).start(TimerId::h, b.give_up());
    } else if (event.kind == On::transport_failed) {
        b.fail(Do::report_failure);
    }
}

void invite_server_completed(Builder &b, const TransactionEvent &event) {
    if (event.kind == On::request_again) {
        b.act(Do::send);
    } else if (event.kind == On::ack) {
        b.stop(TimerId::g).stop(TimerId::h).linger(State::confirmed, TimerId::i, b.timers().t4);
    } else if (is_timer(event, TimerId::g)) {
        b.act(Do::send).retransmit(TimerId::g, b.doubled_to_t2());
    } else if (is_timer(event, TimerId::h)) {
        b.stop(TimerId::g).fail(Do::report_timeout);
    } else if (event.kind == On::transport_failed) {
        b.stop(TimerId::g).stop(TimerId::h).fail(Do::report_failure);
    }
}

void invite_server_accepted(Builder &b, const TransactionEvent &event) {
    if (event.kind == On::response && success(event.status)) {
        b.act(Do::send);
    } else if (event.kind == On::ack) {
        b.act(Do::pass_up);
    } else if (is_timer(event, TimerId::l)) {
        b.go(State::terminated);
    } else if (event.kind == On::transport_failed) {
        b.act(Do::report_failure); // RFC 6026 §8.7: the user is told, the state stays
    }
}

void invite_server(Builder &b, State state, const TransactionEvent &event) {
    switch (state) {
    case State::trying: // not started
        if (event.kind == On::start) b.go(State::proceeding).act(Do::pass_up);
        return;
    case State::proceeding:
        invite_server_proceeding(b, event);
        return;
    case State::completed:
        invite_server_completed(b, event);
        return;
    case State::accepted:
        invite_server_accepted(b, event);
        return;
    case State::confirmed:
        if (is_timer(event, TimerId::i)) b.go(State::terminated);
        return;
    case State::calling:
    case State::terminated:
        return;
    }
}

// RFC 3261 §17.2.2 figure 8.
void non_invite_server_answer(Builder &b, unsigned status) {
    b.act(Do::send);
    if (provisional(status))
        b.go(State::proceeding);
    else
        b.linger(State::completed, TimerId::j, b.give_up());
}

void non_invite_server(Builder &b, State state, const TransactionEvent &event) {
    switch (state) {
    case State::trying:
    case State::proceeding:
        if (event.kind == On::start && state == State::trying) b.act(Do::pass_up);
        if (event.kind == On::request_again && state == State::proceeding) b.act(Do::send);
        if (event.kind == On::response) non_invite_server_answer(b, event.status);
        if (event.kind == On::transport_failed) b.fail(Do::report_failure);
        return;
    case State::completed:
        if (event.kind == On::request_again) b.act(Do::send);
        if (is_timer(event, TimerId::j)) b.go(State::terminated);
        if (event.kind == On::transport_failed) b.stop(TimerId::j).fail(Do::report_failure);
        return;
    case State::calling:
    case State::accepted:
    case State::confirmed:
    case State::terminated:
        return;
    }
}

} // namespace

TransactionStep step(const Transaction &transaction, const TransactionEvent &event,
                     const TimerValues &timers) {
    Builder builder(transaction, timers);
    switch (transaction.kind) {
    case TransactionKind::invite_client:
        invite_client(builder, transaction.state, event);
        break;
    case TransactionKind::non_invite_client:
        non_invite_client(builder, transaction.state, event);
        break;
    case TransactionKind::invite_server:
        invite_server(builder, transaction.state, event);
        break;
    case TransactionKind::non_invite_server:
        non_invite_server(builder, transaction.state, event);
        break;
    }
    return builder.done();
}

std::string_view name(TransactionState state) noexcept {
    switch (state) {
    case TransactionState::calling:
        return "calling";
    case TransactionState::trying:
        return "trying";
    case TransactionState::proceeding:
        return "proceeding";
    case TransactionState::completed:
        return "completed";
    case TransactionState::accepted:
        return "accepted";
    case TransactionState::confirmed:
        return "confirmed";
    case TransactionState::terminated:
        return "terminated";
    }
    return "";
}

} // namespace offhook::sip
