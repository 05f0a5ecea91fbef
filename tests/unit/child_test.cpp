#include <doctest/doctest.h>

#include "base/child.hpp"

using namespace offhook;

TEST_SUITE("child") {
    TEST_CASE("a program's output comes back, and nothing of ours is open in it") {
        CHECK(*run_program({"printf", "%s", "a $HOME"}, Duration{5000}, 100) == "a $HOME");
        const auto open_files =
            run_program({"sh", "-c", "ls /proc/$$/fd | tr '\\n' ' '"}, Duration{5000}, 100);
        REQUIRE(open_files);
        CHECK(open_files->starts_with("0 1 2 "));
        CHECK(open_files->find('7') == std::string::npos);
    }

    TEST_CASE("what goes wrong with a program is told") {
        CHECK(run_program({"/nonexistent/x"}, Duration{5000}, 100).error().code == Errc::not_found);
        CHECK(run_program({"sh", "-c", "exit 3"}, Duration{5000}, 100).error().what ==
              "sh: ended with exit status 3");
        CHECK(run_program({"sleep", "60"}, Duration{50}, 100).error().code == Errc::timeout);
        CHECK(run_program({"yes"}, Duration{5000}, 100).error().what == "yes: printed too much");
    }

    TEST_CASE("a child beside the loop gets its facts and tells its end") {
        Loop loop;
        int status = -1;
        auto child = Child::start({"sh", "-c", "test \"$OFFHOOK_CALL\" = c1 && exit 7"},
                                  {{"OFFHOOK_CALL", "c1"}}, [&](int code) {
                                      status = code;
                                      loop.stop();
                                  });
        REQUIRE(child);
        Timer watchdog(loop);
        watchdog.start(Duration{5000}, [&] { loop.stop(); });
        CHECK(loop.run());
        CHECK(status == 7);
    }
}
