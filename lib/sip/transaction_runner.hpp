// Runs one transaction machine: steps it, keeps its timers, tells the rest to the derived class. Owned by
// shared_ptr: what the user does when told may drop every other reference.
#pragma once

#include <memory>

#include "base/loop.hpp"
#include "sip/transaction.hpp"

namespace offhook::sip {

class TransactionRunner : public std::enable_shared_from_this<TransactionRunner> {
public:
    TransactionRunner(Loop &loop, const TimerValues &timers, Transaction machine);
    virtual ~TransactionRunner() = default;
    TransactionRunner(const TransactionRunner &) = delete;
    TransactionRunner &operator=(const TransactionRunner &) = delete;

    void apply(const TransactionEvent &event);
    void transport_failed(const Error &error);
    void transport_failed_later(Error error); // from the loop: the caller is still busy
    void stop() noexcept;                     // ends without telling anybody

    [[nodiscard]] TransactionState state() const noexcept { return machine_.state; }
    [[nodiscard]] bool reliable() const noexcept { return machine_.reliable; }

protected:
    virtual void send() = 0;
    virtual void send_ack() {}
    virtual void ended() = 0; // the state is `terminated`; before the last report
    virtual void report(TransactionAction::Kind kind) = 0;

    void start_timer(TimerId id, Duration delay);
    [[nodiscard]] Duration give_up() const noexcept { return timers_.t1 * 64; }
    [[nodiscard]] const Error &error() const noexcept { return error_; } // of transport_failed()
    [[nodiscard]] Loop &loop() const noexcept { return loop_; }

private:
    Timer &timer(TimerId id) noexcept;
    void perform(const TransactionAction &action);

    Loop &loop_;
    TimerValues timers_;
    Transaction machine_;
    Error error_;
    Timer retransmit_, give_up_, linger_; // A E G; B F H; D I J K L M
};

} // namespace offhook::sip
