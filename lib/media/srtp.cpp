#include "media/srtp.hpp"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include <openssl/crypto.h>

#include "media/srtp_cipher.hpp"
#include "media/srtp_window.hpp"

namespace offhook::media {

namespace {

constexpr std::size_t rtp_header = 12, rtcp_header = 8, index_size = 4;
constexpr std::size_t most_sources = 1024; // only who has the key can add one; a PBX may change it often
constexpr std::uint32_t encrypted = 0x80000000U, last_index = 0x7FFFFFFFU;

std::uint32_t read_32(ConstBytes bytes, std::size_t at) noexcept {
    return std::uint32_t{bytes[at]} << 24 | std::uint32_t{bytes[at + 1]} << 16 |
           std::uint32_t{bytes[at + 2]} << 8 | bytes[at + 3];
}

std::array<std::uint8_t, 4> bytes_of(std::uint32_t value) noexcept {
    return {static_cast<std::uint8_t>(value >> 24), static_cast<std::uint8_t>(value >> 16),
            static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)};
}

// Length of the RTP header with CSRCs and extension: it stays readable. 0: malformed.
std::size_t header_of(ConstBytes packet) noexcept {
    if (packet.size() < rtp_header || packet[0] >> 6 != 2) return 0;
    std::size_t size = rtp_header + std::size_t{4} * (packet[0] & 0x0fU);
    if ((packet[0] & 0x10) != 0) {
        if (packet.size() < size + 4) return 0;
        size += 4 + std::size_t{4} * (std::size_t{packet[size + 2]} << 8 | packet[size + 3]);
    }
    return size <= packet.size() ? size : 0;
}

struct Source { // of one SSRC
    SrtpWindow rtp, rtcp;
    std::uint32_t next_rtcp = 1;
};

} // namespace

// One direction of one master key.
struct SrtpContext {
    using Cipher = SrtpCipher;
    SrtpContext(const SrtpKey &key, bool encrypts)
        : rtp(key, Cipher::Protocol::rtp, encrypts), rtcp(key, Cipher::Protocol::rtcp, encrypts) {}

    Source *find(std::uint32_t ssrc) {
        if (last != nullptr && last->first == ssrc) return &last->second;
        const auto found = sources.find(ssrc);
        if (found == sources.end()) return nullptr;
        last = &*found;
        return &last->second;
    }
    // After a packet of it was authentic.
    Source *remember(std::uint32_t ssrc) {
        if (auto *source = find(ssrc)) return source;
        if (sources.size() >= most_sources) return nullptr;
        return &sources[ssrc];
    }

    Cipher rtp, rtcp;
    std::unordered_map<std::uint32_t, Source> sources;
    std::pair<const std::uint32_t, Source> *last = nullptr; // most often the next packet is of the same
};

