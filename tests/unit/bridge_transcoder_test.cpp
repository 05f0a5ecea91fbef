#include <array>
#include <cmath>
#include <numbers>

#include <doctest/doctest.h>

#include "bridge/transcoder.hpp"
#include "media/wire.hpp"

using namespace offhook;
using namespace offhook::bridge;

namespace {

struct Sent {
    media::RtpHeader header;
    std::vector<std::uint8_t> payload;
};

// A sender of one codec that sings 440 Hz, a transcoder, and what comes out of it.
struct Line {
    Line(const char *from_key, const char *to_key)
        : from(media::find_codec(from_key)), to(media::find_codec(to_key)) {
        encoder = media::make_encoder(*from, {}).value();
        auto opened = Transcoder::open({from, {}}, {to, {}});
        REQUIRE(opened);
        transcoder = std::move(*opened);
    }

    std::vector<std::uint8_t> frame() {
        std::vector<std::int16_t> pcm(from->pcm_rate / 50);
        for (auto &sample : pcm)
            sample = static_cast<std::int16_t>(
                8000 * std::sin(2 * std::numbers::pi * 440 * static_cast<double>(time++) / from->pcm_rate));
        const auto payload = encoder->encode(pcm);
        return {payload.begin(), payload.end()};
    }
    // The next frame; `arrives`: else it is lost.
    void next(bool arrives = true) {
        const auto payload = frame();
        media::RtpPacket packet{{false, 0, sequence++, timestamp, ssrc}, payload};
        timestamp += from->clock_rate / 50;
        if (arrives) push(packet);
    }
    void push(const media::RtpPacket &packet) {
        transcoder->audio(packet, [this](const media::RtpHeader &header, auto out) {
            sent.push_back({header, {out.begin(), out.end()}});
        });
    }
    void event(std::uint32_t at, std::uint16_t duration) {
        std::array<std::uint8_t, 4> payload{5, 10};
        media::write_u16(payload, 2, duration);
        transcoder->event({{false, 101, sequence++, at, ssrc}, payload},
                          [this](const media::RtpHeader &header, auto out) {
                              sent.push_back({header, {out.begin(), out.end()}});
                          });
    }
    // The level of 440 Hz in what came out after the first 10 frames, against all of it: 1 is a pure tone.
    double purity() {
        auto decoder = media::make_decoder(*to, {}).value();
        std::vector<std::int16_t> pcm(to->pcm_rate / 50);
        double sine = 0, cosine = 0, all = 0;
        std::size_t n = 0;
        for (std::size_t i = 0; i < sent.size(); ++i) {
            const std::size_t count = decoder->decode(sent[i].payload, pcm);
            for (std::size_t k = 0; k < count && i >= 10; ++k, ++n) {
                const double angle = 2 * std::numbers::pi * 440 * static_cast<double>(n) / to->pcm_rate;
                sine += pcm[k] * std::sin(angle);
                cosine += pcm[k] * std::cos(angle);
                all += static_cast<double>(pcm[k]) * pcm[k];
            }
        }
        REQUIRE(n > 0);
        level = std::sqrt(2 * all / static_cast<double>(n));
        return 2 * (sine * sine + cosine * cosine) / (static_cast<double>(n) * all);
    }

    const media::CodecInfo *from, *to;
    std::unique_ptr<media::Encoder> encoder;
    std::unique_ptr<Transcoder> transcoder;
    std::vector<Sent> sent;
    std::size_t time = 0;
    std::uint32_t timestamp = 4'294'967'000U, ssrc = 7; // wraps soon
    std::uint16_t sequence = 65'530;
    double level = 0;
};

} // namespace

TEST_SUITE("bridge transcoder") {
    TEST_CASE("a tone stays a tone of the same level, packet by packet, between all codecs") {
        for (const char *from : {"opus", "g722", "pcma", "pcmu"})
            for (const char *to : {"opus", "g722", "pcma", "pcmu"}) {
                CAPTURE(from);
                CAPTURE(to);
                if (media::find_codec(from) == nullptr || media::find_codec(to) == nullptr) continue;
                Line line(from, to);
                for (int i = 0; i < 60; ++i)
                    line.next();
                CHECK(line.sent.size() == 60);
                CHECK(line.purity() > 0.97);
                CHECK(line.level > 7000);
                CHECK(line.level < 9000);
                for (std::size_t i = 1; i < line.sent.size(); ++i) {
                    CHECK(static_cast<std::uint16_t>(line.sent[i].header.sequence -
                                                     line.sent[i - 1].header.sequence) == 1);
                    CHECK(line.sent[i].header.timestamp - line.sent[i - 1].header.timestamp ==
                          line.to->clock_rate / 50);
                }
            }
    }

    TEST_CASE("a lost packet is concealed, a late one left out, a pause stays a pause") {
        Line line("pcmu", "opus");
        for (int i = 0; i < 20; ++i)
            line.next();
        const auto late = line.frame();
        const media::RtpPacket packet{{false, 0, line.sequence, line.timestamp, line.ssrc}, late};
        line.next(false);
        line.next();
        CHECK(line.sent.size() == 22); // 20 and the gap and the one after it
        line.push(packet);
        CHECK(line.sent.size() == 22);
        const auto before = line.sent.back().header;
        line.timestamp += 8'000; // a second of silence
        line.next();
        CHECK(line.sent.back().header.timestamp - before.timestamp == 48'000 + 960);
        CHECK(line.sent.back().header.sequence == static_cast<std::uint16_t>(before.sequence + 1));
        CHECK(line.sent.back().header.marker);
    }

    TEST_CASE("telephone-events keep their place between the sounds, in the other clock") {
        Line line("opus", "pcmu");
        for (int i = 0; i < 5; ++i)
            line.next();
        const auto last = line.sent.back().header;
        const std::uint32_t start = line.timestamp;
        for (std::uint16_t duration = 960; duration <= 4800; duration += 960)
            line.event(start, duration);
        REQUIRE(line.sent.size() == 10);
        for (std::size_t i = 5; i < 10; ++i) {
            CHECK(line.sent[i].header.timestamp == last.timestamp + 160);
            CHECK(line.sent[i].payload.size() == 4);
        }
        line.timestamp += 4800;
        line.next();
        CHECK(line.sent.size() == 11); // the time of the event is no gap to be filled
        CHECK(line.sent.back().header.timestamp == last.timestamp + 160 + 800);
    }

    TEST_CASE("another source, and packets that are broken") {
        Line line("opus", "pcma");
        for (int i = 0; i < 5; ++i)
            line.next();
        line.ssrc = 9;
        line.timestamp = 1;
        line.sequence = 100;
        line.next();
        CHECK(line.sent.size() == 6);
        CHECK(line.sent.back().header.ssrc == 9);
        CHECK(line.sent.back().header.marker);
        line.push({{false, 0, line.sequence, line.timestamp, line.ssrc}, {}});
        const std::vector<std::uint8_t> noise(300, 0xff);
        line.push({{false, 0, ++line.sequence, line.timestamp, line.ssrc}, noise});
        CHECK(line.sent.size() <= 12);
    }
}
