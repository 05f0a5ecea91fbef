// A call on a terminal: the status line and the keys. Only made where Terminal::is_interactive().
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cmd/call_switch.hpp"
#include "cmd/session.hpp"
#include "cmd/terminal.hpp"

namespace offhook::cmd {

class Console {
public:
    // `record_name`: where the r key records.
    Console(Session &session, CallId call, std::string record_name);
    ~Console();
    [[nodiscard]] bool has_keys() const { return terminal_ != nullptr; }
    [[nodiscard]] CallSwitch &calls() { return calls_; }

    Console(const Console &) = delete;
    Console &operator=(const Console &) = delete;

private:
    void press(char key);
    void type(char key); // the target of a transfer
    void show(const Result<> &done);
    void toggle_record(const CallView &call);
    void tick();
    void draw();
    void erase();

    Session &session_;
    CallSwitch calls_;
    std::string record_name_;
    TimePoint started_;
    Timer redraw_;
    std::unique_ptr<Terminal> terminal_;
    bool drawn_ = false;
    std::optional<std::string> target_; // being typed
};

} // namespace offhook::cmd
