#include <limits>

#include <doctest/doctest.h>

#include "base/json.hpp"

using namespace offhook;

TEST_SUITE("json") {
    TEST_CASE("members keep their order and numbers their value") {
        Json value;
        value.add("z", 1).add("a", 0.1).add("t", true).add("s", "x\"\\\n").add("n", Json{});
        value.add("l", Json::Array{Json(1), Json("two")});
        CHECK(value.dump() == R"({"z":1,"a":0.1,"t":true,"s":"x\"\\\n","n":null,"l":[1,"two"]})");
        CHECK(Json(std::numeric_limits<double>::infinity()).dump() == "null");
        CHECK(Json(std::numeric_limits<std::int64_t>::min()).dump() == "-9223372036854775808");
    }

    TEST_CASE("broken UTF-8 never reaches a reader") {
        const std::string line = Json::object().add("\xff", "a\xc3").dump();
        CHECK(line == "{\"\uFFFD\":\"a\uFFFD\"}");
        CHECK(Json::parse(line).has_value());
    }

    TEST_CASE("what was written reads back the same") {
        Json value;
        value.add("a", Json::Array{Json(1), Json(-2.5), Json("x"), Json(false), Json{}})
            .add("o", Json::object());
        CHECK(*Json::parse(value.dump()) == value);
    }

    TEST_CASE("what is not JSON is refused") {
        for (const auto *text :
             {"", "{", "{} x", "[1,]", "{'a':1}", "nul", "1e400x", "\"\xff\"", "[\"a\nb\"]"}) {
            CAPTURE(text);
            CHECK_FALSE(Json::parse(text));
        }
        CHECK_FALSE(Json::parse(std::string(100'000, '[')));
        CHECK(Json::parse(std::string(64, '[') + std::string(64, ']')));
    }
}
