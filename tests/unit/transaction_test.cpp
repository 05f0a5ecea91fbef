// Walks the four transaction machines row by row: every state with every event, on a datagram and on a
// stream. What a row does not list must do nothing.
#include <map>
#include <sstream>
#include <string>

#include <doctest/doctest.h>

#include "sip/transaction.hpp"

using namespace offhook::sip;
using offhook::Duration;
using namespace std::chrono_literals;

namespace {

using Kind = TransactionKind;
using State = TransactionState;

constexpr char timer_letters[] = "ABCDEFGHIJKLM";

// "send A=500 pass": the actions in order; timers with their delay in ms, "-A" stops one.
std::string text(const std::vector<TransactionAction> &actions) {
    std::ostringstream out;
    for (const auto &action : actions) {
        if (out.tellp() > 0) out << ' ';
        const char letter = timer_letters[static_cast<int>(action.timer)];
        switch (action.kind) {
        case TransactionAction::Kind::send:
            out << "send";
            break;
        case TransactionAction::Kind::send_ack:
            out << "ack";
            break;
        case TransactionAction::Kind::start_timer:
            out << letter << '=' << action.delay.count();
            break;
        case TransactionAction::Kind::stop_timer:
            out << '-' << letter;
            break;
        case TransactionAction::Kind::pass_up:
            out << "pass";
            break;
        case TransactionAction::Kind::report_timeout:
            out << "timeout";
            break;
        case TransactionAction::Kind::report_failure:
            out << "failure";
            break;
        }
    }
    return out.str();
}

struct Named {
    std::string name;
    TransactionEvent event;
};

std::vector<Named> all_events() {
    using E = TransactionEvent::Kind;
    std::vector<Named> events{
        {"start", {E::start}},       {"again", {E::request_again}}, {"ACK", {E::ack}},
        {"1xx", {E::response, 180}}, {"100", {E::response, 100}},   {"2xx", {E::response, 200}},
        {"3xx", {E::response, 302}}, {"6xx", {E::response, 603}},   {"error", {E::transport_failed}}};
    for (int i = 0; i <= static_cast<int>(TimerId::m); ++i)
        events.push_back({std::string("timer ") + timer_letters[i], {E::timer, 0, static_cast<TimerId>(i)}});
    return events;
}

struct Row {
    State state;
    std::string events; // separated by commas
    State next;
    std::string actions;
    std::string actions_stream; // "=": the same
    State next_stream;
};

Row row(State state, const char *events, State next, const char *actions) {
    return {state, events, next, actions, actions, next};
}
Row row(State state, const char *events, State next, const char *actions, State next_stream,
        const char *stream) {
    return {state, events, next, actions, stream, next_stream};
}

void walk(Kind kind, const std::vector<Row> &rows) {
    const TimerValues timers;
    std::map<std::pair<State, std::string>, const Row *> table;
    for (const auto &r : rows) {
        std::istringstream list(r.events);
        for (std::string one; std::getline(list, one, ',');)
            REQUIRE(table.emplace(std::make_pair(r.state, one), &r).second);
    }
    std::size_t used = 0;
    for (bool reliable : {false, true})
        for (int s = 0; s <= static_cast<int>(State::terminated); ++s)
            for (const auto &[label, event] : all_events()) {
                const auto state = static_cast<State>(s);
                CAPTURE(reliable);
                CAPTURE(name(state));
                CAPTURE(label);
                const auto got = step({kind, reliable, state, 500ms}, event, timers);
                const auto found = table.find({state, label});
                const Row *expected = found == table.end() ? nullptr : found->second;
                if (expected) ++used;
                const State next = !expected ? state : reliable ? expected->next_stream : expected->next;
                CHECK(name(got.next.state) == name(next));
                CHECK(text(got.actions) == (!expected  ? ""
                                            : reliable ? expected->actions_stream
                                                       : expected->actions));
            }
    CHECK(used == 2 * table.size()); // no row names an event that does not exist
}

} // namespace

