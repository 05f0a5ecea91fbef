// From the bytes of a link to UDP datagrams and TCP segments: link headers, VLANs, IPv4 and IPv6, fragments.
// Pure; made for files that anybody may have written.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/address.hpp"

namespace offhook::sip {

// What an IP packet carries, as far as it was captured.
struct IpPacket {
    Address from, to; // without ports
    unsigned protocol = 0;
    std::string_view payload;
    std::uint32_t id = 0;            // of its fragments
    std::size_t fragment_offset = 0; // bytes
    bool more_fragments = false;
    [[nodiscard]] bool is_fragment() const noexcept { return fragment_offset != 0 || more_fragments; }
};

bool is_known_link(std::uint32_t link_type) noexcept;
// Nothing for what is not IP or makes no sense.
std::optional<IpPacket> ip_packet(std::uint32_t link_type, std::string_view frame) noexcept;

struct Datagram {
    Address from, to;
    std::string_view payload;
};
struct TcpSegment {
    Address from, to;
    std::uint32_t sequence = 0;
    bool syn = false, fin = false, rst = false;
    std::string_view payload;
};
std::optional<Datagram> udp_datagram(const IpPacket &packet) noexcept;
std::optional<TcpSegment> tcp_segment(const IpPacket &packet) noexcept;

// Puts fragments together (RFC 791, RFC 8200 §4.5). Holds at most 256 unfinished packets, the oldest goes.
class Defragmenter {
public:
    // The whole packet when this fragment completes it; its payload lives until the next call.
    std::optional<IpPacket> add(const IpPacket &fragment);

private:
    struct Pieces {
        std::string key;
        IpPacket head;                            // addresses and protocol
        std::map<std::size_t, std::string> parts; // by offset
        std::optional<std::size_t> size;
    };
    [[nodiscard]] static bool whole(const Pieces &pieces);

    std::list<Pieces> unfinished_; // oldest first
    std::string joined_;
};

} // namespace offhook::sip
