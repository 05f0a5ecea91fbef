// Sound files as tests see them: samples, the strongest frequency, the level.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace offhook::test {

struct Wav {
    unsigned rate = 0;
    std::vector<std::vector<std::int16_t>> samples; // by channel

    static Wav load(const std::string &path); // rate 0 if it cannot be read; 16 bit PCM WAV
    [[nodiscard]] double seconds() const;
    // The strongest frequency of 100..4000 Hz, 0 when silent, and the level in dBFS (0: a full-scale sine;
    // -96: silence) of `length` seconds from `from` (length 0: to the end).
    [[nodiscard]] double hz(std::size_t channel, double from = 0, double length = 0) const;
    [[nodiscard]] double dbfs(std::size_t channel, double from = 0, double length = 0) const;

private:
    [[nodiscard]] std::vector<std::int16_t> window(std::size_t channel, double from, double length) const;
};

double strongest_hz(const std::vector<std::int16_t> &samples, unsigned rate);
bool write_wav(const std::string &path, unsigned rate, const std::vector<std::int16_t> &interleaved,
               unsigned channels = 1);

} // namespace offhook::test
