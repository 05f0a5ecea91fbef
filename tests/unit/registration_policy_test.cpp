#include <vector>

#include <doctest/doctest.h>

#include "sip/registration_policy.hpp"

using namespace offhook::sip;
using namespace std::chrono_literals;
using offhook::Duration;
using offhook::TimePoint;

namespace {

using Kind = RegistrationEvent::Kind;
using Phase = RegistrationPolicy::Phase;

RegistrationPolicy trying() {
    return step({}, {Kind::start}).next;
}

RegistrationEvent refused(unsigned status) {
    RegistrationEvent event{Kind::refused};
    event.status = status;
    return event;
}

RegistrationEvent granted(std::uint32_t seconds, double random) {
    RegistrationEvent event{Kind::accepted};
    event.granted = seconds;
    event.random = random;
    return event;
}

// The waits of `count` attempts that end the same way, the clock going on meanwhile.
std::vector<long> waits(RegistrationPolicy policy, RegistrationEvent event, int count) {
    std::vector<long> seconds;
    for (int i = 0; i < count; ++i) {
        const auto decision = step(policy, event);
        REQUIRE(decision.report_failure);
        REQUIRE(decision.wait.has_value());
        seconds.push_back(std::chrono::duration_cast<std::chrono::seconds>(*decision.wait).count());
        event.now += *decision.wait;
        policy = step(decision.next, {Kind::timer}).next;
    }
    return seconds;
}

} // namespace

TEST_SUITE("registration policy") {

    TEST_CASE("nothing happens before start and after stop") {
        for (const auto kind : {Kind::timer, Kind::accepted, Kind::refused, Kind::failed, Kind::link_changed,
                                Kind::flow_lost, Kind::stop})
            for (const auto phase : {Phase::idle, Phase::stopped}) {
                RegistrationPolicy policy;
                policy.phase = phase;
                const auto decision = step(policy, {kind});
                CHECK(!decision.register_now);
                CHECK(!decision.wait);
                CHECK(!decision.report_failure);
            }
        CHECK(step({}, {Kind::start}).register_now);
        CHECK(!step(trying(), {Kind::start}).register_now); // already at it
        CHECK(step(step(trying(), {Kind::stop}).next, {Kind::start}).register_now);
    }

    TEST_CASE("a binding is refreshed after 50 to 90 % of what was granted") {
        struct Row {
            std::uint32_t granted;
            double random;
            Duration wait;
        };
        for (const auto &row : {Row{600, 0, 300s}, Row{600, 1, 540s}, Row{60, 0.5, 42s}, Row{1, 0, 500ms}}) {
            const auto decision = step(trying(), granted(row.granted, row.random));
            CHECK(decision.next.phase == Phase::registered);
            REQUIRE(decision.wait.has_value());
            CHECK(*decision.wait == row.wait);
            CHECK(!decision.report_failure);
            CHECK(step(decision.next, {Kind::timer}).register_now);
        }
    }

    TEST_CASE("refusals back off: 1, 2, 4, 8, 16, 30 s, then doubling to 1,800 s, and never give up") {
        auto event = refused(500);
        event.random = 1;
        CHECK(waits(trying(), event, 14) ==
              std::vector<long>{1, 2, 4, 8, 16, 30, 60, 120, 240, 480, 960, 1800, 1800, 1800});
        event.random = 0;
        CHECK(waits(trying(), event, 7) == std::vector<long>{0, 1, 2, 4, 8, 15, 30});
    }

    TEST_CASE("an outage is probed every 5 s for ten minutes, then with growing waits") {
        RegistrationEvent event{Kind::failed};
        event.random = 1;
        const auto all = waits(trying(), event, 140);
        CHECK(std::vector<long>(all.begin(), all.begin() + 4) == std::vector<long>{1, 2, 4, 5});
        long total = 0;
        std::size_t i = 0;
        for (; total < 600; ++i) {
            CHECK(all[i] <= 5);
            total += all[i];
        }
        CHECK(all[i] == 30);
        CHECK(all[i + 1] == 60);
        CHECK(all.back() == 1800);
    }

    TEST_CASE("an answer ends the outage") {
        RegistrationEvent event{Kind::failed};
        auto policy = step(trying(), event).next;
        policy = step(policy, {Kind::timer}).next;
        policy = step(policy, granted(60, 0)).next;
        CHECK(policy.backoff == 0);
        CHECK(!policy.down_since);
    }

    TEST_CASE("423 raises what is asked for, once per attempt and within a day") {
        auto event = refused(423);
        event.min_expires = 3600;
        const auto raised = step(trying(), event);
        CHECK(raised.register_now);
        CHECK(raised.next.expires == 3600);
        event.min_expires = 7200;
        const auto again = step(raised.next, event);
        CHECK(!again.register_now);
        CHECK(again.report_failure);
        for (std::uint32_t silly : {0U, 600U, 86'401U, 4'294'967'295U}) {
            event.min_expires = silly;
            const auto decision = step(trying(), event);
            CHECK(decision.next.expires == 600);
            CHECK(decision.report_failure);
        }
    }

    TEST_CASE("Retry-After is honoured, up to 10 % late") {
        for (unsigned status : {404U, 480U, 486U, 500U, 503U, 600U})
            for (double random : {0.0, 0.5, 1.0}) {
                auto event = refused(status);
                event.retry_after = 20;
                event.random = random;
                const auto decision = step(trying(), event);
                REQUIRE(decision.wait.has_value());
                CHECK(*decision.wait >= 20s);
                CHECK(*decision.wait <= 22s);
            }
    }

    TEST_CASE("wrong credentials are not tried again for 5 minutes") {
        for (unsigned status : {401U, 403U, 407U}) {
            const auto decision = step(trying(), refused(status));
            CHECK(decision.report_failure);
            CHECK(decision.wait == std::optional<Duration>(5min));
        }
    }

    TEST_CASE("once means once") {
        RegistrationPolicy policy;
        policy.once = true;
        policy = step(policy, {Kind::start}).next;
        for (const auto &event :
             {refused(401), refused(503), RegistrationEvent{Kind::failed}, granted(60, 0)}) {
            const auto decision = step(policy, event);
            CHECK(!decision.wait);
            CHECK(decision.next.phase == Phase::stopped);
            CHECK(decision.report_failure == (event.kind != Kind::accepted));
        }
    }

    TEST_CASE("a changed link registers at once on a new flow, whatever was going on") {
        auto waiting = step(trying(), refused(500)).next;
        waiting.backoff = 9;
        for (const auto &policy : {trying(), waiting, step(trying(), granted(60, 0)).next}) {
            const auto decision = step(policy, {Kind::link_changed});
            CHECK(decision.register_now);
            CHECK(decision.new_flow);
            CHECK(decision.next.backoff == 0);
        }
    }

    TEST_CASE("a lost flow is replaced within 2 s, but only a registered one") {
        const auto decision = step(step(trying(), granted(600, 0)).next, {Kind::flow_lost, {}, 1.0});
        CHECK(decision.new_flow);
        REQUIRE(decision.wait.has_value());
        CHECK(*decision.wait <= 2s);
        CHECK(step(decision.next, {Kind::timer}).register_now);
        CHECK(!step(trying(), {Kind::flow_lost}).wait);
        CHECK(!step(step(trying(), refused(500)).next, {Kind::flow_lost}).wait);
    }

} // TEST_SUITE
