#include "sip/transaction_runner.hpp"

namespace offhook::sip {

namespace {

bool is_report(TransactionAction::Kind kind) {
    return kind == TransactionAction::Kind::pass_up || kind == TransactionAction::Kind::report_timeout ||
           kind == TransactionAction::Kind::report_failure;
}

} // namespace

TransactionRunner::TransactionRunner(Loop &loop, const TimerValues &timers, Transaction machine)
    : loop_(loop), timers_(timers), machine_(machine), retransmit_(loop), give_up_(loop), linger_(loop) {}

Timer &TransactionRunner::timer(TimerId id) noexcept {
    switch (id) {
    case TimerId::a:
    case TimerId::e:
    case TimerId::g:
        return retransmit_;
    case TimerId::b:
    case TimerId::c:
    case TimerId::f:
    case TimerId::h:
        return give_up_;
    default:
        return linger_;
    }
}

void TransactionRunner::start_timer(TimerId id, Duration delay) {
    timer(id).start(delay, [this, id] { apply({TransactionEvent::Kind::timer, 0, id}); });
}

void TransactionRunner::apply(const TransactionEvent &event) {
    if (machine_.state == TransactionState::terminated) return;
    const auto keep = shared_from_this();
    const TransactionStep next = step(machine_, event, timers_);
    machine_ = next.next;
    for (const auto &action : next.actions)
        if (!is_report(action.kind)) perform(action);
    if (machine_.state == TransactionState::terminated) {
        stop();
        ended();
    }
    for (const auto &action : next.actions)
        if (is_report(action.kind)) report(action.kind);
}

void TransactionRunner::perform(const TransactionAction &action) {
    switch (action.kind) {
    case TransactionAction::Kind::send:
        send();
        break;
    case TransactionAction::Kind::send_ack:
        send_ack();
        break;
    case TransactionAction::Kind::start_timer:
        start_timer(action.timer, action.delay);
        break;
    case TransactionAction::Kind::stop_timer:
        timer(action.timer).cancel();
        break;
    default:
        break;
    }
}

void TransactionRunner::transport_failed(const Error &error) {
    error_ = error;
    apply({TransactionEvent::Kind::transport_failed});
}

void TransactionRunner::transport_failed_later(Error error) {
    loop_.post([weak = weak_from_this(), error = std::move(error)] {
        if (const auto self = weak.lock()) self->transport_failed(error);
    });
}

void TransactionRunner::stop() noexcept {
    machine_.state = TransactionState::terminated;
    retransmit_.cancel();
    give_up_.cancel();
    linger_.cancel();
}

} // namespace offhook::sip
