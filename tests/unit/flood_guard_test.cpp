#include <doctest/doctest.h>

#include "sip/flood_guard.hpp"

using namespace offhook;
using sip::FloodGuard;
using Verdict = FloodGuard::Verdict;

namespace {

Address address(const char *ip) {
    return Address::parse(ip, 5060).value();
}

int passed(FloodGuard &guard, const Address &from, int requests, TimePoint now) {
    int count = 0;
    for (int i = 0; i < requests; ++i)
        count += guard.admit(from, now) == Verdict::pass ? 1 : 0;
    return count;
}

} // namespace

TEST_SUITE("sip flood guard") {
    TEST_CASE("a burst passes, then so many a second, and another source is not touched") {
        FloodGuard guard({.per_source = 10, .burst = 20, .in_all = 1000, .burst_in_all = 1000});
        TimePoint now{std::chrono::hours(1)};
        const auto noisy = address("192.0.2.1");
        CHECK(passed(guard, noisy, 100, now) == 20);
        CHECK(passed(guard, address("198.51.100.7"), 20, now) == 20);
        now += std::chrono::milliseconds(500);
        CHECK(passed(guard, noisy, 100, now) == 5);
        now += std::chrono::hours(2); // no more than the burst is ever saved up
        CHECK(passed(guard, noisy, 100, now) == 20);
    }

    TEST_CASE("the port does not count, nor the lower half of an IPv6 address") {
        FloodGuard guard({.per_source = 1, .burst = 5, .in_all = 1000, .burst_in_all = 1000});
        const TimePoint now{};
        CHECK(passed(guard, address("192.0.2.1"), 5, now) == 5);
        CHECK(guard.admit(address("192.0.2.1").with_port(9999), now) != Verdict::pass);
        CHECK(passed(guard, address("2001:db8:1:2::3"), 5, now) == 5);
        CHECK(guard.admit(address("2001:db8:1:2:ffff::9"), now) != Verdict::pass);
    }

    TEST_CASE("many sources together have a limit of their own") {
        FloodGuard guard({.per_source = 10, .burst = 10, .in_all = 50, .burst_in_all = 50});
        const TimePoint now{};
        int count = 0;
        for (int i = 0; i < 200; ++i)
            count += passed(guard, Address::parse("10.0.0." + std::to_string(i)).value(), 1, now);
        CHECK(count == 50);
    }

    TEST_CASE("a few refusals are told, then it is silent") {
        FloodGuard guard({.per_source = 1, .burst = 1, .in_all = 10, .burst_in_all = 10});
        const TimePoint now{};
        const auto source = address("192.0.2.1");
        CHECK(guard.admit(source, now) == Verdict::pass);
        for (int i = 0; i < 4; ++i)
            CHECK(guard.admit(source, now) == Verdict::refuse);
        CHECK(guard.admit(source, now) == Verdict::drop);
        CHECK(guard.admit(source, now + std::chrono::seconds(2)) == Verdict::pass);
    }
}
