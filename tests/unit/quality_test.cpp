#include <doctest/doctest.h>

#include "media/quality.hpp"

using namespace offhook::media;

TEST_SUITE("quality") {

    TEST_CASE("a perfect connection has R 93.2 and MOS 4.41") { // G.107, all defaults
        CHECK(r_factor({}) == doctest::Approx(93.2));
        CHECK(mos(93.2) == doctest::Approx(4.41).epsilon(0.001));
    }

    TEST_CASE("R becomes MOS as in table B.1 of G.107") {
        struct Row {
            double r, mos;
        };
        for (const Row &row : {Row{90, 4.34}, Row{80, 4.03}, Row{70, 3.60}, Row{60, 3.10}, Row{50, 2.58}}) {
            CAPTURE(row.r);
            CHECK(mos(row.r) == doctest::Approx(row.mos).epsilon(0.003));
        }
        CHECK(mos(0) == 1.0);
        CHECK(mos(-5) == 1.0);
        CHECK(mos(100) == 4.5);
        CHECK(mos(150) == 4.5);
    }

    TEST_CASE("random loss takes from R what G.107 says for G.711 with concealment") {
        struct Row { // Ie-eff = 95 · Ppl / (Ppl + 25.1)
            double loss, r, mos;
        };
        for (const Row &row :
             {Row{1, 89.6, 4.33}, Row{5, 77.4, 3.93}, Row{10, 66.1, 3.41}, Row{20, 51.1, 2.63}}) {
            CAPTURE(row.loss);
            CHECK(r_factor({.loss_percent = row.loss}) == doctest::Approx(row.r).epsilon(0.001));
            CHECK(mos(QualityInput{.loss_percent = row.loss}) == doctest::Approx(row.mos).epsilon(0.005));
        }
    }

    TEST_CASE("delay below 100 ms is free, above it costs what G.107 says") {
        struct Row { // Idd, eq. 7-27
            double ms, idd;
        };
        for (const Row &row : {Row{0, 0}, Row{100, 0}, Row{200, 3.04}, Row{300, 14.8}, Row{400, 24.1}}) {
            CAPTURE(row.ms);
            CHECK(93.2 - r_factor({.one_way_delay_ms = row.ms}) == doctest::Approx(row.idd).epsilon(0.02));
        }
    }

    TEST_CASE("more loss, delay or impairment never sounds better, and nothing leaves the scale") {
        double before = 5;
        for (double loss = -10; loss <= 200; loss += 0.5) {
            const double now =
                mos(QualityInput{.loss_percent = loss, .one_way_delay_ms = 150 + loss, .ie = 11});
            CHECK(now <= before);
            CHECK(now >= 1.0);
            CHECK(now <= 4.5);
            before = now;
        }
        CHECK(r_factor({.loss_percent = 100, .one_way_delay_ms = 1e9, .ie = 95, .bpl = 0}) == 0);
        CHECK(r_factor({.loss_percent = 0, .ie = 0, .bpl = 0}) == doctest::Approx(93.2));
    }

} // TEST_SUITE
