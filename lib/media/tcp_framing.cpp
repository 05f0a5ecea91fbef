#include "media/tcp_framing.hpp"

#include <algorithm>

#include "media/wire.hpp"

namespace offhook::media {

// Until `upto` bytes of the packet are there, or no more are to be had.
void TcpDeframer::take(Bytes &bytes, std::size_t upto) {
    const std::size_t count = std::min(upto - std::min(upto, have_), bytes.size());
    std::ranges::copy(bytes.first(count), buffer_.begin() + static_cast<std::ptrdiff_t>(have_));
    have_ += count;
    bytes = bytes.subspan(count);
}

std::optional<std::span<std::uint8_t>> TcpDeframer::next(Bytes &bytes) {
    while (!bytes.empty()) {
        const std::size_t skip = std::min(skip_, bytes.size());
        skip_ -= skip;
        bytes = bytes.subspan(skip);
        take(bytes, header);
        if (have_ < header) continue;
        const std::size_t size = read_u16(buffer_, 0);
        if (size > largest) {
            ++skipped_;
            skip_ = size;
            have_ = 0;
            continue;
        }
        take(bytes, header + size);
        if (have_ < header + size) continue;
        have_ = 0;
        if (size != 0) return std::span(buffer_).subspan(header, size);
    }
    return std::nullopt;
}

bool TcpSendQueue::push(Bytes packet) {
    constexpr std::size_t header = 2, longest = 0xFFFF;
    if (packet.size() > longest || waiting().size() + header + packet.size() > most_) return false;
    bytes_.push_back(static_cast<std::uint8_t>(packet.size() >> 8U));
    bytes_.push_back(static_cast<std::uint8_t>(packet.size() & 0xFFU));
    bytes_.insert(bytes_.end(), packet.begin(), packet.end());
    return true;
}

void TcpSendQueue::sent(std::size_t count) {
    sent_ = std::min(sent_ + count, bytes_.size());
    if (sent_ == bytes_.size()) {
        bytes_.clear();
        sent_ = 0;
    } else if (sent_ >= most_) { // what was sent is not kept for ever
        bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(sent_));
        sent_ = 0;
    }
}

} // namespace offhook::media
