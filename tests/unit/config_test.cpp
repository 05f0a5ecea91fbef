#include <doctest/doctest.h>

#include "base/config.hpp"

using namespace offhook;

TEST_SUITE("config") {
    TEST_CASE("everything knows its line and column, in the order of the file") {
        const auto root =
            parse_config("# c\n[account.work]\naor = \"sip:a@b\"\nexpires = 60\n[account.home]\n", "x.toml");
        REQUIRE(root);
        const auto *account = find(*root, "account");
        REQUIRE(account);
        const auto *table = account->value.table();
        REQUIRE(table);
        CHECK(table->at(0).key == "work");
        CHECK(table->at(1).key == "home");
        const auto &aor = table->at(0).value.table()->at(0);
        CHECK(aor.origin.line == 3);
        CHECK(aor.origin.column == 1);
        CHECK(aor.value.origin.column == 7);
        CHECK(aor.value.type_name() == "a string");
        CHECK(aor.origin.message("x.toml", "bad") == "x.toml:3:1: bad");
    }

    TEST_CASE("what is not TOML is refused with its place") {
        const auto root = parse_config("a = 1\nb = \"open\n", "x.toml");
        REQUIRE_FALSE(root);
        CHECK(root.error().code == Errc::config);
        CHECK(root.error().what.starts_with("x.toml:2:"));
    }

    TEST_CASE("letters beyond ASCII are welcome in quotes and comments, and refused elsewhere") {
        CHECK(parse_config("# \xc3\xa4\na = \"M\xc3\xbcller \\\" \xc3\xa4\" # \xc3\xa4\nb = '\xc3\xa4'\n"
                           "c = \"\"\"\n\xc3\xa4\"\n\"\"\"\nd = \'\'\'\n\xc3\xa4\'\'\'\n\"\xc3\xa4\" = 1\n",
                           "x.toml"));
        CHECK(parse_config("\xef\xbb\xbf"
                           "a = 1\n",
                           "x.toml"));
        CHECK(parse_config("a = 1\nb\xc3\xa4 = 2\n", "x.toml").error().what ==
              "x.toml:2:2: a character beyond ASCII needs quotes around it");
        CHECK_FALSE(parse_config("a = 'x'\xe3\x80\x80\n", "x.toml"));
    }

    TEST_CASE("a file that is not there or a directory is one clear line") {
        CHECK(load_config("/nonexistent/x.toml").error().what ==
              "/nonexistent/x.toml: No such file or directory");
        CHECK(load_config("/").error().what == "/: is a directory, not a configuration file");
    }
}
