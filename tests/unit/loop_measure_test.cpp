#include <cmath>
#include <random>

#include <doctest/doctest.h>

#include "media/loop_measure.hpp"
#include "media/saturate.hpp"

using namespace offhook::media;

namespace {

std::vector<std::int16_t> room(const LoopMeasure &measure, std::size_t delay, double gain, double noise) {
    std::mt19937 random(5);
    std::normal_distribution<double> hum(0, noise);
    std::vector<std::int16_t> heard(measure.to_play().size());
    for (std::size_t i = 0; i < heard.size(); ++i)
        heard[i] =
            saturated_sum(static_cast<std::int16_t>(hum(random)),
                          static_cast<std::int16_t>(i >= delay ? measure.to_play()[i - delay] * gain : 0));
    return heard;
}

} // namespace

TEST_SUITE("loop measure") {

    TEST_CASE("round trip and return loss, in silence and in noise") {
        const LoopMeasure measure;
        for (const double noise : {1.0, 100.0}) {
            CAPTURE(noise);
            const auto result = measure.result(room(measure, 4000, 0.5, noise));
            CHECK(result.heard);
            CHECK(result.round_trip_ms == doctest::Approx(250));
            CHECK(result.return_loss_db == doctest::Approx(6.02).epsilon(0.1));
        }
    }

    TEST_CASE("nothing that comes back is not taken for an echo") {
        const LoopMeasure measure;
        CHECK_FALSE(measure.result(room(measure, 0, 0, 300)).heard);
        CHECK_FALSE(measure.result(std::vector<std::int16_t>(measure.to_play().size())).heard);
        CHECK_FALSE(measure.result({}).heard);
    }

} // TEST_SUITE
