// What the two halves of `ping` share.
#pragma once

#include <chrono>
#include <string>

#include "base/json.hpp"
#include "cmd/options.hpp"
#include "cmd/session.hpp"

namespace offhook::cmd {

struct PingReply {
    unsigned code = 0;
    std::string reason, text, from, software; // text: "200 OK"; from: "udp:192.0.2.7:5060"
    int exit = 0;
    [[nodiscard]] Json json(std::size_t number, double ms) const;
};

PingReply reply_of(const sip::Message &response, const sip::Flow &flow, bool authenticated);
std::string way_of(const sip::Flow &flow);
double milliseconds(std::chrono::steady_clock::duration span);

// --route: runs the session and returns the exit code.
int trace_route(Session &session, const PingOptions &options);

} // namespace offhook::cmd
