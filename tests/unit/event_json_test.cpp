#include <doctest/doctest.h>

#include "phone/event_json.hpp"

using namespace offhook;

namespace {

CallView a_call() {
    CallView call;
    call.id = CallId{1};
    call.account = "home";
    call.local = "sip:alice@example.com";
    call.remote = "sip:bob@example.com";
    call.sip_call_id = "x1";
    call.codec = "PCMU/8000";
    return call;
}

std::string line(const Event &event) {
    return to_json(event, 12,
                   std::chrono::system_clock::time_point(std::chrono::milliseconds(1'700'000'000'123)))
        .dump();
}

const std::string common =
    R"("call":"c1","account":"home","direction":"outgoing","local":"sip:alice@example.com",)"
    R"("remote":"sip:bob@example.com","sip_call_id":"x1")";

std::string head(const char *event) {
    return std::string(R"({"seq":12,"ts":"2023-11-14T22:13:20.123Z","event":")") + event + "\",";
}

} // namespace

TEST_SUITE("event_json") {
    TEST_CASE("an answered call is told as the contract writes it") {
        event::CallAnswered answered{a_call(), 40, 1200, "Peer/1", {}};
        CHECK(line(answered) ==
              head("call.answered") + common +
                  R"(,"codec":"PCMU/8000","srtp":"off","pdd_ms":40,"setup_ms":1200,"user_agent":"Peer/1"})");
    }

    TEST_CASE("the end of a call carries all its figures, unknown ones as null") {
        event::CallEnded ended;
        ended.call = a_call();
        ended.code = 486;
        ended.reason = "Busy Here";
        ended.by = EndedBy::remote;
        ended.exit = 10;
        ended.stats.received.packets = 3;
        ended.stats.received.jitter_ms = 1.23456;
        CHECK(
            line(ended) ==
            head("call.ended") + common +
                R"(,"code":486,"reason":"Busy Here","by":"remote","exit":10,"answered":false,"pdd_ms":null,)"
                R"("setup_ms":null,"talk_ms":0,"codec":"PCMU/8000","srtp":"off",)"
                R"("rx":{"packets":3,"lost":0,"jitter_ms":1.23,"mos":null,)"
                R"("missing_percent":0.0,"burst_ratio":1.0,"buffer_ms":0.0,"concealed_ms":0.0},)"
                R"("tx":{"packets":0,"lost":0,"jitter_ms":0.0,"mos":null,"rtt_ms":null}})");
    }

    TEST_CASE("accounts, digits, holds and steps") {
        struct Row {
            Event event;
            std::string line;
        };
        const Row rows[] = {
            {event::AccountFailed{"home", "sip:a@b", 401, "Unauthorized", 14, -1},
             head("account.failed") +
                 R"("account":"home","aor":"sip:a@b","code":401,"reason":"Unauthorized","exit":14,"retry_ms":null})"},
            {event::AccountRegistered{"home", "sip:a@b", "sip:a@h", "udp", 600},
             head("account.registered") +
                 R"("account":"home","aor":"sip:a@b","contact":"sip:a@h","transport":"udp","expires_ms":600000,"flow":1})"},
            {event::CallDtmf{a_call(), '#', false, "info", 160},
             head("call.dtmf") + common + R"(,"digit":"#","sent":false,"method":"info","length_ms":160})"},
            {event::CallRemoteHold{a_call(), true}, head("call.remote-hold") + common + R"(,"on":true})"},
            {event::CallStep{a_call(), "wait dtmf", false, "nothing came"},
             head("call.step") + common + R"(,"step":"wait dtmf","ok":false,"error":"nothing came"})"},
            {event::Log{"warning", "x"}, head("log") + R"("level":"warning","text":"x"})"},
        };
        for (const auto &row : rows)
            CHECK(line(row.event) == row.line);
    }
}
