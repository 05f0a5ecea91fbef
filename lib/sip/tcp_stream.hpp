// One direction of a captured TCP connection: segments in any order, repeated, overlapping or missing, become
// the stream they were, and the stream SIP messages. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "sip/framer.hpp"
#include "sip/ip_packet.hpp"

namespace offhook::sip {

// Does it begin like a SIP message (empty lines before it allowed)?
bool looks_like_sip(std::string_view bytes) noexcept;

class TcpStream {
public:
    using OnMessage = std::function<void(std::string)>;

    void add(const TcpSegment &segment, const OnMessage &message);
    // The capture is over: what waits behind a gap comes out.
    void flush(const OnMessage &message);
    [[nodiscard]] bool is_tls() const noexcept { return tls_; }

private:
    void deliver(std::string_view bytes, const OnMessage &message);
    void drain(const OnMessage &message);
    void skip_gap(const OnMessage &message);

    std::optional<std::uint32_t> next_;         // sequence number of the next byte; none before the first
    std::map<std::int64_t, std::string> early_; // by position
    std::size_t early_bytes_ = 0;
    std::int64_t position_ = 0;          // of next_, counted from the first byte
    std::string start_;                  // what may become a start line, while there is no framer
    std::optional<StreamFramer> framer_; // none while not at a message
    bool tls_ = false;
};

} // namespace offhook::sip
