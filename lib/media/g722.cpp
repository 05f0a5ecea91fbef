#include "media/codecs.hpp"
#include "media/plc.hpp"

#ifdef HAVE_SPANDSP

// clang-format off: g722.h needs what telephony.h defines
#include <spandsp/telephony.h>
#include <spandsp/g722.h>
// clang-format on

namespace offhook::media {

namespace {

constexpr int bit_rate = 64000; // 8 bits for two samples of 16 kHz

struct Release {
    void operator()(g722_encode_state_t *state) const noexcept { g722_encode_free(state); }
    void operator()(g722_decode_state_t *state) const noexcept { g722_decode_free(state); }
};

class G722Encoder : public Encoder {
public:
    std::span<const std::uint8_t> encode(ConstSamples pcm) override {
        payload_.resize(pcm.size() / 2 + 1);
        const int written =
            g722_encode(state_.get(), payload_.data(), pcm.data(), static_cast<int>(pcm.size()));
        payload_.resize(static_cast<std::size_t>(written));
        return payload_;
    }
    [[nodiscard]] bool usable() const noexcept { return state_ != nullptr; }

private:
    std::unique_ptr<g722_encode_state_t, Release> state_{g722_encode_init(nullptr, bit_rate, 0)};
    std::vector<std::uint8_t> payload_;
};

class G722Decoder : public Decoder {
public:
    std::size_t decode(std::span<const std::uint8_t> payload, Samples pcm) override {
        if (2 * payload.size() > pcm.size()) return 0;
        const int count =
            g722_decode(state_.get(), pcm.data(), payload.data(), static_cast<int>(payload.size()));
        plc_.good(pcm.first(static_cast<std::size_t>(count)));
        return static_cast<std::size_t>(count);
    }
    void conceal(Samples pcm, std::span<const std::uint8_t> /*next*/) override { plc_.conceal(pcm); }
    [[nodiscard]] bool usable() const noexcept { return state_ != nullptr; }

private:
    std::unique_ptr<g722_decode_state_t, Release> state_{g722_decode_init(nullptr, bit_rate, 0)};
    PacketLossConcealer plc_{16000};
};

} // namespace

Result<std::unique_ptr<Encoder>> make_g722_encoder() {
    auto encoder = std::make_unique<G722Encoder>();
    if (!encoder->usable()) return fail(Errc::internal, "cannot start the G.722 encoder");
    return encoder;
}

Result<std::unique_ptr<Decoder>> make_g722_decoder() {
    auto decoder = std::make_unique<G722Decoder>();
    if (!decoder->usable()) return fail(Errc::internal, "cannot start the G.722 decoder");
    return decoder;
}

} // namespace offhook::media

#else

namespace offhook::media {

Result<std::unique_ptr<Encoder>> make_g722_encoder() {
    return fail(Errc::not_supported, "G.722 is not built in (it needs spandsp)");
}

Result<std::unique_ptr<Decoder>> make_g722_decoder() {
    return fail(Errc::not_supported, "G.722 is not built in (it needs spandsp)");
}

} // namespace offhook::media

#endif
