// Transaction layers and bare transports in one loop on the loopback, with what they hear written down.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "base/loop.hpp"
#include "sip/digest.hpp"
#include "sip/transaction_layer.hpp"
#include "tests/support/run_until.hpp"

namespace offhook::test::layers {

// A few milliseconds instead of seconds: 64*T1 is 320 ms.
inline constexpr sip::TimerValues fast_timers{Duration(5), Duration(20), Duration(25)};

struct Party final : sip::TransactionLayer::Listener {
    using Serve = std::function<void(const sip::Message &, const sip::Flow &, sip::ServerTransaction)>;

    explicit Party(Loop &on, sip::TimerValues timers = fast_timers) : loop(on), layer(on, *this, timers) {}

    void on_request(const sip::Message &request, const sip::Flow &flow,
                    sip::ServerTransaction transaction) override {
        requests.push_back(request);
        if (serve) serve(request, flow, std::move(transaction));
        loop.stop();
    }
    void on_cancel(const sip::ServerTransaction &invite, const sip::Message &cancel) override {
        cancels.push_back(cancel);
        invite.respond(487);
        loop.stop();
    }
    void on_stray_response(const sip::Message &response, const sip::Flow &) override {
        strays.push_back(response);
        loop.stop();
    }
    void on_server_failure(const sip::ServerTransaction &, const Error &error) override {
        failures.push_back(error);
        loop.stop();
    }
    void on_flow_failed(const sip::Flow &flow, const Error &) override {
        failed_flows.push_back(flow);
        loop.stop();
    }
    Address listen(sip::TransportKind kind = sip::TransportKind::udp) {
        return layer.transports().listen(kind, Address::parse("127.0.0.1", 0).value()).value();
    }

    Loop &loop;
    Serve serve;
    std::vector<sip::Message> requests, cancels, strays;
    std::vector<Error> failures;
    std::vector<sip::Flow> failed_flows;
    sip::TransactionLayer layer;
};

// No transactions: answers (or not) exactly what a test wants.
struct Bare final : sip::Transports::Listener {
    using Serve = std::function<void(const sip::Message &, const sip::Flow &)>;

    explicit Bare(Loop &on) : loop(on), transports(on, *this) {}

    void on_message(const sip::Message &message, const sip::Flow &flow) override {
        messages.push_back(message);
        if (serve) serve(message, flow);
        loop.stop();
    }
    void on_flow_failed(const sip::Flow &, const Error &error) override {
        errors.push_back(error);
        loop.stop();
    }
    Address listen(sip::TransportKind kind = sip::TransportKind::udp) {
        return transports.listen(kind, Address::parse("127.0.0.1", 0).value()).value();
    }
    [[nodiscard]] std::size_t count(std::string_view method) const {
        return static_cast<std::size_t>(
            std::count_if(messages.begin(), messages.end(), [&](const auto &message) {
                return message.is_request() && message.method_token() == method;
            }));
    }
    void answer(const sip::Message &request, const sip::Flow &flow, unsigned status,
                std::string_view tag = "bare") {
        CHECK(transports.send(flow, sip::Draft::response(request, status, {}, tag).encode()).has_value());
    }

    Loop &loop;
    Serve serve;
    std::vector<sip::Message> messages;
    std::vector<Error> errors;
    sip::Transports transports;
};

inline sip::Draft request_to(const Address &to, std::string_view method, sip::TransportKind kind) {
    std::string uri = "sip:callee@" + to.to_string();
    if (kind != sip::TransportKind::udp) uri += ";transport=" + std::string(sip::uri_token(kind));
    sip::Draft draft = sip::Draft::request(method, uri);
    draft.add("From", "<sip:caller@example.com>;tag=caller").add("To", "<" + uri + ">");
    draft.add("Call-ID", sip::random_token()).add("CSeq", "7 " + std::string(method));
    return draft;
}

// A client transaction and what it heard.
struct Asked {
    Asked(Party &party, sip::Draft draft, const sip::Flow &flow) : loop(party.loop) {
        transaction = party.layer.request(
            std::move(draft), flow,
            [this](const sip::Message &response, const sip::Flow &) {
                responses.push_back(response);
                loop.stop();
            },
            [this](const Error &error) {
                errors.push_back(error);
                loop.stop();
            });
    }
    [[nodiscard]] std::vector<unsigned> statuses() const {
        std::vector<unsigned> out;
        for (const auto &response : responses)
            out.push_back(response.status());
        return out;
    }

    Loop &loop;
    std::vector<sip::Message> responses;
    std::vector<Error> errors;
    sip::ClientTransaction transaction;
};

inline sip::Flow open(Party &party, const Address &to, sip::TransportKind kind = sip::TransportKind::udp) {
    return party.layer.transports().open({kind, to, ""}).value();
}

struct Layers {
    Loop loop;
    Party caller{loop}, callee{loop};
    bool until(const std::function<bool()> &done) { return run_until(loop, done); }
};

struct LayerAndBare {
    Loop loop;
    Party caller{loop};
    Bare peer{loop};
    bool until(const std::function<bool()> &done) { return run_until(loop, done); }
};

} // namespace offhook::test::layers
