// The codec table and the codecs. PCM is signed 16 bit, mono, at the codec's own rate.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace offhook::media {

using Samples = std::span<std::int16_t>;
using ConstSamples = std::span<const std::int16_t>;

// One row of the table: what SDP calls it and what the RTP clock does.
struct CodecInfo {
    std::string_view key;      // --codecs: "opus", "g722", "pcma", "pcmu", "l16"
    std::string_view encoding; // rtpmap: "opus", "G722", "PCMA", "PCMU", "L16"
    unsigned pcm_rate;         // samples/s of the PCM side: 48000, 16000, 8000, 8000, 16000
    unsigned clock_rate;       // RTP timestamp units/s (G.722: 8000, RFC 3551 §4.5.2)
    unsigned channels;         // in rtpmap (opus: 2 although mono is sent)
    int static_payload_type;   // -1: dynamic
    double ie;                 // equipment impairment Ie of the E-model (G.113 Appendix I)
    double bpl;                // packet-loss robustness Bpl
};

std::span<const CodecInfo> codec_table() noexcept; // only those built in (G.722 needs spandsp)
const CodecInfo *find_codec(std::string_view key) noexcept;
// "opus,pcma" → rows in that order. Errors: invalid_argument naming the unknown codec and the known ones.
Result<std::vector<const CodecInfo *>> parse_codec_list(std::string_view list);

class Encoder {
public:
    virtual ~Encoder() = default;
    // One frame of ptime; returns the payload (view into the encoder, valid until the next call).
    virtual std::span<const std::uint8_t> encode(ConstSamples pcm) = 0;
};

class Decoder {
public:
    virtual ~Decoder() = default;
    // Decodes one payload into `pcm`; returns the samples written (payload length decides), 0 if broken.
    virtual std::size_t decode(std::span<const std::uint8_t> payload, Samples pcm) = 0;
    // Fills `pcm` for a packet that did not come. `next`: the packet after it, if here already (Opus FEC).
    virtual void conceal(Samples pcm, std::span<const std::uint8_t> next) = 0;
};

struct CodecParams {
    unsigned ptime_ms = 20;
    std::string fmtp;         // the peer's a=fmtp for it: "useinbandfec=1;maxaveragebitrate=24000"
    int opus_complexity = 5;  // 0..10; 5 keeps a Raspberry Pi cool
    int opus_bitrate = 24000; // bit/s
};

Result<std::unique_ptr<Encoder>> make_encoder(const CodecInfo &info, const CodecParams &params);
Result<std::unique_ptr<Decoder>> make_decoder(const CodecInfo &info, const CodecParams &params);

// G.711 for tools and tests (ITU-T G.711; clamped, librem 0.6.0 reads out of bounds at -32768).
std::uint8_t linear_to_ulaw(std::int16_t sample) noexcept;
std::int16_t ulaw_to_linear(std::uint8_t code) noexcept;
std::uint8_t linear_to_alaw(std::int16_t sample) noexcept;
std::int16_t alaw_to_linear(std::uint8_t code) noexcept;

} // namespace offhook::media
