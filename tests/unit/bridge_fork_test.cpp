#include <doctest/doctest.h>

#include "bridge/fork.hpp"

using offhook::bridge::Fork;

namespace {

using Kind = Fork::Action::Kind;
using Actions = std::vector<Fork::Action>;

Fork fork_of(std::size_t branches) {
    Fork fork;
    for (std::size_t i = 0; i < branches; ++i)
        CHECK(fork.add() == i);
    return fork;
}

} // namespace

TEST_SUITE("bridge fork") {
    TEST_CASE("provisional responses pass, 100 stays") {
        auto fork = fork_of(2);
        CHECK(fork.received(0, 100).empty());
        CHECK(fork.received(1, 180) == Actions{{Kind::forward, 1}});
        CHECK(fork.received(0, 183) == Actions{{Kind::forward, 0}});
        CHECK_FALSE(fork.finished());
    }

    TEST_CASE("the first 2xx wins and the others are cancelled") {
        auto fork = fork_of(3);
        fork.received(0, 180);
        CHECK(fork.received(2, 486).empty());
        CHECK(fork.received(1, 200) == Actions{{Kind::forward, 1}, {Kind::cancel, 0}});
        CHECK(fork.finished());
        CHECK(fork.received(0, 487).empty());
        CHECK(fork.received(0, 200) ==
              Actions{{Kind::forward, 0}}); // both answered: the caller's to sort out
        CHECK(fork.received(1, 200) == Actions{{Kind::forward, 1}}); // the 2xx repeated
        CHECK(fork.received(0, 180).empty());
    }

    TEST_CASE("the best refusal is told when all have refused") {
        struct Row {
            std::vector<unsigned> statuses;
            std::size_t best;
        };
        const Row rows[] = {{{486, 404}, 0}, {{408, 486}, 1},      {{503, 480}, 1}, {{503, 500}, 1},
                            {{404, 401}, 1}, {{486, 302, 404}, 1}, {{500, 486}, 1}, {{503}, 0},
                            {{487, 486}, 1}, {{480, 603}, 1}};
        for (const auto &row : rows) {
            auto fork = fork_of(row.statuses.size());
            for (std::size_t i = 0; i + 1 < row.statuses.size(); ++i)
                CHECK(fork.received(i, row.statuses[i]).empty());
            const auto last = fork.received(row.statuses.size() - 1, row.statuses.back());
            REQUIRE(last.size() == 1);
            CHECK(last[0] == Fork::Action{Kind::forward, row.best});
        }
    }

    TEST_CASE("6xx ends the ringing elsewhere but waits for it to end") {
        auto fork = fork_of(3);
        fork.received(1, 180);
        CHECK(fork.received(0, 603) == Actions{{Kind::cancel, 1}, {Kind::cancel, 2}});
        CHECK(fork.received(1, 487).empty());
        CHECK(fork.received(2, 487) == Actions{{Kind::forward, 0}});
    }

    TEST_CASE("CANCEL reaches every pending branch, and the 487 comes back once") {
        auto fork = fork_of(2);
        fork.received(0, 486);
        CHECK(fork.cancel() == Actions{{Kind::cancel, 1}});
        CHECK(fork.received(1, 487) == Actions{{Kind::forward, 0}});
        CHECK(fork.cancel().empty());
    }

    TEST_CASE("an answer that crosses the CANCEL still counts") {
        auto fork = fork_of(1);
        fork.received(0, 180);
        fork.cancel();
        CHECK(fork.received(0, 200) == Actions{{Kind::forward, 0}});
    }
}
