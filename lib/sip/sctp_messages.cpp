#include "sip/sctp_messages.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace offhook::sip {

namespace {

std::size_t length_at(const char *at) noexcept {
    std::uint32_t length = 0;
    std::memcpy(&length, at, sizeof length);
    return length;
}

void put(std::string &out, std::string_view message) {
    const auto length = static_cast<std::uint32_t>(message.size());
    out.append(reinterpret_cast<const char *>(&length), sizeof length).append(message);
}

} // namespace

std::string_view sctp_messages::first(std::string_view queue) noexcept {
    return queue.size() < prefix ? queue : queue.substr(0, prefix + length_at(queue.data()));
}

Result<std::optional<Framing::Item>> SctpFraming::next(std::span<char> &bytes) {
    using Kind = Item::Kind;
    buffer_.append(bytes.data(), bytes.size());
    bytes = {};
    while (buffer_.size() >= sctp_messages::prefix) {
        const std::size_t size = sctp_messages::prefix + length_at(buffer_.data());
        if (buffer_.size() < size) break;
        std::string message = buffer_.substr(sctp_messages::prefix, size - sctp_messages::prefix);
        buffer_.erase(0, size);
        if (message == "\r\n") return Item{Kind::pong, {}};
        if (message == "\r\n\r\n") return Item{Kind::ping, {}};
        if (message.find_first_not_of("\r\n") != std::string::npos)
            return Item{Kind::message, std::move(message)};
    }
    return std::nullopt;
}

void SctpFraming::append(std::string &out, std::string_view message) {
    put(out, message);
}

bool SctpReceived::add(std::string_view part, bool end) {
    if (partial_.size() + part.size() > sctp_messages::at_most) return false;
    partial_ += part;
    if (!end) return true;
    put(whole_, partial_);
    std::string().swap(partial_);
    return true;
}

std::size_t SctpReceived::take(std::span<char> into) noexcept {
    const std::size_t size = std::min(into.size(), whole_.size() - taken_);
    std::memcpy(into.data(), whole_.data() + taken_, size);
    taken_ += size;
    if (empty()) {
        std::string().swap(whole_);
        taken_ = 0;
    }
    return size;
}

} // namespace offhook::sip
