// A session description as a value (RFC 8866): parsed tolerantly, encoded strictly.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace offhook::media {

enum class Direction : std::uint8_t { sendrecv, sendonly, recvonly, inactive };
std::string_view name(Direction direction) noexcept;
Direction reversed(Direction direction) noexcept; // as seen by the other side

struct SdpAttribute {
    std::string name, value; // "rtpmap", "0 PCMU/8000"; value empty for a flag
};

struct SdpConnection {
    std::string address; // numeric or host name, as written; "" when absent
    bool ipv6 = false;
};

struct SdpMedia {
    std::string type = "audio"; // first word of m=
    std::uint16_t port = 0;
    std::uint16_t port_count = 1;
    std::string protocol = "RTP/AVP";
    std::vector<std::string> formats; // payload types for RTP, as written
    SdpConnection connection;         // own c=, else the session's
    std::vector<SdpAttribute> attributes;

    [[nodiscard]] const std::string *attribute(std::string_view name) const noexcept; // first value
};

struct Sdp {
    std::string user = "-", session_id = "0", session_name = "-";
    std::uint64_t version = 0; // o= sess-version
    SdpConnection origin, connection;
    std::vector<SdpAttribute> attributes;
    std::vector<SdpMedia> media;

    // Limits: 64 media, 256 attributes each, 64 KiB; unknown lines are skipped. Errors: Errc::parse.
    static Result<Sdp> parse(std::string_view text);
    [[nodiscard]] std::string encode() const;
};

} // namespace offhook::media
