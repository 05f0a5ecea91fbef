#include <random>
#include <utility>

#include <doctest/doctest.h>

#include "media/loss_pattern.hpp"
#include "media/quality.hpp"

using namespace offhook::media;

TEST_SUITE("loss pattern") {

    TEST_CASE("nothing lost") {
        LossPattern pattern;
        CHECK(pattern.burst_ratio() == 1);
        for (int n = 0; n < 100; ++n)
            pattern.played();
        CHECK(pattern.loss_percent() == 0);
        CHECK(pattern.burst_ratio() == 1);
        CHECK(pattern.bursts().burst_density == 0);
        CHECK(pattern.bursts().gap_density == 0);
    }

    TEST_CASE("random loss has a burst ratio of one, whatever its rate") {
        for (const unsigned percent : {1U, 5U, 10U, 30U}) {
            CAPTURE(percent);
            std::mt19937 random(percent);
            LossPattern pattern;
            std::uint64_t run = 0;
            for (int n = 0; n < 200'000; ++n)
                if (random() % 100 < percent)
                    ++run;
                else
                    pattern.played(std::exchange(run, 0));
            CHECK(pattern.loss_percent() == doctest::Approx(percent).epsilon(0.05));
            CHECK(pattern.burst_ratio() == doctest::Approx(1).epsilon(0.02));
        }
    }

    TEST_CASE("clustered loss has a higher one, and costs more") { // G.107 §7.2
        LossPattern pattern;
        for (int n = 0; n < 9500; ++n)
            pattern.played(n % 95 == 94 ? 5 : 0);
        CHECK(pattern.loss_percent() == doctest::Approx(5).epsilon(0.03));
        CHECK(pattern.burst_ratio() == doctest::Approx(5 * 0.95).epsilon(0.01));
        const QualityInput random{.loss_percent = 5},
            burst{.loss_percent = 5, .burst_ratio = pattern.burst_ratio()};
        CHECK(mos(random) - mos(burst) > 0.08);
    }

    TEST_CASE("bursts and gaps by RFC 3611 with Gmin 16") {
        LossPattern pattern;
        const auto play = [&](int packets) {
            for (int n = 0; n < packets; ++n)
                pattern.played();
        };
        play(100);
        pattern.played(1); // alone between gaps
        play(99);
        pattern.played(2); // a burst of 2 + 10 + 1 packets …
        play(9);
        pattern.played(1);
        play(200);
        const auto bursts = pattern.bursts();
        CHECK(bursts.burst_packets == doctest::Approx(13));
        CHECK(bursts.burst_density == doctest::Approx(3.0 / 13));
        CHECK(bursts.gap_density == doctest::Approx(1.0 / (pattern.packets() - 13)));
        CHECK(pattern.lost() == 4);
    }

} // TEST_SUITE