namespace {

std::optional<MutableBytes> protect_rtp(SrtpContext &context, MutableBytes buffer, std::size_t size) {
    const auto packet = buffer.first(size);
    const std::size_t header = header_of(packet);
    if (header == 0) return std::nullopt;
    const std::uint32_t ssrc = read_32(packet, 8);
    Source *source = context.remember(ssrc);
    if (source == nullptr) return std::nullopt;
    const auto index = source->rtp.guess(static_cast<std::uint16_t>(packet[2] << 8 | packet[3]));
    if (!index || *index >> 48 != 0 || !source->rtp.fresh(*index)) return std::nullopt;
    auto &cipher = context.rtp;
    const auto text = packet.subspan(header);
    const auto tag = buffer.subspan(size, cipher.tag_size());
    if (cipher.aead()) {
        if (!cipher.seal(packet.first(header), {}, text, ssrc, *index, tag)) return std::nullopt;
    } else {
        SrtpCipher::Tag whole{};
        const auto roc = bytes_of(static_cast<std::uint32_t>(*index >> 16));
        if (!cipher.crypt(text, ssrc, *index) || !cipher.authenticate(packet, roc, whole))
            return std::nullopt;
        std::copy_n(whole.begin(), tag.size(), tag.begin());
    }
    source->rtp.add(*index);
    return buffer.first(size + tag.size());
}

std::optional<MutableBytes> unprotect_rtp(SrtpContext &context, MutableBytes packet) {
    auto &cipher = context.rtp;
    if (packet.size() < rtp_header + cipher.tag_size()) return std::nullopt;
    const auto inner = packet.first(packet.size() - cipher.tag_size());
    const auto tag = packet.last(cipher.tag_size());
    const std::size_t header = header_of(inner);
    if (header == 0) return std::nullopt;
    const std::uint32_t ssrc = read_32(packet, 8);
    static const SrtpWindow nothing_seen;
    const Source *known = context.find(ssrc);
    const SrtpWindow &window = known != nullptr ? known->rtp : nothing_seen;
    const auto index = window.guess(static_cast<std::uint16_t>(packet[2] << 8 | packet[3]));
    if (!index || *index >> 48 != 0 || !window.fresh(*index)) return std::nullopt;
    const auto text = inner.subspan(header);
    if (cipher.aead()) {
        if (!cipher.open(inner.first(header), {}, text, ssrc, *index, tag)) return std::nullopt;
    } else {
        SrtpCipher::Tag whole{};
        const auto roc = bytes_of(static_cast<std::uint32_t>(*index >> 16));
        if (!cipher.authenticate(inner, roc, whole) ||
            CRYPTO_memcmp(whole.data(), tag.data(), tag.size()) != 0 || !cipher.crypt(text, ssrc, *index))
            return std::nullopt;
    }
    Source *source = context.remember(ssrc);
    if (source == nullptr) return std::nullopt;
    source->rtp.add(*index);
    return inner;
}

// RFC 3711 §3.4: the index with its E bit behind the text (and, of GCM, the tag: RFC 7714 §9.2), then the
// tag.
std::optional<MutableBytes> protect_rtcp(SrtpContext &context, MutableBytes buffer, std::size_t size) {
    const auto packet = buffer.first(size);
    const std::uint32_t ssrc = read_32(packet, 4);
    Source *source = context.remember(ssrc);
    if (source == nullptr || source->next_rtcp > last_index) return std::nullopt;
    const std::uint32_t index = source->next_rtcp;
    const auto trailer = bytes_of(encrypted | index);
    auto &cipher = context.rtcp;
    const auto text = packet.subspan(rtcp_header);
    const std::size_t tag = cipher.tag_size();
    if (cipher.aead()) {
        if (!cipher.seal(packet.first(rtcp_header), trailer, text, ssrc, index, buffer.subspan(size, tag)))
            return std::nullopt;
        std::ranges::copy(trailer, buffer.begin() + static_cast<std::ptrdiff_t>(size + tag));
    } else {
        SrtpCipher::Tag whole{};
        if (!cipher.crypt(text, ssrc, index) || !cipher.authenticate(packet, trailer, whole))
            return std::nullopt;
        std::ranges::copy(trailer, buffer.begin() + static_cast<std::ptrdiff_t>(size));
        std::copy_n(whole.begin(), tag, buffer.begin() + static_cast<std::ptrdiff_t>(size + index_size));
    }
    ++source->next_rtcp;
    return buffer.first(size + tag + index_size);
}

std::optional<MutableBytes> unprotect_rtcp(SrtpContext &context, MutableBytes packet) {
    auto &cipher = context.rtcp;
    const std::size_t tag_size = cipher.tag_size();
    if (packet.size() < rtcp_header + index_size + tag_size) return std::nullopt;
    const auto inner = packet.first(packet.size() - index_size - tag_size);
    const auto trailer = packet.subspan(inner.size() + (cipher.aead() ? tag_size : 0), index_size);
    const auto tag = packet.subspan(inner.size() + (cipher.aead() ? 0 : index_size), tag_size);
    const std::uint32_t word = read_32(trailer, 0);
    const std::uint32_t index = word & last_index;
    const std::uint32_t ssrc = read_32(packet, 4);
    if ((word & encrypted) == 0) return std::nullopt; // nobody agreed to that (RFC 4568 §6.3.2)
    static const SrtpWindow nothing_seen;
    const Source *known = context.find(ssrc);
    if (!(known != nullptr ? known->rtcp : nothing_seen).fresh(index)) return std::nullopt;
    const auto text = inner.subspan(rtcp_header);
    if (cipher.aead()) {
        if (!cipher.open(inner.first(rtcp_header), trailer, text, ssrc, index, tag)) return std::nullopt;
    } else {
        SrtpCipher::Tag whole{};
        if (!cipher.authenticate(inner, trailer, whole) ||
            CRYPTO_memcmp(whole.data(), tag.data(), tag_size) != 0 || !cipher.crypt(text, ssrc, index))
            return std::nullopt;
    }
    Source *source = context.remember(ssrc);
    if (source == nullptr) return std::nullopt;
    source->rtcp.add(index);
    return inner;
}

} // namespace

void SrtpStream::Free::operator()(SrtpContext *context) const noexcept {
    delete context;
}

Result<SrtpStream> SrtpStream::open(const SrtpKey &key, Way way) {
    Context context(new SrtpContext(key, way == Way::outbound));
    if (!context->rtp.usable() || !context->rtcp.usable())
        return fail(Errc::not_supported,
                    "OpenSSL cannot do " + std::string(info(key.suite()).sdes_name) + " on this system");
    return SrtpStream(key.suite(), std::move(context));
}

void SrtpStream::touched(Touched &memory) const noexcept {
    memory.add(this);
    memory.add(context_.get(), sizeof context_->rtp);
    context_->rtp.touched(memory);
    memory.add(&context_->last);
    if (context_->last != nullptr) memory.add(context_->last, sizeof(std::uint64_t) * 5);
}

std::optional<std::span<std::uint8_t>> SrtpStream::protect_rtp(std::span<std::uint8_t> buffer,
                                                               std::size_t size) noexcept {
    if (size < rtp_header || size + srtp_room > buffer.size()) return std::nullopt;
    return media::protect_rtp(*context_, buffer, size);
}

std::optional<std::span<std::uint8_t>> SrtpStream::protect_rtcp(std::span<std::uint8_t> buffer,
                                                                std::size_t size) noexcept {
    if (size < rtcp_header || size + srtp_room > buffer.size()) return std::nullopt;
    return media::protect_rtcp(*context_, buffer, size);
}

std::optional<std::span<std::uint8_t>> SrtpStream::unprotect_rtp(std::span<std::uint8_t> packet) noexcept {
    return media::unprotect_rtp(*context_, packet);
}

std::optional<std::span<std::uint8_t>> SrtpStream::unprotect_rtcp(std::span<std::uint8_t> packet) noexcept {
    return media::unprotect_rtcp(*context_, packet);
}

} // namespace offhook::media
