// SCTP keeps the bounds of messages (RFC 4168 §5.1: one SIP message in each), a StreamConnection sees bytes.
// Between the two each message has its length in front, which never goes on the wire.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "sip/framing.hpp"

namespace offhook::sip {

namespace sctp_messages {
constexpr std::size_t prefix = 4;      // bytes, of the length
constexpr std::size_t at_most = 65536; // of one message
// The first message of `queue`, with its prefix.
std::string_view first(std::string_view queue) noexcept;
} // namespace sctp_messages

// Above the socket.
class SctpFraming final : public Framing {
public:
    Result<std::optional<Item>> next(std::span<char> &bytes) override;
    void append(std::string &out, std::string_view message) override;
    void append_ping(std::string &out) override { append(out, "\r\n\r\n"); } // RFC 5626 §3.5.1

private:
    std::string buffer_;
};

// In the socket: puts together what the transport hands out in parts.
class SctpReceived {
public:
    // One part; `end`: of its message. False: the message is too long.
    bool add(std::string_view part, bool end);
    // Whole messages with their prefixes; 0: none so far.
    std::size_t take(std::span<char> into) noexcept;
    [[nodiscard]] bool empty() const noexcept { return taken_ == whole_.size(); } // nothing to take

private:
    std::string partial_, whole_;
    std::size_t taken_ = 0; // of whole_
};

} // namespace offhook::sip
