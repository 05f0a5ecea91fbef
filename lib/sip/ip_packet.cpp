#include "sip/ip_packet.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <netinet/in.h>

namespace offhook::sip {

namespace {

enum LinkType : std::uint32_t {
    link_null = 0,
    link_ethernet = 1,
    link_raw_bsd = 12,
    link_raw_openbsd = 14,
    link_raw = 101,
    link_loop = 108,
    link_cooked = 113,
    link_ipv4 = 228,
    link_ipv6 = 229,
    link_cooked2 = 276
};

constexpr unsigned type_ipv4 = 0x0800, type_ipv6 = 0x86dd;
constexpr std::size_t largest_packet = 65535 + 40;
constexpr std::size_t most_unfinished = 256, most_parts = 8192 / 8;

unsigned byte(std::string_view bytes, std::size_t at) noexcept {
    return static_cast<unsigned char>(bytes[at]);
}

unsigned u16(std::string_view bytes, std::size_t at) noexcept {
    return byte(bytes, at) << 8U | byte(bytes, at + 1);
}

std::uint32_t u32(std::string_view bytes, std::size_t at) noexcept {
    return static_cast<std::uint32_t>(u16(bytes, at)) << 16U | u16(bytes, at + 2);
}

std::optional<std::string_view> behind(std::string_view bytes, std::size_t header) noexcept {
    if (bytes.size() < header) return std::nullopt;
    return bytes.substr(header);
}

// What an EtherType of `type` at the front of `rest` leads to: the IP packet.
std::optional<std::string_view> by_type(unsigned type, std::string_view rest) noexcept {
    for (int tags = 0; tags < 4 && (type == 0x8100 || type == 0x88a8 || type == 0x9100); ++tags) { // VLAN
        if (rest.size() < 4) return std::nullopt;
        type = u16(rest, 2);
        rest.remove_prefix(4);
    }
    if (type == 0x8864 && rest.size() >= 8) { // PPPoE session
        const unsigned protocol = u16(rest, 6);
        return protocol == 0x0021 || protocol == 0x0057 ? behind(rest, 8) : std::nullopt;
    }
    if (type != type_ipv4 && type != type_ipv6) return std::nullopt;
    return rest;
}

std::optional<std::string_view> ip_of(std::uint32_t link_type, std::string_view frame) noexcept {
    switch (link_type) {
    case link_ethernet:
        return frame.size() < 14 ? std::nullopt : by_type(u16(frame, 12), frame.substr(14));
    case link_cooked:
        return frame.size() < 16 ? std::nullopt : by_type(u16(frame, 14), frame.substr(16));
    case link_cooked2:
        return frame.size() < 20 ? std::nullopt : by_type(u16(frame, 0), frame.substr(20));
    case link_null:
    case link_loop:
        return behind(frame, 4); // the address family; the IP header says the same
    case link_raw:
    case link_raw_bsd:
    case link_raw_openbsd:
    case link_ipv4:
    case link_ipv6:
        return frame;
    default:
        return std::nullopt;
    }
}

Address ipv4_address(std::string_view bytes, std::size_t at) noexcept {
    struct sa address {};
    sa_set_in(&address, u32(bytes, at), 0);
    return Address(address);
}

Address ipv6_address(std::string_view bytes, std::size_t at) noexcept {
    struct sa address {};
    sa_set_in6(&address, reinterpret_cast<const std::uint8_t *>(bytes.data() + at), 0);
    return Address(address);
}

std::optional<IpPacket> ipv4(std::string_view bytes) noexcept {
    if (bytes.size() < 20) return std::nullopt;
    const std::size_t header = std::size_t{byte(bytes, 0) & 15U} * 4;
    std::size_t total = u16(bytes, 2);
    if (total == 0) total = bytes.size(); // the network card was to fill it in
    if (header < 20 || total < header || bytes.size() < header) return std::nullopt;
    IpPacket packet;
    packet.from = ipv4_address(bytes, 12);
    packet.to = ipv4_address(bytes, 16);
    packet.protocol = byte(bytes, 9);
    packet.id = u16(bytes, 4);
    packet.fragment_offset = std::size_t{u16(bytes, 6) & 0x1fffU} * 8;
    packet.more_fragments = (u16(bytes, 6) & 0x2000U) != 0;
    packet.payload = bytes.substr(header, total - header);
    return packet;
}

bool is_extension(unsigned next) noexcept {
    return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
           next == IPPROTO_FRAGMENT || next == IPPROTO_AH;
}

std::optional<IpPacket> ipv6(std::string_view bytes) noexcept {
    if (bytes.size() < 40) return std::nullopt;
    IpPacket packet;
    packet.from = ipv6_address(bytes, 8);
    packet.to = ipv6_address(bytes, 24);
    const std::size_t length = u16(bytes, 4);
    packet.payload = bytes.substr(40, length == 0 ? std::string_view::npos : length);
    unsigned next = byte(bytes, 6);
    for (int headers = 0; is_extension(next); ++headers) {
        auto &rest = packet.payload;
        if (headers == 8 || rest.size() < 8) return std::nullopt;
        std::size_t size = std::size_t{byte(rest, 1)} * 8 + 8;
        if (next == IPPROTO_AH) size = std::size_t{byte(rest, 1)} * 4 + 8;
        if (next == IPPROTO_FRAGMENT) {
            size = 8;
            packet.fragment_offset = u16(rest, 2) & 0xfff8U;
            packet.more_fragments = (u16(rest, 2) & 1U) != 0;
            packet.id = u32(rest, 4);
        }
        if (rest.size() < size) return std::nullopt;
        next = byte(rest, 0);
        rest.remove_prefix(size);
        if (packet.fragment_offset != 0) break; // what follows is the middle of something
    }
    packet.protocol = next;
    return packet;
}

} // namespace

bool is_known_link(std::uint32_t link_type) noexcept {
    constexpr std::array known{link_null, link_ethernet, link_raw_bsd, link_raw_openbsd, link_raw,
                               link_loop, link_cooked,   link_ipv4,    link_ipv6,        link_cooked2};
    return std::any_of(known.begin(), known.end(), [&](LinkType link) { return link == link_type; });
}

std::optional<IpPacket> ip_packet(std::uint32_t link_type, std::string_view frame) noexcept {
    const auto ip = ip_of(link_type, frame);
    if (!ip || ip->empty()) return std::nullopt;
    const unsigned version = byte(*ip, 0) >> 4U;
    return version == 4 ? ipv4(*ip) : version == 6 ? ipv6(*ip) : std::nullopt;
}

std::optional<Datagram> udp_datagram(const IpPacket &packet) noexcept {
    const auto bytes = packet.payload;
    if (packet.protocol != IPPROTO_UDP || bytes.size() < 8) return std::nullopt;
    const std::size_t length = u16(bytes, 4);
    if (length != 0 && length < 8) return std::nullopt;
    return Datagram{packet.from.with_port(static_cast<std::uint16_t>(u16(bytes, 0))),
                    packet.to.with_port(static_cast<std::uint16_t>(u16(bytes, 2))),
                    bytes.substr(8, length == 0 ? std::string_view::npos : length - 8)};
}

std::optional<TcpSegment> tcp_segment(const IpPacket &packet) noexcept {
    const auto bytes = packet.payload;
    if (packet.protocol != IPPROTO_TCP || bytes.size() < 20) return std::nullopt;
    const std::size_t header = std::size_t{byte(bytes, 12) >> 4U} * 4;
    if (header < 20 || header > bytes.size()) return std::nullopt;
    const unsigned flags = byte(bytes, 13);
    TcpSegment segment;
    segment.from = packet.from.with_port(static_cast<std::uint16_t>(u16(bytes, 0)));
    segment.to = packet.to.with_port(static_cast<std::uint16_t>(u16(bytes, 2)));
    segment.sequence = u32(bytes, 4);
    segment.fin = (flags & 1U) != 0;
    segment.syn = (flags & 2U) != 0;
    segment.rst = (flags & 4U) != 0;
    segment.payload = bytes.substr(header);
    return segment;
}

bool Defragmenter::whole(const Pieces &pieces) {
    if (!pieces.size) return false;
    std::size_t reached = 0;
    for (const auto &[offset, part] : pieces.parts) {
        if (offset > reached) return false;
        reached = std::max(reached, offset + part.size());
    }
    return reached >= *pieces.size;
}

std::optional<IpPacket> Defragmenter::add(const IpPacket &fragment) {
    const std::string key = fragment.from.ip() + " " + fragment.to.ip() + " " +
                            std::to_string(fragment.protocol) + " " + std::to_string(fragment.id);
    auto found = std::find_if(unfinished_.begin(), unfinished_.end(),
                              [&](const Pieces &pieces) { return pieces.key == key; });
    if (found == unfinished_.end()) {
        if (unfinished_.size() >= most_unfinished) unfinished_.pop_front();
        unfinished_.push_back({key, fragment, {}, {}});
        found = std::prev(unfinished_.end());
    }
    const std::size_t end = fragment.fragment_offset + fragment.payload.size();
    if (end > largest_packet || found->parts.size() >= most_parts) {
        unfinished_.erase(found);
        return std::nullopt;
    }
    found->parts.emplace(fragment.fragment_offset, fragment.payload);
    if (!fragment.more_fragments) found->size = end;
    if (!whole(*found)) return std::nullopt;
    joined_.assign(*found->size, '\0');
    for (const auto &[offset, part] : found->parts)
        if (offset < joined_.size())
            joined_.replace(offset, std::min(part.size(), joined_.size() - offset), part, 0,
                            joined_.size() - offset);
    IpPacket packet = found->head;
    packet.payload = joined_;
    packet.fragment_offset = 0;
    packet.more_fragments = false;
    unfinished_.erase(found);
    return packet;
}

} // namespace offhook::sip
