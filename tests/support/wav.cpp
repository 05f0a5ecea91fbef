#include "tests/support/wav.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>

#include "media/detect.hpp"
#include "media/pipe.hpp"

namespace offhook::test {

Wav Wav::load(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    std::vector<std::uint8_t> bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    media::WavHeaderParser header;
    Wav wav;
    if (header.parse(bytes) != media::WavHeaderParser::State::data || header.format().bits != 16) return wav;
    wav.rate = header.format().rate;
    wav.samples.resize(header.format().channels);
    std::size_t channel = 0;
    for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
        std::int16_t sample = 0;
        std::memcpy(&sample, &bytes[i], sizeof sample);
        wav.samples[channel].push_back(sample);
        channel = (channel + 1) % wav.samples.size();
    }
    return wav;
}

double Wav::seconds() const {
    return rate == 0 || samples.empty() ? 0 : static_cast<double>(samples[0].size()) / rate;
}

std::vector<std::int16_t> Wav::window(std::size_t channel, double from, double length) const {
    if (channel >= samples.size()) return {};
    const auto &all = samples[channel];
    const auto begin = std::min(all.size(), static_cast<std::size_t>(from * rate));
    const auto count = length > 0 ? static_cast<std::size_t>(length * rate) : all.size();
    const auto end = std::min(all.size(), begin + count);
    return {all.begin() + static_cast<std::ptrdiff_t>(begin), all.begin() + static_cast<std::ptrdiff_t>(end)};
}

double Wav::hz(std::size_t channel, double from, double length) const {
    return strongest_hz(window(channel, from, length), rate);
}

double Wav::dbfs(std::size_t channel, double from, double length) const {
    return media::level_dbfs(window(channel, from, length));
}

double strongest_hz(const std::vector<std::int16_t> &samples, unsigned rate) {
    if (rate == 0 || samples.empty()) return 0;
    // 10 Hz steps over 50 ms pieces find the neighbourhood, 1 Hz steps over half a second the frequency.
    const auto share = [&](double hz, std::size_t size, std::size_t limit) {
        double sum = 0;
        for (std::size_t at = 0; at < std::min(samples.size(), limit); at += size) {
            const media::ConstSamples piece(&samples[at], std::min(size, samples.size() - at));
            const double level = std::pow(10, media::level_dbfs(piece) / 10);
            sum += media::tone_share(piece, rate, hz) * (level > 1e-8 ? level : 0);
        }
        return sum;
    };
    const auto peak = [&](double low, double high, double step, std::size_t size, std::size_t limit) {
        double best = 0, best_share = 0;
        for (double hz = low; hz <= std::min(high, rate / 2.0 - 1); hz += step)
            if (const double s = share(hz, size, limit); s > best_share) best_share = s, best = hz;
        return best;
    };
    const double rough = peak(100, 4000, 10, rate / 20, rate);
    return rough == 0 ? 0 : peak(rough - 12, rough + 12, 1, rate / 2, rate);
}

bool write_wav(const std::string &path, unsigned rate, const std::vector<std::int16_t> &interleaved,
               unsigned channels) {
    auto header = media::streaming_wav_header(rate, channels);
    const auto data = static_cast<std::uint32_t>(interleaved.size() * 2), riff = data + 36;
    std::memcpy(&header[4], &riff, 4);
    std::memcpy(&header[40], &data, 4);
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char *>(header.data()), static_cast<std::streamsize>(header.size()));
    file.write(reinterpret_cast<const char *>(interleaved.data()), static_cast<std::streamsize>(data));
    return file.good();
}

} // namespace offhook::test
