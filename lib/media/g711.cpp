#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>

#include "media/codecs.hpp"
#include "media/plc.hpp"

namespace offhook::media {

namespace {

constexpr int ulaw_bias = 0x84, ulaw_clip = 32635;

constexpr std::int16_t expand_ulaw(unsigned code) {
    code = ~code & 0xff;
    const int magnitude = ((static_cast<int>(code & 0x0f) << 3) + ulaw_bias) << (code >> 4 & 7);
    return static_cast<std::int16_t>((code & 0x80) != 0 ? ulaw_bias - magnitude : magnitude - ulaw_bias);
}

constexpr std::int16_t expand_alaw(unsigned code) {
    code ^= 0x55;
    const unsigned segment = code >> 4 & 7;
    int magnitude = (static_cast<int>(code & 0x0f) << 4) + 8;
    if (segment > 0) magnitude = (magnitude + 0x100) << (segment - 1);
    return static_cast<std::int16_t>((code & 0x80) != 0 ? magnitude : -magnitude);
}

template <std::int16_t (*expand)(unsigned)>
constexpr std::array<std::int16_t, 256> make_table() {
    std::array<std::int16_t, 256> table{};
    for (unsigned code = 0; code < table.size(); ++code)
        table[code] = expand(code);
    return table;
}

constexpr auto ulaw_table = make_table<expand_ulaw>();
constexpr auto alaw_table = make_table<expand_alaw>();

class G711Encoder : public Encoder {
public:
    explicit G711Encoder(bool alaw) : compress_(alaw ? linear_to_alaw : linear_to_ulaw) {}

    std::span<const std::uint8_t> encode(ConstSamples pcm) override {
        payload_.resize(pcm.size());
        std::ranges::transform(pcm, payload_.begin(), compress_);
        return payload_;
    }

private:
    std::uint8_t (*compress_)(std::int16_t) noexcept;
    std::vector<std::uint8_t> payload_;
};

class G711Decoder : public Decoder {
public:
    explicit G711Decoder(bool alaw) : table_(alaw ? alaw_table : ulaw_table) {}

    std::size_t decode(std::span<const std::uint8_t> payload, Samples pcm) override {
        if (payload.size() > pcm.size()) return 0;
        std::ranges::transform(payload, pcm.begin(), [this](std::uint8_t code) { return table_[code]; });
        plc_.good(pcm.first(payload.size()));
        return payload.size();
    }

    void conceal(Samples pcm, std::span<const std::uint8_t> /*next*/) override { plc_.conceal(pcm); }

private:
    const std::array<std::int16_t, 256> &table_;
    PacketLossConcealer plc_{8000};
};

} // namespace

std::uint8_t linear_to_ulaw(std::int16_t sample) noexcept {
    const unsigned sign = sample < 0 ? 0x80 : 0;
    const auto magnitude = static_cast<unsigned>(std::min(std::abs(int{sample}), ulaw_clip) + ulaw_bias);
    const auto exponent = static_cast<unsigned>(std::bit_width(magnitude)) - 8; // 132..32767: 8..15 bits
    return static_cast<std::uint8_t>(~(sign | exponent << 4 | (magnitude >> (exponent + 3) & 0x0f)));
}

std::int16_t ulaw_to_linear(std::uint8_t code) noexcept {
    return ulaw_table[code];
}

std::uint8_t linear_to_alaw(std::int16_t sample) noexcept {
    const unsigned mask = sample < 0 ? 0x55 : 0xd5;
    const auto magnitude = static_cast<unsigned>(sample < 0 ? -1 - sample : int{sample}) >> 3; // 12 bits
    const auto width = static_cast<unsigned>(std::bit_width(magnitude));
    const unsigned segment = width > 5 ? width - 5 : 0;
    return static_cast<std::uint8_t>((segment << 4 | (magnitude >> std::max(segment, 1U) & 0x0f)) ^ mask);
}

std::int16_t alaw_to_linear(std::uint8_t code) noexcept {
    return alaw_table[code];
}

std::unique_ptr<Encoder> make_g711_encoder(bool alaw) {
    return std::make_unique<G711Encoder>(alaw);
}

std::unique_ptr<Decoder> make_g711_decoder(bool alaw) {
    return std::make_unique<G711Decoder>(alaw);
}

} // namespace offhook::media
