// `offhook ctl answer` was read as the command `answer`, with a `ctl` that had no verb.
#include <doctest/doctest.h>

#include "cmd/cli.hpp"

using namespace offhook::cmd;

TEST_SUITE("cli") {
    TEST_CASE("what follows a command is no further command") {
        for (const char *verb : {"answer", "transfer", "message", "watch"}) {
            CAPTURE(verb);
            const auto line = parse_command_line({"ctl", verb, "c1", "--json"});
            REQUIRE(line);
            REQUIRE(std::holds_alternative<CtlOptions>(line->command));
            CHECK(std::get<CtlOptions>(line->command).words == std::vector<std::string>{verb, "c1"});
            CHECK(line->global.json);
        }
        const auto line = parse_command_line({"call", "answer"}); // a user of that name
        REQUIRE(line);
        REQUIRE(std::holds_alternative<CallOptions>(line->command));
        CHECK(std::get<CallOptions>(line->command).targets == std::vector<std::string>{"answer"});
    }
}
