// SecureChannel: both directions of one stream's protection. In the clear until use() gives it keys, and
// never again after that. No I/O.
#pragma once

#include <optional>
#include <vector>

#include "media/srtp.hpp"

namespace offhook::media {

class SecureChannel {
public:
    using Packet = std::optional<std::span<std::uint8_t>>; // nothing: not to be sent, not to be believed

    // From now on these keys. Those that are in use already go on counting, so that a repeated negotiation
    // reopens no replay window and repeats no keystream. Errors: Errc::not_supported.
    Result<> use(const SrtpKeys &keys);
    // Keys are on their way (DTLS): nothing passes in the clear until then.
    void close_until_keyed() noexcept { required_ = true; }

    // As SrtpStream's, or unchanged while in the clear.
    Packet seal_rtp(std::span<std::uint8_t> buffer, std::size_t size) noexcept;
    Packet seal_rtcp(std::span<std::uint8_t> buffer, std::size_t size) noexcept;
    Packet open_rtp(std::span<std::uint8_t> packet) noexcept;
    Packet open_rtcp(std::span<std::uint8_t> packet) noexcept;

    [[nodiscard]] bool secure() const noexcept { return send_ != nullptr; }
    [[nodiscard]] std::optional<SrtpSuite> suite() const noexcept;
    [[nodiscard]] std::uint64_t rejected() const noexcept { return rejected_; } // packets

    void touched(Touched &memory) const noexcept {
        memory.add(this, sizeof *this);
        if (send_ != nullptr) send_->touched(memory);
        if (receive_ != nullptr) receive_->touched(memory);
    }

private:
    struct Keyed {
        SrtpKey key;
        SrtpStream stream;
    };
    Packet counted(Packet packet) noexcept;
    [[nodiscard]] Packet without_mki(std::span<std::uint8_t> packet, bool control) const noexcept;
    static Result<SrtpStream *> stream_of(std::vector<std::unique_ptr<Keyed>> &list, const SrtpKey &key,
                                          SrtpStream::Way way);

    std::vector<std::unique_ptr<Keyed>> sending_, receiving_; // every key used so far, the newest last
    SrtpStream *send_ = nullptr, *receive_ = nullptr;         // those in use
    std::vector<std::uint8_t> receive_mki_;
    bool required_ = false;
    std::uint64_t rejected_ = 0;
};

} // namespace offhook::media
