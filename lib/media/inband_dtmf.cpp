#include "media/inband_dtmf.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "media/pcm.hpp"

namespace offhook::media {

namespace {

// The high group is sent 2 dB louder: lines attenuate it more (Q.24, pre-emphasis).
constexpr double low_dbfs = -9, high_dbfs = -7;
constexpr double tone_seconds = 0.1, gap_seconds = 0.1, pause_seconds = 0.5;

} // namespace

std::optional<std::pair<double, double>> dtmf_frequencies(char digit) noexcept {
    static constexpr std::string_view keys = "123A456B789C*0#D";
    static constexpr std::array<double, 4> low{697, 770, 852, 941}, high{1209, 1336, 1477, 1633};
    if (digit >= 'a' && digit <= 'd') digit = static_cast<char>(digit - 'a' + 'A');
    const auto at = keys.find(digit);
    if (at == std::string_view::npos) return std::nullopt;
    return std::pair{low[at / 4], high[at % 4]};
}

void InbandDtmf::send(std::string_view digits) {
    const Oscillator none(0, 0);
    for (char digit : digits) {
        if (const auto hz = dtmf_frequencies(digit)) {
            parts_.push_back(
                {Oscillator(hz->first, low_dbfs), Oscillator(hz->second, high_dbfs), true, tone_seconds});
            parts_.push_back({none, none, false, gap_seconds});
        } else if (digit == ',' || digit == 'w' || digit == 'W') {
            parts_.push_back({none, none, false, pause_seconds});
        }
    }
}

void InbandDtmf::fill(Samples frame, unsigned rate) noexcept {
    const double step = 1.0 / rate;
    silence(frame);
    for (auto &sample : frame) {
        if (parts_.empty()) return;
        Part &part = parts_.front();
        if (part.sounding) sample = to_sample(part.low.next(step) + part.high.next(step));
        position_ += step;
        if (position_ + step / 2 < part.seconds) continue;
        position_ = 0;
        parts_.erase(parts_.begin());
    }
}

} // namespace offhook::media
