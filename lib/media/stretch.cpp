#include "media/stretch.hpp"

#include <algorithm>
#include <cmath>

#include "media/detect.hpp"
#include "media/saturate.hpp"

namespace offhook::media {

namespace {

constexpr double shortest_ms = 2.5,
                 longest_ms = 10;    // voices are above 100 Hz, and two periods fit into 20 ms
constexpr double resembles = 0.8;    // normalised correlation
constexpr double unheard_dbfs = -55; // of a pause anything may be taken out
constexpr Duration least_spare{4}, most_spare_beyond_packet{10};

struct Lag {
    std::size_t samples = 0;
    double likeness = 0;
};

// The distance at which the start of the piece resembles what comes then.
Lag best_lag(ConstSamples pcm, unsigned rate) {
    const auto shortest = static_cast<std::size_t>(shortest_ms * rate / 1000);
    const auto longest = std::min(static_cast<std::size_t>(longest_ms * rate / 1000), pcm.size() / 2);
    const std::size_t step = std::max(rate / 8000, 1U);
    Lag best{shortest, -1};
    for (std::size_t lag = shortest; lag <= longest; ++lag) {
        double product = 0;
        double first = 1;
        double second = 1;
        for (std::size_t i = 0; i < lag; i += step) {
            const double a = pcm[i];
            const double b = pcm[i + lag];
            product += a * b;
            first += a * a;
            second += b * b;
        }
        const double likeness = product / std::sqrt(first * second);
        if (likeness > best.likeness) best = {lag, likeness};
    }
    return best;
}

std::int16_t fade(std::int16_t from, std::int16_t to, std::size_t at, std::size_t length) {
    const double weight = (static_cast<double>(at) + 0.5) / static_cast<double>(length);
    return saturated(from * (1 - weight) + to * weight);
}

} // namespace

bool stretch(std::vector<std::int16_t> &pcm, unsigned rate, Stretch how, bool insist) {
    if (how == Stretch::none || pcm.size() < std::size_t{rate} / 100) return false;
    const Lag lag = best_lag(pcm, rate);
    if (lag.likeness < resembles && !insist && level_dbfs(pcm) > unheard_dbfs) return false;
    const std::size_t length = lag.samples;
    const auto at = [&](std::size_t i) { return pcm.begin() + static_cast<std::ptrdiff_t>(i); };
    if (how == Stretch::shorter) { // the first period runs into the second, which is left out
        for (std::size_t i = 0; i < length; ++i)
            pcm[i] = fade(pcm[i], pcm[i + length], i, length);
        pcm.erase(at(length), at(2 * length));
    } else { // the second period runs into the first, which comes again before it
        std::vector<std::int16_t> again(length);
        for (std::size_t i = 0; i < length; ++i)
            again[i] = fade(pcm[i + length], pcm[i], i, length);
        pcm.insert(at(length), again.begin(), again.end());
    }
    return true;
}

Stretch PlayoutControl::played(Duration age, unsigned ptime_ms) {
    smallest_ = std::min(smallest_, age);
    seen_ms_ += ptime_ms;
    if (seen_ms_ >= hurry_ms && smallest_ < least_spare) {
        ++refused_;
        return Stretch::longer;
    }
    if (seen_ms_ < window_ms) return Stretch::none;
    if (smallest_ > Duration{ptime_ms} + most_spare_beyond_packet) {
        ++refused_;
        return Stretch::shorter;
    }
    reset();
    return Stretch::none;
}

void PlayoutControl::done() {
    reset();
}

void PlayoutControl::reset() {
    smallest_ = Duration{1'000'000};
    seen_ms_ = refused_ = 0;
}

} // namespace offhook::media
