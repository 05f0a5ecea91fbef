#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numbers>

#include <doctest/doctest.h>

#include "media/codec.hpp"
#include "media/plc.hpp"
#include "media/saturate.hpp"

using namespace offhook;
using namespace offhook::media;

namespace {

std::vector<std::int16_t> sine(unsigned rate, double hz, double seconds, double amplitude = 10000) {
    std::vector<std::int16_t> out(static_cast<std::size_t>(rate * seconds));
    for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = saturated(amplitude * std::sin(2 * std::numbers::pi * hz * static_cast<double>(i) / rate));
    return out;
}

double rms(ConstSamples pcm) {
    double sum = 0;
    for (const auto sample : pcm)
        sum += double{1} * sample * sample;
    return std::sqrt(sum / static_cast<double>(pcm.size()));
}

// The share of one frequency in the power, 0..1.
double share(ConstSamples pcm, unsigned rate, double hz) {
    double re = 0, im = 0, power = 0;
    for (std::size_t i = 0; i < pcm.size(); ++i) {
        const double phase = 2 * std::numbers::pi * hz * static_cast<double>(i) / rate;
        re += pcm[i] * std::cos(phase);
        im += pcm[i] * std::sin(phase);
        power += double{1} * pcm[i] * pcm[i];
    }
    return power == 0 ? 0 : 2 * (re * re + im * im) / (power * static_cast<double>(pcm.size()));
}

int largest_step(ConstSamples pcm) {
    int largest = 0;
    for (std::size_t i = 1; i < pcm.size(); ++i)
        largest = std::max(largest, std::abs(pcm[i] - pcm[i - 1]));
    return largest;
}

} // namespace