TEST_SUITE("transaction") {

    TEST_CASE("the INVITE client machine follows RFC 3261 figure 5 with RFC 6026") {
        walk(Kind::invite_client,
             {
                 row(State::trying, "start", State::calling, "send A=500 B=32000", State::calling,
                     "send B=32000"),
                 row(State::calling, "timer A", State::calling, "send A=1000", State::calling, "send"),
                 row(State::calling, "timer B", State::terminated, "-A timeout"),
                 row(State::calling, "100,1xx", State::proceeding, "-A -B pass"),
                 row(State::calling, "2xx", State::accepted, "-A -B M=32000 pass"),
                 row(State::calling, "3xx,6xx", State::completed, "-A -B ack D=32000 pass", State::terminated,
                     "-A -B ack pass"),
                 row(State::calling, "error", State::terminated, "-A -B failure"),
                 row(State::proceeding, "100,1xx", State::proceeding, "pass"),
                 row(State::proceeding, "2xx", State::accepted, "-A -B M=32000 pass"),
                 row(State::proceeding, "3xx,6xx", State::completed, "-A -B ack D=32000 pass",
                     State::terminated, "-A -B ack pass"),
                 row(State::proceeding, "timer B", State::terminated, "timeout"),
                 row(State::proceeding, "error", State::terminated, "-B failure"),
                 row(State::completed, "3xx,6xx", State::completed, "ack"),
                 row(State::completed, "timer D", State::terminated, ""),
                 row(State::completed, "error", State::terminated, "-D failure"),
                 row(State::accepted, "2xx", State::accepted, "pass"),
                 row(State::accepted, "timer M", State::terminated, ""),
             });
    }

    TEST_CASE("the non-INVITE client machine follows RFC 3261 figure 6") {
        walk(Kind::non_invite_client,
             {
                 row(State::trying, "start", State::trying, "send E=500 F=32000", State::trying,
                     "send F=32000"),
                 row(State::trying, "timer E", State::trying, "send E=1000", State::trying, "send"),
                 row(State::trying, "timer F", State::terminated, "-E timeout"),
                 row(State::trying, "100,1xx", State::proceeding, "pass"),
                 row(State::trying, "2xx,3xx,6xx", State::completed, "-E -F K=5000 pass", State::terminated,
                     "-E -F pass"),
                 row(State::trying, "error", State::terminated, "-E -F failure"),
                 row(State::proceeding, "timer E", State::proceeding, "send E=4000", State::proceeding,
                     "send"),
                 row(State::proceeding, "timer F", State::terminated, "-E timeout"),
                 row(State::proceeding, "100,1xx", State::proceeding, "pass"),
                 row(State::proceeding, "2xx,3xx,6xx", State::completed, "-E -F K=5000 pass",
                     State::terminated, "-E -F pass"),
                 row(State::proceeding, "error", State::terminated, "-E -F failure"),
                 row(State::completed, "timer K", State::terminated, ""),
             });
    }

    TEST_CASE("the INVITE server machine follows RFC 3261 figure 7 with RFC 6026") {
        walk(Kind::invite_server,
             {
                 row(State::trying, "start", State::proceeding, "pass"),
                 row(State::proceeding, "again,100,1xx", State::proceeding, "send"),
                 row(State::proceeding, "2xx", State::accepted, "send L=32000"),
                 row(State::proceeding, "3xx,6xx", State::completed, "send G=500 H=32000", State::completed,
                     "send H=32000"),
                 row(State::proceeding, "error", State::terminated, "failure"),
                 row(State::completed, "again", State::completed, "send"),
                 row(State::completed, "timer G", State::completed, "send G=1000", State::completed, "send"),
                 row(State::completed, "timer H", State::terminated, "-G timeout"),
                 row(State::completed, "ACK", State::confirmed, "-G -H I=5000", State::terminated, "-G -H"),
                 row(State::completed, "error", State::terminated, "-G -H failure"),
                 row(State::accepted, "2xx", State::accepted, "send"),
                 row(State::accepted, "ACK", State::accepted, "pass"),
                 row(State::accepted, "timer L", State::terminated, ""),
                 row(State::accepted, "error", State::accepted, "failure"),
                 row(State::confirmed, "timer I", State::terminated, ""),
             });
    }

    TEST_CASE("the non-INVITE server machine follows RFC 3261 figure 8") {
        walk(Kind::non_invite_server, {
                                          row(State::trying, "start", State::trying, "pass"),
                                          row(State::trying, "100,1xx", State::proceeding, "send"),
                                          row(State::trying, "2xx,3xx,6xx", State::completed, "send J=32000",
                                              State::terminated, "send"),
                                          row(State::trying, "error", State::terminated, "failure"),
                                          row(State::proceeding, "again,100,1xx", State::proceeding, "send"),
                                          row(State::proceeding, "2xx,3xx,6xx", State::completed,
                                              "send J=32000", State::terminated, "send"),
                                          row(State::proceeding, "error", State::terminated, "failure"),
                                          row(State::completed, "again", State::completed, "send"),
                                          row(State::completed, "timer J", State::terminated, ""),
                                          row(State::completed, "error", State::terminated, "-J failure"),
                                      });
    }

    TEST_CASE("retransmission intervals double, and stop at T2 except for INVITE requests") {
        struct Schedule {
            Kind kind;
            State state;
            TimerId timer;
            std::vector<int> intervals;
        };
        const std::vector<Schedule> schedules{
            {Kind::invite_client, State::calling, TimerId::a, {500, 1000, 2000, 4000, 8000, 16000}},
            {Kind::non_invite_client, State::trying, TimerId::e, {500, 1000, 2000, 4000, 4000, 4000}},
            {Kind::non_invite_client, State::proceeding, TimerId::e, {500, 4000, 4000}},
            {Kind::invite_server, State::completed, TimerId::g, {500, 1000, 2000, 4000, 4000}}};
        for (const auto &schedule : schedules) {
            Transaction transaction{schedule.kind, false, schedule.state, 500ms};
            for (int interval : schedule.intervals) {
                CHECK(transaction.retransmit.count() == interval);
                transaction = step(transaction, {TransactionEvent::Kind::timer, 0, schedule.timer}, {}).next;
            }
        }
    }

    TEST_CASE("all timers scale with T1") {
        const auto started = step({Kind::invite_client}, {TransactionEvent::Kind::start}, {2ms, 8ms, 10ms});
        CHECK(text(started.actions) == "send A=2 B=128");
    }

} // TEST_SUITE
