#include "media/detect.hpp"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

#include "media/pcm.hpp"

namespace offhook::media {

namespace {

constexpr double silence_dbfs = -96;
constexpr double rest_ratio = 0.01;   // 20 dB: what a tone must have above all the rest
constexpr double quietest_tone = -50; // dBFS; below it there is nothing to tell from line noise
constexpr double tolerance = 0.015;   // of the frequency, as tone detectors of exchanges have it
constexpr double scan_step_hz = 5;    // a quarter of the resolution of a window
constexpr unsigned windows_per_second = 20;

double energy(std::span<const double> x) noexcept {
    double sum = 0;
    for (const double v : x)
        sum += v * v;
    return sum;
}

// A point going round the unit circle: sine and cosine of a frequency without calling them for each sample.
class Rotor {
public:
    explicit Rotor(double turns_per_sample) noexcept
        : step_(std::polar(1.0, 2 * std::numbers::pi * turns_per_sample)) {}
    [[nodiscard]] std::complex<double> next() noexcept {
        const auto now = at_;
        at_ = {at_.real() * step_.real() - at_.imag() * step_.imag(),
               at_.real() * step_.imag() + at_.imag() * step_.real()};
        return now;
    }

private:
    std::complex<double> step_;
    std::complex<double> at_{1, 0};
};

// The Hann window's side lobes keep a second tone out of the way.
std::vector<double> hann_weighted(std::span<const double> x) {
    std::vector<double> weighted(x.begin(), x.end());
    Rotor rotor(1.0 / static_cast<double>(x.size()));
    for (double &v : weighted)
        v *= 0.5 - 0.5 * rotor.next().real();
    return weighted;
}

double goertzel(std::span<const double> x, double turns_per_sample) noexcept {
    const double c = 2 * std::cos(2 * std::numbers::pi * turns_per_sample);
    double s1 = 0;
    double s2 = 0;
    for (const double v : x) {
        const double s = v + c * s1 - s2;
        s2 = s1;
        s1 = s;
    }
    return s1 * s1 + s2 * s2 - c * s1 * s2;
}

// The strongest frequency within the tolerance around `hz`.
double refine(std::span<const double> x, unsigned rate, double hz) {
    const int reach = std::max(1, static_cast<int>(std::ceil(hz * tolerance / scan_step_hz)));
    const double step = hz * tolerance / reach;
    const auto weighted = hann_weighted(x);
    std::vector<double> power;
    for (int i = -reach; i <= reach; ++i)
        power.push_back(goertzel(weighted, (hz + i * step) / rate));
    const auto best = std::max_element(power.begin(), power.end());
    double offset = 0;
    if (best != power.begin() && best + 1 != power.end()) { // the top of a parabola through three logarithms
        const double left = std::log(best[-1] + 1e-9);
        const double middle = std::log(*best + 1e-9);
        const double right = std::log(best[1] + 1e-9);
        const double bend = left + right - 2 * middle;
        if (bend < 0) offset = std::clamp(0.5 * (left - right) / bend, -0.5, 0.5);
    }
    return hz + (static_cast<double>(best - power.begin()) - reach + offset) * step;
}

struct Sine { // a·cos + b·sin
    double turns = 0, a = 0, b = 0;
};

// Adds `scale` times the sine to x.
void add(std::span<double> x, const Sine &sine, double scale) noexcept {
    Rotor rotor(sine.turns);
    for (double &v : x) {
        const auto point = rotor.next();
        v += scale * (sine.a * point.real() + sine.b * point.imag());
    }
}

// Least squares of one sine against x.
void fit(std::span<const double> x, Sine &sine) noexcept {
    Rotor rotor(sine.turns);
    double cc = 0;
    double ss = 0;
    double cs = 0;
    double xc = 0;
    double xs = 0;
    for (const double v : x) {
        const auto point = rotor.next();
        cc += point.real() * point.real();
        ss += point.imag() * point.imag();
        cs += point.real() * point.imag();
        xc += v * point.real();
        xs += v * point.imag();
    }
    const double determinant = cc * ss - cs * cs;
    if (std::abs(determinant) < 1e-9) return;
    sine.a = (xc * ss - xs * cs) / determinant;
    sine.b = (xs * cc - xc * cs) / determinant;
}

// Takes every tone out of the window; true if what remains is 20 dB below the weakest of them.
bool tones_stand_out(std::vector<double> x, unsigned rate, const std::vector<double> &hz) {
    std::vector<Sine> sines(hz.size());
    // Each is fitted with the others taken out, repeatedly, since neighbours (440 and 480 Hz) leak into each
    // other; the first round assumes the nominal frequencies.
    const double whole = energy(x);
    for (int pass = 0; pass < (hz.size() == 1 ? 2 : 5); ++pass) {
        for (std::size_t k = 0; k < hz.size(); ++k) {
            add(x, sines[k], 1);
            sines[k].turns = (pass == 0 ? hz[k] : refine(x, rate, hz[k])) / rate;
            fit(x, sines[k]);
            add(x, sines[k], -1);
        }
        if (pass == 1 && energy(x) > whole / 4) return false; // not nearly: most of the time
    }
    const double rest = energy(x) / static_cast<double>(x.size());
    return std::all_of(sines.begin(), sines.end(), [&](const Sine &s) {
        const double power = (s.a * s.a + s.b * s.b) / 2;
        return power > 0 && rest <= power * rest_ratio;
    });
}

} // namespace

double level_dbfs(ConstSamples frame) noexcept {
    double sum = 0;
    for (const int sample : frame)
        sum += static_cast<double>(sample) * sample;
    if (sum == 0) return silence_dbfs;
    const double mean = sum / static_cast<double>(frame.size()) / (full_scale * full_scale / 2);
    return std::max(silence_dbfs, 10 * std::log10(mean));
}

double tone_share(ConstSamples frame, unsigned rate, double hz) noexcept {
    const double c = 2 * std::cos(2 * std::numbers::pi * hz / rate);
    double s1 = 0;
    double s2 = 0;
    double total = 0;
    for (const int sample : frame) {
        const double s = sample + c * s1 - s2;
        s2 = s1;
        s1 = s;
        total += static_cast<double>(sample) * sample;
    }
    if (total == 0) return 0;
    const double power = s1 * s1 + s2 * s2 - c * s1 * s2;
    return std::clamp(2 * power / (total * static_cast<double>(frame.size())), 0.0, 1.0);
}

ToneDetector::ToneDetector(std::vector<double> hz, unsigned rate, Duration hold)
    : hz_(std::move(hz)), rate_(rate), hold_(hold) {
    std::erase_if(hz_, [rate](double f) { return f <= 0 || f >= rate / 2.0; });
    window_.reserve(rate_ / windows_per_second);
}

bool ToneDetector::push(ConstSamples frame) {
    bool heard = false;
    const std::size_t size = rate_ / windows_per_second;
    while (!frame.empty()) {
        const std::size_t take = std::min(frame.size(), size - window_.size());
        window_.insert(window_.end(), frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(take));
        frame = frame.subspan(take);
        if (window_.size() < size) break;
        const bool there = !hz_.empty() && level_dbfs(window_) > quietest_tone &&
                           tones_stand_out({window_.begin(), window_.end()}, rate_, hz_);
        seen_ = there ? seen_ + Duration{1000 / windows_per_second} : Duration{0};
        heard = heard || (there && seen_ >= hold_);
        window_.clear();
    }
    return heard;
}

void SilenceDetector::push(ConstSamples frame) {
    constexpr double rise_per_second = 2; // dB: a hum becomes the floor in some seconds, a pause does not
    constexpr double loudest_floor = -35; // louder than this plus the margin is always a sound
    constexpr double margin = 10;
    constexpr double shortest_sound = 60; // ms; a click is nobody
    if (frame.empty() || rate_ == 0) return;
    const double ms = 1000.0 * static_cast<double>(frame.size()) / rate_;
    const double level = level_dbfs(frame);
    floor_ = level < floor_ ? level : std::min({level, floor_ + rise_per_second * ms / 1000, loudest_floor});
    voice_ = level > threshold_ && level > floor_ + margin;
    silent_ms_ = voice_ ? 0 : silent_ms_ + ms;
    voice_ms_ = voice_ ? voice_ms_ + ms : 0;
    heard_ = heard_ || voice_ms_ >= shortest_sound;
}

Duration SilenceDetector::silent_for() const noexcept {
    return Duration{static_cast<Duration::rep>(silent_ms_)};
}

bool SilenceDetector::voice() const noexcept {
    return voice_;
}

bool SilenceDetector::heard_anything() const noexcept {
    return heard_;
}

} // namespace offhook::media
