#include "media/secure_channel.hpp"

#include <algorithm>

namespace offhook::media {

namespace {
// More changes of the key than a call has re-negotiations; the oldest is forgotten then.
constexpr std::size_t most_keys = 32;
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
    for (auto *list : {&sending_, &receiving_})
        if (list->size() > most_keys)
            std::erase_if(*list, [&](const auto &entry) {
                return entry == list->front() && &entry->stream != send_ && &entry->stream != receive_;
            });
    return {};
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
    if (receive_ != nullptr) return counted(receive_->unprotect_rtp(packet));
    return required_ ? Packet{} : packet;
}

SecureChannel::Packet SecureChannel::open_rtcp(std::span<std::uint8_t> packet) noexcept {
    if (receive_ != nullptr) return counted(receive_->unprotect_rtcp(packet));
    return required_ ? Packet{} : packet;
}

std::optional<SrtpSuite> SecureChannel::suite() const noexcept {
    return send_ != nullptr ? std::optional(send_->suite()) : std::nullopt;
}

} // namespace offhook::media
