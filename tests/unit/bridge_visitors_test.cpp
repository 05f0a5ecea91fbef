#include <doctest/doctest.h>

#include "bridge/visitors.hpp"

using namespace offhook;
using namespace offhook::bridge;

namespace {

const TimePoint start{std::chrono::hours(100)};

sip::Flow flow(std::uint64_t connection) {
    return {sip::TransportKind::ws, {}, {}, connection};
}

} // namespace

TEST_SUITE("bridge visitors") {
    TEST_CASE("who has shown nothing after half a minute has to go; who has may stay") {
        Visitors visitors;
        CHECK(visitors.request(flow(1), start) == Visitors::Verdict::pass);
        CHECK(visitors.request(flow(2), start + Duration{10'000}) == Visitors::Verdict::pass);
        CHECK(visitors.request(flow(3), start + Duration{10'000}) == Visitors::Verdict::pass);
        visitors.known(flow(2));
        visitors.known(flow(4)); // granted before a request was counted
        visitors.request(flow(4), start);
        visitors.request(flow(1), start + Duration{29'000}); // more of the same wins no time
        CHECK(visitors.overdue(start + Visitors::stranger_for - Duration{1}).empty());
        const auto first = visitors.overdue(start + Visitors::stranger_for);
        REQUIRE(first.size() == 1);
        CHECK(first.front().connection == 1);
        visitors.gone(flow(3)); // it went by itself
        CHECK(visitors.overdue(start + Duration{3'600'000}).empty());
    }

    TEST_CASE("fifty messages at once, then so many a second, and whoever goes on is sent away") {
        Visitors visitors;
        const auto count = [&](std::uint64_t connection, unsigned requests, TimePoint now,
                               Visitors::Verdict what) {
            unsigned seen = 0;
            for (unsigned n = 0; n < requests; ++n)
                seen += visitors.request(flow(connection), now) == what ? 1 : 0;
            return seen;
        };
        CHECK(count(1, 60, start, Visitors::Verdict::pass) == 50);
        CHECK(count(2, 50, start, Visitors::Verdict::pass) == 50); // others are not touched
        CHECK(count(2, 1, start + Duration{1'000}, Visitors::Verdict::pass) == 1);
        CHECK(count(2, 40, start + Duration{1'000}, Visitors::Verdict::pass) == 24);
        CHECK(count(1, 190, start, Visitors::Verdict::refuse) == 190);
        CHECK(count(1, 5, start, Visitors::Verdict::send_away) == 5);
        // The debt does not grow without end.
        CHECK(count(1, 1000, start, Visitors::Verdict::send_away) == 1000);
        CHECK(visitors.request(flow(1), start + Duration{20'000}) == Visitors::Verdict::pass);
    }
}
