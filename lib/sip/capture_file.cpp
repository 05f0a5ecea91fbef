#include "sip/capture_file.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace offhook::sip {

namespace {

constexpr std::uint32_t magic_us = 0xa1b2c3d4, magic_ns = 0xa1b23c4d;
constexpr std::uint32_t section_header = 0x0a0d0d0a, byte_order = 0x1a2b3c4d;
constexpr std::size_t pcap_header = 24, record_header = 16, block_frame = 12;
constexpr std::size_t largest_packet = 16 << 20; // no link has larger ones
constexpr std::size_t most_interfaces = 4096;

enum BlockType : std::uint32_t {
    interface_block = 1,
    old_packet = 2,
    simple_packet = 3,
    enhanced_packet = 6
};

std::uint32_t native32(std::string_view bytes, std::size_t at) noexcept {
    std::uint32_t value = 0;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
}

std::uint32_t swapped32(std::uint32_t value) noexcept {
    return value >> 24U | (value >> 8U & 0xff00U) | (value << 8U & 0xff0000U) | value << 24U;
}

// if_tsresol: a power of ten, or of two with the top bit. More than the type holds is cut.
std::uint64_t ticks_per_second(unsigned resolution) noexcept {
    const std::uint64_t base = (resolution & 0x80U) != 0 ? 2 : 10;
    const unsigned most = base == 2 ? 62 : 18;
    std::uint64_t ticks = 1;
    for (unsigned i = std::min(resolution & 0x7fU, most); i > 0; --i)
        ticks *= base;
    return ticks;
}

std::chrono::system_clock::time_point at_time(std::int64_t seconds, std::uint64_t ticks,
                                              std::uint64_t per_second) {
    using std::chrono::nanoseconds;
    // Beyond what the clock can count: the epoch, rather than an overflow.
    if (seconds < 0 || seconds > 9'000'000'000) return {};
    const auto fraction = static_cast<double>(ticks) / static_cast<double>(per_second);
    const nanoseconds since =
        std::chrono::seconds(seconds) + nanoseconds(static_cast<std::int64_t>(fraction * 1e9));
    return std::chrono::system_clock::time_point(
        std::chrono::duration_cast<std::chrono::system_clock::duration>(since));
}

} // namespace

bool CaptureFile::is_capture(std::string_view file) noexcept {
    if (file.size() < 4) return false;
    const auto magic = native32(file, 0);
    return magic == section_header || magic == magic_us || magic == magic_ns ||
           swapped32(magic) == magic_us || swapped32(magic) == magic_ns;
}

std::uint32_t CaptureFile::u32(std::size_t at) const noexcept {
    const auto value = native32(file_, at);
    return swapped_ ? swapped32(value) : value;
}

std::uint16_t CaptureFile::u16(std::size_t at) const noexcept {
    std::uint16_t value = 0;
    std::memcpy(&value, file_.data() + at, sizeof value);
    return swapped_ ? static_cast<std::uint16_t>(value >> 8U | value << 8U) : value;
}

Result<CaptureFile> CaptureFile::open(std::string_view file) {
    if (!is_capture(file)) return fail(Errc::parse, "no capture file (expected pcap or pcapng)");
    CaptureFile capture(file);
    const auto magic = native32(file, 0);
    capture.ng_ = magic == section_header;
    if (capture.ng_) return capture;
    if (file.size() < pcap_header) return fail(Errc::parse, "the capture file ends within its header");
    capture.swapped_ = magic != magic_us && magic != magic_ns;
    Interface interface;
    interface.link_type = capture.u32(20) & 0xffffU; // the upper half has flags
    if (capture.u32(0) == magic_ns) interface.ticks_per_second = 1'000'000'000;
    capture.interfaces_.push_back(interface);
    capture.at_ = pcap_header;
    return capture;
}

std::nullopt_t CaptureFile::complain(const std::string &what) {
    complaint_ = what + " at byte " + std::to_string(at_);
    at_ = file_.size();
    return std::nullopt;
}

std::optional<CapturedPacket> CaptureFile::next() {
    return ng_ ? next_of_pcapng() : next_of_pcap();
}

std::optional<CapturedPacket> CaptureFile::next_of_pcap() {
    if (left() == 0) return std::nullopt;
    if (left() < record_header) return complain("the file is cut off");
    const std::size_t size = u32(at_ + 8);
    if (size > largest_packet) return complain("a packet of impossible size");
    if (left() - record_header < size) return complain("the file is cut off");
    const auto &interface = interfaces_.front();
    CapturedPacket packet;
    packet.time = at_time(u32(at_), u32(at_ + 4), interface.ticks_per_second);
    packet.link_type = interface.link_type;
    packet.bytes = file_.substr(at_ + record_header, size);
    at_ += record_header + size;
    return packet;
}

std::optional<CapturedPacket> CaptureFile::next_of_pcapng() {
    while (left() > 0) {
        if (left() < block_frame) return complain("the file is cut off");
        if (native32(file_, at_) == section_header && !begin_section())
            return complain("a section without a byte order");
        const std::uint32_t type = u32(at_);
        const std::size_t size = u32(at_ + 4);
        if (size < block_frame || size % 4 != 0) return complain("a block of impossible size");
        if (left() < size) return complain("the file is cut off");
        const std::size_t body = at_ + 8;
        auto packet = packet_of_block(type, body, size - block_frame);
        if (!complaint_.empty()) return std::nullopt;
        at_ += size;
        if (packet) return packet;
    }
    return std::nullopt;
}

// Each section has its own byte order and its own interfaces.
bool CaptureFile::begin_section() {
    if (left() < 28) return false;
    const auto order = native32(file_, at_ + 8);
    if (order != byte_order && swapped32(order) != byte_order) return false;
    swapped_ = order != byte_order;
    big_endian_ = swapped_ == (std::endian::native == std::endian::little);
    interfaces_.clear();
    return true;
}

void CaptureFile::add_interface(std::size_t body, std::size_t size) {
    if (size < 8 || interfaces_.size() >= most_interfaces) return;
    Interface interface;
    interface.link_type = u16(body);
    interface.snap_length = u32(body + 4);
    for (std::size_t at = body + 8; at + 4 <= body + size;) {
        const auto code = u16(at);
        const std::size_t length = u16(at + 2);
        if (code == 0 || at + 4 + length > body + size) break;
        constexpr unsigned resolution = 9, offset = 14; // if_tsresol, if_tsoffset
        if (code == resolution && length == 1)
            interface.ticks_per_second = ticks_per_second(static_cast<unsigned char>(file_[at + 4]));
        if (code == offset && length == 8) {
            const std::uint64_t first = u32(at + 4);
            const std::uint64_t second = u32(at + 8);
            interface.offset_s =
                static_cast<std::int64_t>(big_endian_ ? first << 32U | second : second << 32U | first);
        }
        at += 4 + (length + 3) / 4 * 4;
    }
    interfaces_.push_back(interface);
}

std::optional<CapturedPacket> CaptureFile::packet_of_block(std::uint32_t type, std::size_t body,
                                                           std::size_t size) {
    if (type == interface_block) {
        add_interface(body, size);
        return std::nullopt;
    }
    const bool old = type == old_packet;
    const bool simple = type == simple_packet;
    if (type != enhanced_packet && !old && !simple) return std::nullopt;
    const std::size_t head = simple ? 4 : 20;
    if (size < head) return complain("a packet without its header");
    const std::size_t index = simple ? 0 : old ? u16(body) : u32(body);
    if (index >= interfaces_.size()) return complain("a packet of an unknown interface");
    const auto &interface = interfaces_[index];
    std::size_t captured = u32(body + (simple ? 0 : 12));
    if (simple && interface.snap_length != 0)
        captured = std::min<std::size_t>(captured, interface.snap_length);
    if (captured > size - head) return complain("a packet larger than its block");
    CapturedPacket packet;
    packet.link_type = interface.link_type;
    packet.bytes = file_.substr(body + head, captured);
    if (simple) return packet;
    const std::uint64_t ticks = std::uint64_t{u32(body + 4)} << 32U | u32(body + 8);
    const std::uint64_t rate = interface.ticks_per_second;
    std::int64_t seconds = 0;
    if (__builtin_add_overflow(static_cast<std::int64_t>(ticks / rate), interface.offset_s, &seconds))
        seconds = -1;
    packet.time = at_time(seconds, ticks % rate, rate);
    return packet;
}

} // namespace offhook::sip
