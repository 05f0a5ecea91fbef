#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include <opus.h>

#include "media/codecs.hpp"

namespace offhook::media {

namespace {

constexpr int rate = 48000;
constexpr std::size_t max_payload = 1276; // of one frame, RFC 6716 §3.2.1, with its TOC byte
constexpr int expected_loss_percent = 10; // FEC is only written when loss is expected
constexpr int min_bitrate = 6000, max_bitrate = 128000;

struct Release {
    void operator()(OpusEncoder *state) const noexcept { opus_encoder_destroy(state); }
    void operator()(OpusDecoder *state) const noexcept { opus_decoder_destroy(state); }
};

// The number behind `name=` in "useinbandfec=1; maxaveragebitrate=24000".
std::optional<int> parameter(std::string_view fmtp, std::string_view name) {
    while (!fmtp.empty()) {
        const std::size_t end = std::min(fmtp.find(';'), fmtp.size());
        std::string_view item = fmtp.substr(0, end);
        fmtp.remove_prefix(std::min(end + 1, fmtp.size()));
        item.remove_prefix(std::min(item.find_first_not_of(' '), item.size()));
        if (!item.starts_with(name) || item.size() <= name.size() || item[name.size()] != '=') continue;
        int value = 0;
        item.remove_prefix(name.size() + 1);
        if (std::from_chars(item.data(), item.data() + item.size(), value).ec == std::errc()) return value;
    }
    return std::nullopt;
}

Failure refused(std::string_view what, int code) {
    return fail(Errc::internal, "cannot start the Opus " + std::string(what) + ": " + opus_strerror(code));
}

class OpusVoiceEncoder : public Encoder {
public:
    OpusVoiceEncoder(std::unique_ptr<OpusEncoder, Release> state, bool dtx)
        : state_(std::move(state)), dtx_(dtx) {}

    std::span<const std::uint8_t> encode(ConstSamples pcm) override {
        const int length = opus_encode(state_.get(), pcm.data(), static_cast<int>(pcm.size()),
                                       payload_.data(), static_cast<opus_int32>(payload_.size()));
        constexpr int nothing_to_send = 2; // bytes: what libopus returns in a pause, with DTX
        if (dtx_ && length <= nothing_to_send) return {};
        return {payload_.data(), static_cast<std::size_t>(std::max(length, 0))};
    }

private:
    std::unique_ptr<OpusEncoder, Release> state_;
    bool dtx_;
    std::array<std::uint8_t, max_payload> payload_{};
};

class OpusVoiceDecoder : public Decoder {
public:
    explicit OpusVoiceDecoder(std::unique_ptr<OpusDecoder, Release> state) : state_(std::move(state)) {}

    std::size_t decode(std::span<const std::uint8_t> payload, Samples pcm) override {
        if (payload.empty()) return 0; // to libopus that would mean "lost"
        const int count = opus_decode(state_.get(), payload.data(), static_cast<opus_int32>(payload.size()),
                                      pcm.data(), static_cast<int>(pcm.size()), 0);
        return static_cast<std::size_t>(std::max(count, 0));
    }

    void conceal(Samples pcm, std::span<const std::uint8_t> next) override {
        const int size = static_cast<int>(pcm.size());
        int count = 0;
        if (!next.empty())
            count = opus_decode(state_.get(), next.data(), static_cast<opus_int32>(next.size()), pcm.data(),
                                size, 1);
        if (count <= 0) count = opus_decode(state_.get(), nullptr, 0, pcm.data(), size, 0);
        std::ranges::fill(pcm.subspan(static_cast<std::size_t>(std::max(count, 0))), std::int16_t{0});
    }

private:
    std::unique_ptr<OpusDecoder, Release> state_;
};

} // namespace

Result<std::unique_ptr<Encoder>> make_opus_encoder(const CodecParams &params) {
    int error = OPUS_OK;
    std::unique_ptr<OpusEncoder, Release> state(opus_encoder_create(rate, 1, OPUS_APPLICATION_VOIP, &error));
    if (error != OPUS_OK) return refused("encoder", error);
    const int ceiling = std::clamp(parameter(params.fmtp, "maxaveragebitrate").value_or(max_bitrate),
                                   min_bitrate, max_bitrate);
    const int fec = parameter(params.fmtp, "useinbandfec").value_or(1) != 0 ? 1 : 0;
    auto *encoder = state.get();
    (void)opus_encoder_ctl(encoder, OPUS_SET_COMPLEXITY(std::clamp(params.opus_complexity, 0, 10)));
    (void)opus_encoder_ctl(encoder, OPUS_SET_BITRATE(std::clamp(params.opus_bitrate, min_bitrate, ceiling)));
    (void)opus_encoder_ctl(encoder, OPUS_SET_VBR(parameter(params.fmtp, "cbr").value_or(0) == 1 ? 0 : 1));
    (void)opus_encoder_ctl(encoder, OPUS_SET_SIGNAL(OPUS_SIGNAL_VOICE));
    (void)opus_encoder_ctl(encoder, OPUS_SET_INBAND_FEC(fec));
    (void)opus_encoder_ctl(encoder, OPUS_SET_PACKET_LOSS_PERC(fec != 0 ? expected_loss_percent : 0));
    const bool dtx =
        parameter(params.fmtp, "usedtx").value_or(0) == 1; // RFC 7587 §3.1.3: the peer likes pauses
    (void)opus_encoder_ctl(encoder, OPUS_SET_DTX(dtx ? 1 : 0));
    return std::make_unique<OpusVoiceEncoder>(std::move(state), dtx);
}

Result<std::unique_ptr<Decoder>> make_opus_decoder(const CodecParams & /*params*/) {
    int error = OPUS_OK;
    std::unique_ptr<OpusDecoder, Release> state(opus_decoder_create(rate, 1, &error));
    if (error != OPUS_OK) return refused("decoder", error);
    return std::make_unique<OpusVoiceDecoder>(std::move(state));
}

} // namespace offhook::media
