// The formats of an audio section (RFC 8866 §5.14, RFC 3551) and the payload types that a session knows them
// by. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "media/codec.hpp"
#include "media/sdp.hpp"

namespace offhook::media {

inline constexpr std::string_view event_encoding = "telephone-event"; // RFC 4733
inline constexpr std::string_view noise_key = "cn/8000";              // RFC 3389, as SdpFormat::key()
inline constexpr std::uint8_t noise_payload_type = 13;                // RFC 3551, static
inline constexpr unsigned noise_clock_rate = 8000;                    // of the codecs that it goes with
inline constexpr std::string_view voip_metrics = "voip-metrics";      // RFC 3611 §5.1

// One format of an m= line, with its a=rtpmap and a=fmtp.
struct SdpFormat {
    std::uint8_t payload_type = 0;
    std::string encoding; // "opus"
    unsigned clock_rate = 0, channels = 1;
    std::string fmtp;

    [[nodiscard]] std::string key() const; // "opus/48000", as in PayloadTypes
    [[nodiscard]] bool is(const CodecInfo &codec) const;
    [[nodiscard]] bool is_event(unsigned rate) const;
};

// In the order of the m= line; those that nothing is known of are left out.
std::vector<SdpFormat> formats_of(const SdpMedia &media);

// A decimal number at the start of `text`.
std::optional<unsigned> sdp_number(std::string_view text) noexcept;

// "opus/48000" → its number: a mapping once made stays for the session (RFC 3264 §8.3.2), those of formats
// that we do not know included.
class PayloadTypes {
public:
    // The number that the session knows the format by, else (and from then on) the preferred or the next
    // dynamic one that is free.
    std::uint8_t of(std::string_view key, int preferred);
    std::uint8_t of(const CodecInfo &codec);
    std::uint8_t of_events(unsigned clock_rate); // 8000 or 48000
    [[nodiscard]] std::optional<std::uint8_t> known(std::string_view key) const noexcept;
    [[nodiscard]] std::optional<std::uint8_t> known_events(unsigned clock_rate) const;
    [[nodiscard]] bool taken(std::uint8_t payload_type) const noexcept;
    // The peer's numbers take the place of ours.
    void learn(const SdpMedia &media);

private:
    std::vector<std::pair<std::string, std::uint8_t>> numbers_;
};

} // namespace offhook::media
