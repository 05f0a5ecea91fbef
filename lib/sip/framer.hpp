// Cuts a TCP/TLS byte stream into SIP messages by Content-Length (RFC 3261 §18.3). Linear time however the
// bytes arrive; never holds more than one message plus what one read brought.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace offhook::sip {

class StreamFramer {
public:
    struct Item {
        enum class Kind { message, ping, pong } kind; // ping: CRLFCRLF, pong: CRLF (RFC 5626 §3.5.1, §4.4.1)
        std::string bytes;
    };

    void push(std::string_view bytes);
    // The next whole item, nothing when more bytes are needed. After an error (Errc::parse: no or two
    // Content-Length, limits exceeded) the stream is lost: close it. A missing Content-Length frames as 0
    // and the message is handed out, so that it can be answered 400 before closing.
    Result<std::optional<Item>> next();

private:
    std::optional<Item> take(Item::Kind kind, std::size_t size);

    std::string buffer_;
    std::size_t start_ = 0;   // first byte not handed out
    std::size_t scanned_ = 0; // no end of headers before this
    std::size_t needed_ = 0;  // size of the message at start_, 0 while its headers are incomplete
};

} // namespace offhook::sip
