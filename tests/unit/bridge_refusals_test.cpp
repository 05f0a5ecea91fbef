// What was refused: counted each time, told now and then.
#include <set>

#include <doctest/doctest.h>

#include "bridge/refusals.hpp"

using namespace offhook;
using namespace offhook::bridge;

namespace {

const TimePoint start{};

} // namespace

TEST_CASE("each source and reason is told of once a minute, with what came meanwhile") {
    Refusals refusals;
    CHECK(refusals.note(Refusal::origin, "192.0.2.7", "a page", start) == 1U);
    for (int i = 0; i < 40; ++i)
        CHECK_FALSE(refusals.note(Refusal::origin, "192.0.2.7", "a page", start + Duration(i * 1'000)));
    CHECK(refusals.note(Refusal::origin, "192.0.2.8", "a page", start) == 1U);
    CHECK(refusals.note(Refusal::origin, "192.0.2.7", "another page", start) == 1U);
    CHECK(refusals.note(Refusal::policy, "192.0.2.7", "a page", start) == 1U);
    CHECK(refusals.note(Refusal::origin, "192.0.2.7", "a page", start + Refusals::silence) == 41U);
    CHECK(refusals.note(Refusal::media_udp, "192.0.2.7", "nobody's", start, 500) == 500U);
    CHECK(refusals.count(Refusal::origin) == 44);
    CHECK(refusals.count(Refusal::media_udp) == 500);
    CHECK(refusals.count(Refusal::guessing) == 0);
}

TEST_CASE("many sources fill neither the log nor the memory") {
    Refusals refusals;
    std::size_t told = 0;
    for (unsigned i = 0; i < 3 * Refusals::most_remembered; ++i)
        told += refusals.note(Refusal::media_udp, std::to_string(i), "nobody's", start) ? 1 : 0;
    CHECK(told == static_cast<std::size_t>(Refusals::told_at_once));
    CHECK(refusals.count(Refusal::media_udp) == 3 * Refusals::most_remembered);
    // Later there is room again.
    CHECK(refusals.note(Refusal::media_udp, "new", "nobody's", start + 2 * Refusals::silence) == 1U);
}

TEST_CASE("every reason has a name of its own") {
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < refusal_kinds; ++i)
        names.insert(name_of(static_cast<Refusal>(i)));
    CHECK(names.size() == refusal_kinds);
    CHECK(name_of(Refusal::media_tcp) == "media_tcp");
}
