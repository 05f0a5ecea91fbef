// What transcoding a call costs: both directions of a Transcoder, 50 packets a second each, with a voice-like
// sound. Prints the CPU time of each second of the call, in microseconds.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <numbers>
#include <span>
#include <string>
#include <vector>

#include "bridge/transcoder.hpp"

using namespace offhook;
using namespace offhook::bridge;

namespace {

constexpr int seconds = 20, frames = seconds * 50;

template <class T>
T need(Result<T> result) {
    if (result) return std::move(*result);
    (void)std::fprintf(stderr, "%s\n", result.error().what.c_str());
    std::exit(1);
}

// Harmonics of a pitch that wanders, in syllables with pauses between them, and a little noise.
std::vector<std::int16_t> voice(unsigned rate) {
    std::vector<std::int16_t> out(std::size_t{rate} * seconds);
    double phase = 0;
    std::uint32_t noise = 1;
    for (std::size_t i = 0; i < out.size(); ++i) {
        const double t = static_cast<double>(i) / rate;
        const double syllable = std::max(0.0, std::sin(2 * std::numbers::pi * 2.2 * t));
        phase += 2 * std::numbers::pi * (120 + 30 * std::sin(2 * std::numbers::pi * 0.7 * t)) / rate;
        double sound = 0;
        for (int harmonic = 1; harmonic <= 20; ++harmonic)
            sound += std::sin(harmonic * phase) / harmonic;
        noise = noise * 1'664'525U + 1'013'904'223U;
        out[i] = static_cast<std::int16_t>(4'000 * syllable * sound + static_cast<double>(noise >> 25U));
    }
    return out;
}

std::vector<std::vector<std::uint8_t>> encoded(const media::CodecInfo &codec) {
    const auto sound = voice(codec.pcm_rate);
    const auto encoder = need(media::make_encoder(codec, {}));
    std::vector<std::vector<std::uint8_t>> out;
    for (std::size_t at = 0, frame = codec.pcm_rate / 50; at + frame <= sound.size(); at += frame) {
        const auto payload = encoder->encode(std::span(sound).subspan(at, frame));
        out.emplace_back(payload.begin(), payload.end());
    }
    return out;
}

double cpu_now() {
    timespec time{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

double microseconds_a_second(const media::CodecInfo &one, const media::CodecInfo &other) {
    struct Direction {
        const media::CodecInfo *from;
        std::vector<std::vector<std::uint8_t>> packets;
        std::unique_ptr<Transcoder> transcoder;
    };
    const auto direction = [](const media::CodecInfo &from, const media::CodecInfo &to) {
        return Direction{&from, encoded(from), need(Transcoder::open({&from, {}}, {&to, {}}))};
    };
    std::array<Direction, 2> both{direction(one, other), direction(other, one)};
    std::size_t sent = 0;
    const double before = cpu_now();
    for (int i = 0; i < frames; ++i)
        for (auto &way : both) {
            const auto number = static_cast<std::uint32_t>(i);
            way.transcoder->audio(
                {{false, 0, static_cast<std::uint16_t>(i), number * (way.from->clock_rate / 50), 7},
                 way.packets[static_cast<std::size_t>(i)]},
                [&](const auto &, auto payload) { sent += payload.size(); });
        }
    const double spent = cpu_now() - before;
    if (sent == 0) std::exit(1);
    return spent / seconds;
}

} // namespace

int main(int argc, char **argv) {
    const auto *opus = media::find_codec("opus");
    for (int round = argc > 1 ? std::atoi(argv[1]) : 1; round > 0; --round)
        for (const char *key : {"pcmu", "g722"})
            if (const auto *other = media::find_codec(key); other != nullptr && opus != nullptr)
                std::printf("{\"codecs\":\"opus %s\",\"us\":%.1f}\n", key,
                            microseconds_a_second(*opus, *other));
}
