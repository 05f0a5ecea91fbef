#include "media/codecs.hpp"
#include "media/plc.hpp"

#ifdef HAVE_SPANDSP

// g722.h needs what telephony.h defines.
// clang-format off
#include <spandsp/telephony.h>
#include <spandsp/g722.h>
// clang-format on

#include "base/shared_library.hpp"

namespace offhook::media {

namespace {

constexpr int bit_rate = 64000; // 8 bits for two samples of 16 kHz

// libspandsp, loaded for the first G.722 call: it brings nine image libraries for its fax half. (Its static
// archive crashes in g722_encode() on amd64.)
struct Spandsp {
    decltype(&g722_encode_init) encode_init = nullptr;
    decltype(&g722_encode_free) encode_free = nullptr;
    decltype(&g722_encode) encode = nullptr;
    decltype(&g722_decode_init) decode_init = nullptr;
    decltype(&g722_decode_free) decode_free = nullptr;
    decltype(&g722_decode) decode = nullptr;
    bool complete = false;
};

const Spandsp &spandsp() noexcept {
    static const Spandsp loaded = [] {
        Spandsp library;
        SharedLibrary shared("libspandsp.so.2");
        shared.bind(library.encode_init, "g722_encode_init");
        shared.bind(library.encode_free, "g722_encode_free");
        shared.bind(library.encode, "g722_encode");
        shared.bind(library.decode_init, "g722_decode_init");
        shared.bind(library.decode_free, "g722_decode_free");
        shared.bind(library.decode, "g722_decode");
        library.complete = shared.complete();
        return library;
    }();
    return loaded;
}

g722_encode_state_t *new_encoder() noexcept {
    return spandsp().complete ? spandsp().encode_init(nullptr, bit_rate, 0) : nullptr;
}

g722_decode_state_t *new_decoder() noexcept {
    return spandsp().complete ? spandsp().decode_init(nullptr, bit_rate, 0) : nullptr;
}

struct Release {
    void operator()(g722_encode_state_t *state) const noexcept { spandsp().encode_free(state); }
    void operator()(g722_decode_state_t *state) const noexcept { spandsp().decode_free(state); }
};

class G722Encoder : public Encoder {
public:
    std::span<const std::uint8_t> encode(ConstSamples pcm) override {
        payload_.resize(pcm.size() / 2 + 1);
        const int written =
            // NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): a state exists only where the functions do
            spandsp().encode(state_.get(), payload_.data(), pcm.data(), static_cast<int>(pcm.size()));
        payload_.resize(static_cast<std::size_t>(written));
        return payload_;
    }
    [[nodiscard]] bool usable() const noexcept { return state_ != nullptr; }

private:
    std::unique_ptr<g722_encode_state_t, Release> state_{new_encoder()};
    std::vector<std::uint8_t> payload_;
};

class G722Decoder : public Decoder {
public:
    std::size_t decode(std::span<const std::uint8_t> payload, Samples pcm) override {
        if (2 * payload.size() > pcm.size()) return 0;
        const int count =
            // NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): a state exists only where the functions do
            spandsp().decode(state_.get(), pcm.data(), payload.data(), static_cast<int>(payload.size()));
        plc_.good(pcm.first(static_cast<std::size_t>(count)));
        return static_cast<std::size_t>(count);
    }
    void conceal(Samples pcm, std::span<const std::uint8_t> /*next*/) override { plc_.conceal(pcm); }
    [[nodiscard]] bool usable() const noexcept { return state_ != nullptr; }

private:
    std::unique_ptr<g722_decode_state_t, Release> state_{new_decoder()};
    PacketLossConcealer plc_{16000};
};

} // namespace

Result<std::unique_ptr<Encoder>> make_g722_encoder() {
    auto encoder = std::make_unique<G722Encoder>();
    if (!encoder->usable()) return fail(Errc::internal, "cannot start the G.722 encoder of libspandsp.so.2");
    return encoder;
}

Result<std::unique_ptr<Decoder>> make_g722_decoder() {
    auto decoder = std::make_unique<G722Decoder>();
    if (!decoder->usable()) return fail(Errc::internal, "cannot start the G.722 decoder of libspandsp.so.2");
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