TEST_SUITE("codec") {

    TEST_CASE("codec lists: names in their order, or an error that names the known ones") {
        const auto list = parse_codec_list("pcmu, OPUS,pcmu");
        REQUIRE(list);
        REQUIRE(list->size() == 2);
        CHECK(list->at(0)->key == "pcmu");
        CHECK(list->at(1)->key == "opus");
        for (const char *wrong : {"", "gsm", "pcmu,", ",pcmu", "pcmu;pcma"}) {
            const auto bad = parse_codec_list(wrong);
            REQUIRE_FALSE(bad);
            CHECK(bad.error().code == Errc::invalid_argument);
            CHECK(bad.error().what.find("opus, ") != std::string::npos);
        }
    }

    TEST_CASE("G.711 is the inverse of itself on all its codes, and known at the ends") {
        for (int code = 0; code < 256; ++code) {
            const auto byte = static_cast<std::uint8_t>(code);
            if (byte != 0x7f) CHECK(linear_to_ulaw(ulaw_to_linear(byte)) == byte); // µ-law has two zeros
            CHECK(linear_to_alaw(alaw_to_linear(byte)) == byte);
        }
        CHECK(ulaw_to_linear(0x00) == -32124);
        CHECK(ulaw_to_linear(0x80) == 32124);
        CHECK(linear_to_ulaw(0) == 0xff);
        CHECK(linear_to_ulaw(-32768) == 0x00);
        CHECK(linear_to_ulaw(32767) == 0x80);
        CHECK(alaw_to_linear(0xd5) == 8);
        CHECK(alaw_to_linear(0x55) == -8);
        CHECK(linear_to_alaw(0) == 0xd5);
        CHECK(linear_to_alaw(-32768) == 0x2a);
        CHECK(linear_to_alaw(32767) == 0xaa);
    }

    TEST_CASE("G.711 is off by half a step at most") {
        for (int sample = -32768; sample <= 32767; sample += 7) {
            const auto pcm = static_cast<std::int16_t>(sample);
            const int allowed = std::max(16, std::abs(sample) / 28);
            CHECK(std::abs(ulaw_to_linear(linear_to_ulaw(pcm)) - sample) <= std::max(allowed, 650));
            CHECK(std::abs(alaw_to_linear(linear_to_alaw(pcm)) - sample) <= allowed);
        }
    }

    TEST_CASE("every codec brings a tone across at its level") {
        for (const CodecInfo &info : codec_table()) {
            CAPTURE(info.key);
            auto encoder = make_encoder(info, {}).value();
            auto decoder = make_decoder(info, {}).value();
            const auto in = sine(info.pcm_rate, 440, 1);
            const std::size_t frame = info.pcm_rate / 50;
            std::vector<std::int16_t> out, pcm(frame * 6);
            for (std::size_t at = 0; at + frame <= in.size(); at += frame) {
                const auto payload = encoder->encode(ConstSamples(in).subspan(at, frame));
                REQUIRE_FALSE(payload.empty());
                const std::size_t count = decoder->decode(payload, pcm);
                REQUIRE(count == frame);
                out.insert(out.end(), pcm.begin(), pcm.begin() + static_cast<std::ptrdiff_t>(count));
            }
            const auto settled = ConstSamples(out).last(out.size() / 2);
            CHECK(share(settled, info.pcm_rate, 440) > 0.95);
            CHECK(rms(settled) == doctest::Approx(rms(in)).epsilon(0.1));
        }
    }

    TEST_CASE("payloads that are broken or too long give nothing and write nothing beyond") {
        const std::vector<std::uint8_t> junk(4000, 0xFF);
        for (const CodecInfo &info : codec_table()) {
            CAPTURE(info.key);
            auto decoder = make_decoder(info, {}).value();
            std::vector<std::int16_t> pcm(160);
            CHECK(decoder->decode(junk, pcm) == 0);
            CHECK(decoder->decode({}, pcm) == 0);
            decoder->conceal(pcm, {});
            decoder->conceal(pcm, junk);
        }
        std::vector<std::int16_t> pcm(160);
        CHECK(make_decoder(*find_codec("l16"), {}).value()->decode(std::span(junk).first(3), pcm) == 0);
    }

    TEST_CASE("Opus sends nothing in pauses when the peer likes DTX, and comes back with the voice") {
        for (const bool dtx : {true, false}) {
            auto encoder = make_encoder(*find_codec("opus"), {.fmtp = dtx ? "usedtx=1" : ""}).value();
            std::vector<std::int16_t> voice(960), pause(960);
            int sent = 0, silent = 0;
            for (std::size_t n = 0; n < 100; ++n) {
                // A pitch and a loudness that change, as a steady tone passes for background noise.
                for (std::size_t i = 0; i < voice.size(); ++i)
                    voice[i] = static_cast<std::int16_t>(i % (180 + n % 7 * 40) * (30 + n % 5 * 20));
                sent += encoder->encode(n < 50 ? voice : pause).empty() ? 0 : 1;
            }
            for (int n = 0; n < 50; ++n)
                silent += encoder->encode(pause).empty() ? 0 : 1;
            CHECK(sent >= 50);
            CHECK((dtx ? silent <= 6 : silent == 50)); // now and then one, to keep the noise up to date
            CHECK_FALSE(encoder->encode(voice).empty());
        }
    }

    TEST_CASE("Opus mends a loss from the packet after it") {
        const CodecInfo &opus = *find_codec("opus");
        auto encoder = make_encoder(opus, {}).value();
        std::vector<std::int16_t> in(48000, 0); // silence, then a tone
        std::ranges::copy(sine(48000, 300, 0.4), in.begin() + 30 * 960);
        std::vector<std::vector<std::uint8_t>> packets;
        for (std::size_t at = 0; at + 960 <= in.size(); at += 960) {
            const auto payload = encoder->encode(ConstSamples(in).subspan(at, 960));
            packets.emplace_back(payload.begin(), payload.end());
        }
        for (const bool mended : {true, false}) {
            auto decoder = make_decoder(opus, {}).value();
            std::vector<std::int16_t> pcm(960);
            for (std::size_t n = 0; n < 30; ++n)
                REQUIRE(decoder->decode(packets[n], pcm) == 960);
            decoder->conceal(pcm, mended ? std::span<const std::uint8_t>(packets[31])
                                         : std::span<const std::uint8_t>{});
            CHECK((rms(pcm) > 1000) == mended); // repeating what was heard would be silence
        }
    }

    TEST_CASE("a gap in a voice-like tone is filled in phase, without clicks, and fades out") {
        for (const unsigned rate : {8000U, 16000U}) {
            PacketLossConcealer plc(rate);
            auto in = sine(rate, 125, 1); // 8 ms periods
            const std::size_t frame = rate / 50;
            std::vector<std::int16_t> out;
            for (std::size_t at = 0; at + frame <= in.size(); at += frame) {
                std::vector<std::int16_t> pcm(in.begin() + static_cast<std::ptrdiff_t>(at),
                                              in.begin() + static_cast<std::ptrdiff_t>(at + frame));
                if (at / frame % 10 == 9)
                    plc.conceal(pcm);
                else
                    plc.good(pcm);
                out.insert(out.end(), pcm.begin(), pcm.end());
            }
            CHECK(largest_step(out) <= 2 * largest_step(in));
            const ConstSamples gap = ConstSamples(out).subspan(9 * frame, frame / 2); // not faded yet
            CHECK(rms(gap) > 6000);

            std::vector<std::int16_t> pcm(frame);
            for (int n = 0; n < 3; ++n)
                plc.conceal(pcm);
            CHECK(rms(pcm) < 3500);
            plc.conceal(pcm);
            CHECK(rms(pcm) == 0);
        }
    }

    TEST_CASE("a gap before anything was heard, or in silence, is silence") {
        PacketLossConcealer plc(8000);
        std::vector<std::int16_t> pcm(160, 99);
        plc.conceal(pcm);
        CHECK(rms(pcm) == 0);
        std::vector<std::int16_t> loud(160, 32767);
        plc.good(loud);
        plc.conceal(pcm);
        for (const auto sample : pcm)
            CHECK(sample >= 0); // no wrap-around at full scale
    }

    TEST_CASE("sums are clamped, not wrapped") {
        CHECK(saturated_sum(32000, 32000) == 32767);
        CHECK(saturated_sum(-32000, -32000) == -32768);
        CHECK(saturated(1e9) == 32767);
        CHECK(saturated(-1e9) == -32768);
    }

} // TEST_SUITE
