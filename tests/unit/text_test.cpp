#include <doctest/doctest.h>

#include "base/text.hpp"

using namespace offhook;

TEST_SUITE("text") {
    TEST_CASE("text from the network cannot steer a terminal") {
        struct Row {
            std::string_view in, out;
        };
        const Row rows[] = {
            {"Alice", "Alice"},
            {"Grüße ☎", "Grüße ☎"},
            {"\x1b[2Jboo", "\uFFFD[2Jboo"},
            {"a\r\nb\tc", "a\uFFFD\uFFFDb c"},
            {"\x7f", "\uFFFD"},
            {"\xc2\x9b", "\uFFFD"}, // C1 CSI
            {"\u202Eevil\u2069", "\uFFFDevil\uFFFD"},
            {"\u2028\u2029", "\uFFFD\uFFFD"},
            {"\xff\xfe", "\uFFFD\uFFFD"},
            {"\xc0\xaf", "\uFFFD\uFFFD"},                     // overlong slash
            {"\xed\xa0\x80", "\uFFFD\uFFFD\uFFFD"},           // surrogate
            {"\xf4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"}, // above U+10FFFF
            {"ab\xe2\x82", "ab\uFFFD\uFFFD"},                 // cut off
        };
        for (const auto &row : rows) {
            CAPTURE(row.in);
            CHECK(sanitise(row.in) == row.out);
        }
        CHECK(sanitise(std::string_view("a\0b", 3)) == "a\uFFFDb");
    }

    TEST_CASE("durations take a unit and a bare number is seconds") {
        struct Row {
            std::string_view in;
            std::int64_t ms; // -1: refused
        };
        const Row rows[] = {
            {"500ms", 500},
            {"20s", 20'000},
            {"3m", 180'000},
            {"1h", 3'600'000},
            {"7", 7'000},
            {"1.5s", 1'500},
            {"0", 0},
            {"0.1", 100},
            {"", -1},
            {"s", -1},
            {"-1", -1},
            {"+1", -1},
            {"1d", -1},
            {"20 s", -1},
            {"1e3", -1},
            {"inf", -1},
            {"nan", -1},
            {"99999999999999999999h", -1},
            {"9223372036854775807", -1},
            {"1..5s", -1},
            {"0x10", -1},
        };
        for (const auto &row : rows) {
            CAPTURE(row.in);
            const auto got = parse_duration(row.in);
            CHECK(got.has_value() == (row.ms >= 0));
            if (got && row.ms >= 0) CHECK(got->count() == row.ms);
        }
        CHECK(parse_duration("2x").error().what ==
              "\"2x\" is not a duration (expected 500ms, 20s, 3m or 1h)");
    }

    TEST_CASE("times are written as people read them") {
        CHECK(format_clock(Duration{7'900}) == "0:07");
        CHECK(format_clock(Duration{750'000}) == "12:30");
        CHECK(format_clock(Duration{3'723'000}) == "1:02:03");
        CHECK(format_span(Duration{350}) == "350 ms");
        CHECK(format_span(Duration{4'240}) == "4.2 s");
        CHECK(format_number(0.125, 1) == "0.1");
        CHECK(format_number(1.0 / 0.0, 1) == "0");
    }

    TEST_CASE("a typing error finds the word that was meant, nonsense finds none") {
        const std::vector<std::string> words{"register", "call", "answer", "accounts", "config"};
        CHECK(did_you_mean("cal", words) == "call");
        CHECK(did_you_mean("clal", words) == "call");
        CHECK(did_you_mean("CALL", words) == "call");
        CHECK(did_you_mean("regsiter", words) == "register");
        CHECK(did_you_mean("zebra", words).empty());
        CHECK(did_you_mean("", words).empty());
        CHECK(suggestion("answr", words) == " (did you mean \"answer\"?)");
        CHECK(edit_distance("abcd", "acbd") == 1);
    }

    TEST_CASE("width counts columns, and cutting keeps whole characters") {
        CHECK(display_width("abc") == 3);
        CHECK(display_width("日本") == 4);
        CHECK(display_width("e\u0301") == 1);
        CHECK(cut_to_width("ringing", 10) == "ringing");
        CHECK(cut_to_width("ringing", 4) == "rin…");
        CHECK(cut_to_width("日本語", 4) == "日…");
        CHECK(cut_to_width("x", 0).empty());
    }

    TEST_CASE("patterns match whole texts in linear steps") {
        CHECK(glob_match("*@example.com", "sip:bob@example.com"));
        CHECK(glob_match("sip:5?5*", "SIP:515@host"));
        CHECK_FALSE(glob_match("sip:bob", "sip:bobby"));
        CHECK(glob_match("*", ""));
        CHECK_FALSE(glob_match("", "x"));
        CHECK_FALSE(glob_match(std::string(60, '*') + "b", std::string(5000, 'a')));
    }

    TEST_CASE("a command line splits into words without a shell") {
        CHECK(*split_words("a 'b c' \"d\\\"e\" f\\ g $HOME *") ==
              std::vector<std::string>{"a", "b c", "d\"e", "f g", "$HOME", "*"});
        CHECK(*split_words("x ''") == std::vector<std::string>{"x", ""});
        CHECK_FALSE(split_words("a 'b"));
        CHECK_FALSE(split_words("   "));
    }
}
