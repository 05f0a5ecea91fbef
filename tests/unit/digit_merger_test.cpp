#include <doctest/doctest.h>

#include "phone/digit_merger.hpp"

using namespace offhook;

namespace {

constexpr TimePoint epoch{std::chrono::hours{1}};

struct Report {
    int ms;
    char digit;
    const char *method;
};

std::string told(const std::vector<Report> &reports) {
    DigitMerger merger;
    std::string digits;
    for (const Report &report : reports)
        if (merger.heard(report.digit, report.method, epoch + Duration{report.ms})) digits += report.digit;
    return digits;
}

} // namespace

TEST_SUITE("digit merger") {

    TEST_CASE("a key counts once by however many methods it comes") {
        CHECK(told({{0, '1', "rfc4733"}, {20, '1', "info"}, {90, '1', "inband"}}) == "1");
        CHECK(told({{0, '1', "info"}, {299, '1', "rfc4733"}}) == "1");
        CHECK(told({{0, '1', "info"}, {300, '1', "rfc4733"}}) == "11");
    }

    TEST_CASE("keys pressed quickly stay what they are") {
        CHECK(told({{0, '1', "info"}, {80, '1', "info"}}) == "11");
        CHECK(told({{0, '1', "info"}, {80, '2', "rfc4733"}}) == "12");
        CHECK(told({{0, '1', "info"}, {10, '1', "rfc4733"}, {80, '1', "info"}, {90, '1', "rfc4733"}}) ==
              "11");
        CHECK(told({{0, '1', "info"}, {80, '1', "info"}, {85, '1', "rfc4733"}, {165, '1', "rfc4733"}}) ==
              "11");
        CHECK(told({{0, '1', "info"}, {60, '2', "info"}, {100, '1', "inband"}, {160, '2', "inband"}}) ==
              "12");
    }

} // TEST_SUITE
