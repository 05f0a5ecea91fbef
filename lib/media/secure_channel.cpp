#include "media/secure_channel.hpp"

#include <algorithm>

namespace offhook::media {

namespace {
// More changes of the key than a call has re-negotiations; the oldest is forgotten then.
constexpr std::size_t most_keys = 32;

// RFC 4568 §6.2.2: the short tag is for SRTP alone.
std::size_t tag_behind_mki(SrtpSuite suite, bool control) noexcept {
    constexpr std::size_t usual = 10, brief = 4;
    if (suite == SrtpSuite::aead_aes128_gcm || suite == SrtpSuite::aead_aes256_gcm) return 0;
    return suite == SrtpSuite::aes128_cm_sha1_32 && !control ? brief : usual;
}

} // namespace

Result<SrtpStream *> SecureChannel::stream_of(std::vector<std::unique_ptr<Keyed>> &list, const SrtpKey &key,
                                              SrtpStream::Way way) {
    const auto known = std::ranges::find_if(list, [&](const auto &entry) { return entry->key == key; });
    if (known != list.end()) return &(*known)->stream;
    auto stream = SrtpStream::open(key, way);
    if (!stream) return fail(stream.error());
    list.push_back(std::make_unique<Keyed>(Keyed{key, std::move(*stream)}));
    return &list.back()->stream;
}

Result<> SecureChannel::use(const SrtpKeys &keys) {
    required_ = true;
    auto send = stream_of(sending_, keys.send, SrtpStream::Way::outbound);
    auto receive = stream_of(receiving_, keys.receive, SrtpStream::Way::inbound);
    if (!send) return fail(send.error());
    if (!receive) return fail(receive.error());
    send_ = *send;
    receive_ = *receive;
    receive_mki_ = keys.receive_mki;
    for (auto *list : {&sending_, &receiving_})
        if (list->size() > most_keys)
            std::erase_if(*list, [&](const auto &entry) {
                return entry == list->front() && &entry->stream != send_ && &entry->stream != receive_;
            });
    return {};
}

// The MKI stands before the tag (RFC 3711 §3.1), and with AEAD, whose tag is part of the text, at the end
// (RFC 7714 §8.1, §9.2). There is one key, so it says nothing.
SecureChannel::Packet SecureChannel::without_mki(std::span<std::uint8_t> packet,
                                                 bool control) const noexcept {
    if (receive_mki_.empty()) return packet;
    const std::size_t tag = tag_behind_mki(receive_->suite(), control);
    if (packet.size() < tag + receive_mki_.size()) return {};
    const auto kept = packet.first(packet.size() - receive_mki_.size());
    const auto mki = packet.subspan(kept.size() - tag, receive_mki_.size());
    if (!std::ranges::equal(mki, receive_mki_)) return {};
    std::copy_n(packet.end() - static_cast<std::ptrdiff_t>(tag), tag,
                kept.end() - static_cast<std::ptrdiff_t>(tag));
    return kept;
}

SecureChannel::Packet SecureChannel::counted(Packet packet) noexcept {
    if (!packet) ++rejected_;
    return packet;
}

SecureChannel::Packet SecureChannel::seal_rtp(std::span<std::uint8_t> buffer, std::size_t size) noexcept {
    if (send_ != nullptr) return send_->protect_rtp(buffer, size);
    return required_ ? Packet{} : buffer.first(size);
}

SecureChannel::Packet SecureChannel::seal_rtcp(std::span<std::uint8_t> buffer, std::size_t size) noexcept {
    if (send_ != nullptr) return send_->protect_rtcp(buffer, size);
    return required_ ? Packet{} : buffer.first(size);
}

SecureChannel::Packet SecureChannel::open_rtp(std::span<std::uint8_t> packet) noexcept {
    if (receive_ != nullptr) {
        const auto plain = without_mki(packet, false);
        return counted(plain ? receive_->unprotect_rtp(*plain) : Packet{});
    }
    return required_ ? Packet{} : packet;
}

SecureChannel::Packet SecureChannel::open_rtcp(std::span<std::uint8_t> packet) noexcept {
    if (receive_ != nullptr) {
        const auto plain = without_mki(packet, true);
        return counted(plain ? receive_->unprotect_rtcp(*plain) : Packet{});
    }
    return required_ ? Packet{} : packet;
}

std::optional<SrtpSuite> SecureChannel::suite() const noexcept {
    return send_ != nullptr ? std::optional(send_->suite()) : std::nullopt;
}

} // namespace offhook::media
