#include "media/codecs.hpp"
#include "media/plc.hpp"
#include "media/wire.hpp"

namespace offhook::media {

namespace {

class L16Encoder : public Encoder {
public:
    std::span<const std::uint8_t> encode(ConstSamples pcm) override {
        payload_.resize(2 * pcm.size());
        for (std::size_t i = 0; i < pcm.size(); ++i)
            write_u16(payload_, 2 * i, static_cast<std::uint16_t>(pcm[i]));
        return payload_;
    }

private:
    std::vector<std::uint8_t> payload_;
};

class L16Decoder : public Decoder {
public:
    std::size_t decode(std::span<const std::uint8_t> payload, Samples pcm) override {
        const std::size_t count = payload.size() / 2;
        if (payload.size() % 2 != 0 || count > pcm.size()) return 0;
        for (std::size_t i = 0; i < count; ++i)
            pcm[i] = static_cast<std::int16_t>(read_u16(payload, 2 * i));
        plc_.good(pcm.first(count));
        return count;
    }

    void conceal(Samples pcm, std::span<const std::uint8_t> /*next*/) override { plc_.conceal(pcm); }

private:
    PacketLossConcealer plc_{16000};
};

} // namespace

std::unique_ptr<Encoder> make_l16_encoder() {
    return std::make_unique<L16Encoder>();
}

std::unique_ptr<Decoder> make_l16_decoder() {
    return std::make_unique<L16Decoder>();
}

} // namespace offhook::media
