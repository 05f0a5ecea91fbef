// Two ends of SIP transports in one loop, with everything they report written down.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "base/loop.hpp"
#include "sip/transport.hpp"

namespace offhook::test {

struct Reports final : sip::Transports::Listener {
    explicit Reports(Loop &on) : loop(on) {}

    void on_message(const sip::Message &message, const sip::Flow &flow) override {
        messages.push_back(message);
        flows.push_back(flow);
        loop.stop();
    }
    void on_flow_failed(const sip::Flow &flow, const Error &error) override {
        failed.push_back(flow);
        errors.push_back(error);
        loop.stop();
    }

    Loop &loop;
    std::vector<sip::Message> messages;
    std::vector<sip::Flow> flows, failed;
    std::vector<Error> errors;
};

struct TwoEnds {
    TwoEnds() : a_reports(loop), b_reports(loop), a(loop, a_reports), b(loop, b_reports), watchdog(loop) {}

    // Runs the loop until `done`; false when that does not come true in time.
    bool until(const std::function<bool()> &done, Duration patience = Duration(5000)) {
        bool late = false;
        watchdog.start(patience, [&] {
            late = true;
            loop.stop();
        });
        while (!done() && !late)
            REQUIRE(loop.run().has_value());
        watchdog.cancel();
        return done();
    }
    // Lets the loop turn until nothing posted before is left.
    void settle() {
        bool turned = false;
        Timer turn(loop);
        turn.start(Duration(20), [&] {
            turned = true;
            loop.stop();
        });
        while (!turned)
            REQUIRE(loop.run().has_value());
    }

    Loop loop;
    Reports a_reports, b_reports;
    sip::Transports a, b;
    Timer watchdog;
};

inline Address loopback(int family = AF_INET, std::uint16_t port = 0) {
    return Address::parse(family == AF_INET6 ? "::1" : "127.0.0.1", port).value();
}

inline std::string options_request(const std::string &via, const std::string &call_id = "1@test") {
    return "OPTIONS sip:b@example.com SIP/2.0\r\n"
           "Via: " +
           via +
           "\r\n"
           "Max-Forwards: 70\r\n"
           "From: <sip:a@example.com>;tag=1\r\n"
           "To: <sip:b@example.com>\r\n"
           "Call-ID: " +
           call_id +
           "\r\n"
           "CSeq: 1 OPTIONS\r\n"
           "Content-Length: 0\r\n\r\n";
}

} // namespace offhook::test
