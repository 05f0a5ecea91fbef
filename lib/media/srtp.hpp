// SRTP and SRTCP (RFC 3711, RFC 7714) of one direction, by OpenSSL. A packet that fails authentication or is
// a replay changes nothing, whatever its SSRC and sequence number.
#pragma once

#include <memory>
#include <optional>

#include "base/result.hpp"
#include "base/touched.hpp"
#include "media/rtp.hpp"
#include "media/srtp_suite.hpp"

namespace offhook::media {

struct SrtpContext;

// Bytes that protecting may add to a packet: the tag, and the index of an SRTCP packet.
constexpr std::size_t srtp_room = 16 + 4;

class SrtpStream {
public:
    enum class Way : std::uint8_t { outbound, inbound };

    // Errors: Errc::not_supported (OpenSSL was built without the suite).
    static Result<SrtpStream> open(const SrtpKey &key, Way way);

    // Outbound, in place: the first `size` bytes of `buffer`, which has srtp_room more, become the protected
    // packet. Nothing when it cannot be: malformed, or its sequence number was used before.
    std::optional<std::span<std::uint8_t>> protect_rtp(std::span<std::uint8_t> buffer,
                                                       std::size_t size) noexcept;
    std::optional<std::span<std::uint8_t>> protect_rtcp(std::span<std::uint8_t> buffer,
                                                        std::size_t size) noexcept;
    // Inbound, in place. Nothing for what is forged, replayed or older than the window of 1024 packets.
    std::optional<std::span<std::uint8_t>> unprotect_rtp(std::span<std::uint8_t> packet) noexcept;
    std::optional<std::span<std::uint8_t>> unprotect_rtcp(std::span<std::uint8_t> packet) noexcept;

    [[nodiscard]] SrtpSuite suite() const noexcept { return suite_; }
    void touched(Touched &memory) const noexcept; // by an RTP packet

private:
    struct Free {
        void operator()(SrtpContext *context) const noexcept;
    };
    using Context = std::unique_ptr<SrtpContext, Free>;

    SrtpStream(SrtpSuite suite, Context context) : suite_(suite), context_(std::move(context)) {}

    SrtpSuite suite_;
    Context context_;
};

} // namespace offhook::media
