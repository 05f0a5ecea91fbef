// The calls of the person at a terminal: the one that is talked in, one beside it, and one that waits to be
// answered. Knows keys and calls, not the screen.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "cmd/session.hpp"

namespace offhook::cmd {

class CallSwitch {
public:
    CallSwitch(Session &session, CallId first);

    [[nodiscard]] CallId current() const { return current_; }
    [[nodiscard]] bool alone() const { return !other_ && !waiting_; }
    // Call waiting: tells the person of a call that came in. False: there is no room for it.
    bool offer(CallId call);
    // False: no key of ours.
    bool press(char key);
    [[nodiscard]] std::string beside() const; // "sip:bob@x on hold", for the status line
    [[nodiscard]] std::string keys() const;   // what press() takes now, for the help
    // When the last call has ended, from the loop.
    void when_over(std::function<void()> over) { over_ = std::move(over); }

private:
    void on_event(const Event &event);
    void ended(CallId call);
    bool decide(CallId call, char key); // about a call that rings
    void take(CallId call);
    void take_waiting();
    void swap();
    void confer();
    void refuse(CallId call, unsigned status);
    void show(const Result<> &done);
    [[nodiscard]] bool ringing(CallId call) const; // incoming, not answered
    [[nodiscard]] std::string who(CallId call) const;

    Session &session_;
    CallId current_;
    std::optional<CallId> other_, waiting_;
    std::function<void()> over_;
    Observers<Event>::Handle watching_;
};

} // namespace offhook::cmd
